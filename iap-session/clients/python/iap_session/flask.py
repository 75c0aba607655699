"""Flask: ``app.session_interface = SessionInterface()`` makes ``flask.session`` the gateway's."""

from flask import sessions

from .client import Client
from .session import Session
from .wsgi import from_environ


class FlaskSession(Session, sessions.SessionMixin):
    """What ``flask.session`` is."""

    accessed = False

    @property
    def modified(self):
        """Whether there are changes that are not sent yet."""
        return self._changes() is not None

    @modified.setter
    def modified(self, value):
        """Nothing has to be told: changes are found by comparing."""

    def _data(self):
        self.accessed = True
        return super()._data()


class SessionInterface(sessions.SessionInterface):
    """Flask's sessions, kept by the gateway."""

    def __init__(self, url=None, timeout=5.0):
        self._client = Client(url, timeout)

    def open_session(self, app, request):
        return from_environ(self._client, request.environ, FlaskSession)

    def save_session(self, app, session, response):
        if session.accessed:
            response.vary.add("Cookie")
        session.save()
        session.close()
