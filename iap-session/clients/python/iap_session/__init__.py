"""The session of a request behind an iap gateway.

The gateway keeps the session; an application reads and changes it while it answers. Changes are
sent to the gateway once, before the response head, and stored together with the response.

- ``Wsgi(app)`` puts a ``Session`` into ``environ["iap.session"]``.
- ``Asgi(app)`` puts an ``AsyncSession`` into ``scope["iap.session"]``.
- ``iap_session.flask.SessionInterface`` makes it ``flask.session``.
"""

from .asgi import Asgi, AsyncSession
from .errors import SessionClosed, SessionError, SessionNotLoaded, SessionUnavailable
from .session import Session
from .wsgi import Wsgi

__all__ = [
    "Asgi",
    "AsyncSession",
    "Session",
    "SessionClosed",
    "SessionError",
    "SessionNotLoaded",
    "SessionUnavailable",
    "Wsgi",
]
