"""ASGI 3, on asyncio."""

import asyncio

from .client import Client
from .errors import SessionError, SessionNotLoaded, SessionUnavailable
from .session import Session
from .values import encode

HEADS = ("http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start")


class AsyncSession(Session):
    """A session whose calls are awaited. ``await session.load()`` comes before the first look."""

    async def load(self):
        """Loads the session, if it is not yet; returns it."""
        if self._attributes is None:
            self._accept(await self._call("GET", "/session"))
        return self

    async def login(self, user):
        """Logs a user in whom the application has recognised."""
        self._accept(await self._call(*self._login(user)))

    async def logout(self):
        """Takes the user out of the session, which keeps its attributes."""
        self._accept(await self._call("POST", "/session/logout"))

    async def rotate(self):
        """Gives the session a new id."""
        self._accept(await self._call("POST", "/session/rotate"))

    async def destroy(self):
        """Ends the session. What is set afterwards begins a new one."""
        await self._call("DELETE", "/session")
        self._forget()

    async def save(self):
        """Sends what has changed, in one call."""
        changes = self._changes()
        if changes is not None:
            await self._call("PATCH", "/session", changes[0])
            self._stored = changes[1]

    async def increment(self, name, by=1):
        """Adds to a whole number and returns the sum; stored at once."""
        await self.save()
        return self._counted(name, await self._call(*self._increment(name, by), once=True))

    async def compare_and_set(self, name, expected, value):
        """Sets an attribute if it has the expected value (None: is absent), at once, and says whether it did."""
        encode(name, value)
        await self.save()
        body = self._exchange(await self._call("GET", "/session?versions"), name, expected, value)
        if body is None:
            return False
        try:
            await self._call("PATCH", "/session", body, once=True)
        except SessionError as error:
            if error.status != 412:
                raise
            self._keep(name, (await self._call("GET", "/session"))["attributes"].get(name))
            return False
        self._keep(name, value)
        return True

    async def _call(self, method, path, body=None, once=False):
        # The calls are short, and to this machine; a thread keeps the loop free meanwhile.
        return await asyncio.to_thread(super()._call, method, path, body, once)

    def _data(self):
        if self._attributes is None:
            raise SessionNotLoaded("await session.load() before the first look at the session")
        return self._attributes


class Asgi:
    """Middleware: the request's ``AsyncSession`` is ``scope["iap.session"]``.

    Changes are saved before the response head, or the answer to a WebSocket's handshake. A
    SessionUnavailable that nobody handles becomes a 503.
    """

    def __init__(self, application, url=None, timeout=5.0):
        self._application = application
        self._client = Client(url, timeout)

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await self._application(scope, receive, send)
        session = self._session(scope["headers"])
        sent = False

        async def save_and_send(message):
            nonlocal sent
            if not sent and message["type"] in HEADS:
                await session.save()
                session.close()
                sent = True
            await send(message)

        try:
            return await self._application({**scope, "iap.session": session}, receive, save_and_send)
        except SessionUnavailable as error:
            if sent or scope["type"] != "http":
                raise
            await _unavailable(error, send)

    def _session(self, headers):
        def field(name):
            value = next((value for key, value in headers if key.lower() == name), None)
            return value.decode("utf-8", "replace") if value is not None else None

        return AsyncSession(
            self._client, field(b"iap-session-token"), field(b"iap-session-url"), field(b"iap-user")
        )


async def _unavailable(error, send):
    text = b"The session is not available right now.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": text})
