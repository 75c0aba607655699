"""WSGI (PEP 3333)."""

from .client import Client
from .errors import SessionUnavailable
from .session import Session


def from_environ(client, environ, kind=Session):
    """The session of a WSGI request."""
    user = environ.get("HTTP_IAP_USER")
    if user is not None:
        # WSGI reads header fields as Latin-1; this one is UTF-8.
        user = user.encode("latin-1").decode("utf-8", "replace")
    return kind(client, environ.get("HTTP_IAP_SESSION_TOKEN"), environ.get("HTTP_IAP_SESSION_URL"), user)


class Wsgi:
    """Middleware: the request's ``Session`` is ``environ["iap.session"]``.

    The response head is held back until the first byte of the body or its end, when changes are
    saved. A SessionUnavailable that nobody handles becomes a 503.
    """

    def __init__(self, application, url=None, timeout=5.0):
        self._application = application
        self._client = Client(url, timeout)

    def __call__(self, environ, start_response):
        session = environ["iap.session"] = from_environ(self._client, environ)
        head = _Head(session, start_response)
        body = None
        try:
            body = self._application(environ, head.start)
            if isinstance(body, (list, tuple)):
                head.send()
                return body
            rest = iter(body)
            first = list(_take(rest))
            head.send()
            return _Body(first, rest, body)
        except BaseException as error:
            if hasattr(body, "close"):
                body.close()
            if isinstance(error, SessionUnavailable) and not head.sent:
                return _unavailable(error, start_response)
            raise


class _Head:
    def __init__(self, session, start_response):
        self._session, self._start_response = session, start_response
        self._held, self._write = None, None
        self.sent = False

    def start(self, status, headers, exc_info=None):
        if self.sent:
            return self._start_response(status, headers, exc_info)
        if self._held is not None and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info")
        self._held = (status, headers)
        return self._write_body

    def send(self):
        if self.sent:
            return
        if self._held is None:
            raise AssertionError("the application did not call start_response before its body")
        self._session.save()
        self._session.close()
        self.sent = True
        self._write = self._start_response(*self._held)

    def _write_body(self, data):
        self.send()
        self._write(data)


def _take(items):
    for item in items:
        yield item
        return


class _Body:
    """What was taken from the application's body already, and the rest."""

    def __init__(self, first, rest, body):
        self._first, self._rest, self._body = first, rest, body

    def __iter__(self):
        return self

    def __next__(self):
        return self._first.pop() if self._first else next(self._rest)

    def close(self):
        if hasattr(self._body, "close"):
            self._body.close()


def _unavailable(error, start_response):
    text = b"The session is not available right now.\n"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))]
    if error.retry_after is not None:
        headers.append(("Retry-After", str(error.retry_after)))
    start_response("503 Service Unavailable", headers)
    return [text]
