"""Calls of the session API over kept connections."""

import http.client
import ipaddress
import json
import os
import re
import threading
from urllib.parse import urlsplit

from .errors import SessionClosed, SessionError, SessionUnavailable

TOKEN = re.compile(r"[A-Za-z0-9_-]{22}\Z")
MAX_ANSWER = 16 << 20
MAX_IDLE = 16


class Client:
    """The session API, for the live requests of this process.

    ``url`` fixes its address; without it each request says where it is, which has to be a loopback
    address. ``timeout`` is in seconds, for each wait of a call.
    """

    def __init__(self, url=None, timeout=5.0):
        self._url = url
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle = []
        self._pid = os.getpid()

    def endpoint(self, token, url):
        """Host, port and token for a request with these header values, or None without a session."""
        url = self._url or url
        if not url or not token or not TOKEN.match(token):
            return None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return None
        if parts.scheme != "http" or (self._url is None and not _is_loopback(host)):
            return None
        return host, port, token

    def call(self, endpoint, method, path, body=None, once=False):
        """One call; the answer's JSON, or None if it has none. One that may be made only ``once`` goes by a
        connection of its own: on a kept one nobody could tell whether it has arrived."""
        host, port, token = endpoint
        headers = {"Authorization": "Bearer " + token}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = body.encode()
        try:
            status, retry_after, data = self._exchange((host, port), method, path, body, headers, once)
        except (OSError, http.client.HTTPException) as error:
            raise SessionUnavailable(f"the session API does not answer: {type(error).__name__}") from None
        if status == 204:
            return None
        try:
            answer = json.loads(data)
        except ValueError:
            raise SessionError("the session API has answered something that is not JSON", status) from None
        if status < 300:
            return answer
        raise _refusal(status, retry_after, answer if isinstance(answer, dict) else {})

    def _exchange(self, address, method, path, body, headers, once):
        while True:
            connection = self._connection(address) if once else self._take(address)
            kept = connection.sock is not None
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                data = response.read(MAX_ANSWER + 1)
            except (ConnectionError, http.client.RemoteDisconnected):
                connection.close()
                # The server has closed it meanwhile.
                if kept:
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            if len(data) > MAX_ANSWER:
                connection.close()
                raise http.client.HTTPException("too long")
            self._give(address, connection)
            return response.status, response.getheader("Retry-After"), data

    def _take(self, address):
        with self._lock:
            if self._pid != os.getpid():
                # After a fork the connections are the parent's.
                self._idle, self._pid = [], os.getpid()
            for index in range(len(self._idle) - 1, -1, -1):
                if self._idle[index][0] == address:
                    return self._idle.pop(index)[1]
        return self._connection(address)

    def _connection(self, address):
        return http.client.HTTPConnection(*address, timeout=self._timeout)

    def _give(self, address, connection):
        if connection.sock is None:
            return
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append((address, connection))
                return
        connection.close()


def _is_loopback(host):
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refusal(status, retry_after, problem):
    detail = str(problem.get("detail") or problem.get("title") or "no reason given")
    message, kind = f"the session API has refused: {detail}", problem.get("kind")
    if status == 401:
        return SessionClosed(message, status, kind)
    if status == 503:
        seconds = int(retry_after) if (retry_after or "").isdigit() else None
        return SessionUnavailable(message, status, kind, seconds)
    return SessionError(message, status, kind)
