"""The session of one request."""

from collections.abc import MutableMapping

import json

from .errors import SessionClosed, SessionError, SessionUnavailable
from .values import encode


class Session(MutableMapping):
    """The attributes as a dict, and what else there is to a session.

    It is loaded at the first look. Changes, also those inside of lists and dicts, are sent by
    ``save()``, which the middleware calls before the response head. The value of an attribute is
    what JSON has: None, bool, int, float, str, list, dict with keys of str.
    """

    def __init__(self, client, token, url, user=None):
        self._client = client
        self._endpoint = client.endpoint(token, url)
        self._attributes = None
        self._stored = {}
        self._user = user or None
        self._state = {}
        self._closed = False

    # What is not an attribute.

    @property
    def available(self):
        """Whether the request has a session; if not, using it raises SessionUnavailable."""
        return self._endpoint is not None

    @property
    def user(self):
        """Who is logged in, or None."""
        return self._user

    @property
    def new(self):
        """Whether nothing is stored yet."""
        self._data()
        return self._state.get("new", True)

    @property
    def version(self):
        """How often the stored session was written; 0 if it is new."""
        self._data()
        return self._state.get("version", 0)

    @property
    def handle(self):
        """What may be told of the session: /revocations names it by this. It changes with the id."""
        self._data()
        return self._state.get("handle")

    @property
    def ended(self):
        """Why the session before was ended: "destroyed", "operator", "evicted"; else None."""
        self._data()
        return self._state.get("ended")

    @property
    def modified(self):
        """Whether there are changes that are not sent yet."""
        return self._changes() is not None

    # Calls.

    def load(self):
        """Loads the session, if it is not yet; returns it."""
        if self._attributes is None:
            self._accept(self._call("GET", "/session"))
        return self

    def login(self, user):
        """Logs a user in whom the application has recognised. SessionError with status 409 if the
        policy refuses."""
        self._accept(self._call(*self._login(user)))

    def logout(self):
        """Takes the user out of the session, which keeps its attributes."""
        self._accept(self._call("POST", "/session/logout"))

    def rotate(self):
        """Gives the session a new id: after a change of rights that is not a login."""
        self._accept(self._call("POST", "/session/rotate"))

    def destroy(self):
        """Ends the session. What is set afterwards begins a new one."""
        self._call("DELETE", "/session")
        self._forget()

    def save(self):
        """Sends what has changed, in one call."""
        changes = self._changes()
        if changes is not None:
            self._call("PATCH", "/session", changes[0])
            self._stored = changes[1]

    def increment(self, name, by=1):
        """Adds to a whole number and returns the sum; no attribute counts as 0. Stored at once: no two
        requests get the same sum."""
        self.save()
        return self._counted(name, self._call(*self._increment(name, by), once=True))

    def compare_and_set(self, name, expected, value):
        """Sets an attribute if it has the expected value, and says whether it did; None stands for no
        attribute. Stored at once: of requests that expect the same, one succeeds."""
        encode(name, value)
        self.save()
        body = self._exchange(self._call("GET", "/session?versions"), name, expected, value)
        if body is None:
            return False
        try:
            self._call("PATCH", "/session", body, once=True)
        except SessionError as error:
            if error.status != 412:
                raise
            self._keep(name, self._call("GET", "/session")["attributes"].get(name))
            return False
        self._keep(name, value)
        return True

    def close(self):
        """The response head goes out: further changes raise SessionClosed."""
        self._closed = True

    # The dict.

    def __getitem__(self, name):
        return self._data()[name]

    def __setitem__(self, name, value):
        self._open()
        encode(name, value)
        self._data()[name] = value

    def __delitem__(self, name):
        self._open()
        del self._data()[name]

    def __iter__(self):
        return iter(self._data())

    def __len__(self):
        return len(self._data())

    def __bool__(self):
        return bool(self._data())

    def __repr__(self):
        return f"<{type(self).__name__} {'loaded' if self._attributes is not None else 'not loaded'}>"

    # Within.

    def _call(self, method, path, body=None, once=False):
        if self._endpoint is None:
            raise SessionUnavailable("the request has no session: it did not come through the gateway, "
                                     "or the gateway has too many requests in flight")
        self._open()
        return self._client.call(self._endpoint, method, path, body, once)

    def _open(self):
        if self._closed:
            raise SessionClosed("the response head is out; the session cannot be changed any more")

    @staticmethod
    def _login(user):
        if not isinstance(user, str):
            raise TypeError(f"the name of a user is a str, not {type(user).__name__}")
        return "POST", "/session/login", json.dumps({"user": user})

    @staticmethod
    def _increment(name, by):
        return "POST", "/session/increment", json.dumps({"name": name, "by": by})

    def _counted(self, name, answer):
        if self._attributes is not None:
            self._keep(name, answer["value"])
        return answer["value"]

    def _exchange(self, state, name, expected, value):
        """The body of a PATCH that is done if nothing has changed since this state; None for another value."""
        self._accept(state)
        now = state["attributes"].get(name)
        self._keep(name, now)
        if json.dumps(now, sort_keys=True) != json.dumps(expected, sort_keys=True):
            return None
        change = {"remove": [name]} if value is None else {"set": {name: value}}
        return json.dumps({**change, "if": {name: state["versions"].get(name)}})

    def _keep(self, name, value):
        """Takes over what is stored."""
        if value is None:
            self._attributes.pop(name, None)
            self._stored.pop(name, None)
        else:
            self._attributes[name], self._stored[name] = value, encode(name, value)

    def _accept(self, state):
        self._state, self._user = state, state["user"]
        if self._attributes is None:
            self._attributes = state["attributes"]
            self._stored = {name: encode(name, value) for name, value in self._attributes.items()}

    def _forget(self):
        self._attributes, self._stored, self._state, self._user = {}, {}, {}, None

    def _data(self):
        if self._attributes is None:
            self.load()
        return self._attributes

    def _changes(self):
        """The body of a PATCH, and what is stored after it; None if nothing has changed."""
        if self._attributes is None:
            return None
        now = {name: encode(name, value) for name, value in self._attributes.items()}
        if now == self._stored:
            return None
        members = ",".join(
            f"{json.dumps(name)}:{text}" for name, text in now.items() if self._stored.get(name) != text
        )
        gone = json.dumps([name for name in self._stored if name not in now])
        return f'{{"set":{{{members}}},"remove":{gone}}}', now
