"""What can go wrong. No message holds a token or a value of the session."""


class SessionError(Exception):
    """The session API has refused: ``status`` and ``kind`` are those of its answer."""

    def __init__(self, message, status=None, kind=None):
        super().__init__(message)
        self.status = status
        self.kind = kind


class SessionUnavailable(SessionError):
    """There is no session right now: answer 503. ``retry_after`` is in seconds, or None."""

    def __init__(self, message, status=None, kind=None, retry_after=None):
        super().__init__(message, status, kind)
        self.retry_after = retry_after


class SessionClosed(SessionError):
    """The response head is out: what is changed now would be lost."""


class SessionNotLoaded(SessionError):
    """In asynchronous code: ``await session.load()`` comes before the first look at it."""
