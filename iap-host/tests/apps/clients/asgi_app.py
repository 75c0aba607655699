"""The application of the clients' tests as bare ASGI, and a server that is just enough for it; with
`WSGI` in the environment the same in bare WSGI. Environment: PORT."""

import asyncio
import json
import os
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, make_server

from iap_session import Asgi, SessionClosed, Wsgi


def state(session):
    return {"user": session.user, "new": session.new, "attributes": dict(session)}


def text(action, session):
    return "this is not to be seen" if action in ("bad-inside", "large") else json.dumps(state(session))


async def asgi(scope, receive, send):
    session = scope["iap.session"]
    action, query = scope["path"].rsplit("/", 1)[1], dict(parse_qsl(scope["query_string"].decode()))
    if action == "ready":
        return await answer(send, "ok")
    if action == "unloaded":
        try:
            session.get("name")
        except Exception as error:
            return await answer(send, type(error).__name__)
    if action == "websocket":
        return await answer(send, await handshake(scope))
    await session.load()
    if action == "set":
        session[query["name"]] = json.loads(query["value"])
    elif action == "append":
        session[query["name"]].append(json.loads(query["value"]))
    elif action == "remove":
        del session[query["name"]]
    elif action == "increment":
        return await answer(send, json.dumps(await session.increment(query["name"], int(query["by"]))))
    elif action == "exchange":
        expected, value = json.loads(query["expected"]), json.loads(query["value"])
        return await answer(send, json.dumps(await session.compare_and_set(query["name"], expected, value)))
    elif action == "login":
        await session.login(query["user"])
    elif action in ("logout", "rotate"):
        await getattr(session, action)()
    elif action == "destroy":
        session["lost"] = True
        await session.destroy()
        session["begun"] = True
    elif action == "bad-inside":
        session["list"] = []
        session["list"].append(object())
    elif action == "large":
        session["large"] = "x" * 70_000
    elif action == "late":
        session["early"] = True
        await start(send)
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        try:
            session["late"] = True
        except SessionClosed as error:
            await send({"type": "http.response.body", "body": type(error).__name__.encode()})
        return
    await answer(send, text(action, session))


async def handshake(scope):
    """The handshake of a WebSocket that has the headers of this request, and what comes after it."""
    sent = []

    async def socket(scope, receive, send):
        session = await scope["iap.session"].load()
        session["socket"] = True
        await send({"type": "websocket.accept"})
        try:
            session["late"] = True
        except SessionClosed as error:
            sent.append(type(error).__name__)

    async def send(message):
        sent.append(message["type"])

    await Asgi(socket)({**scope, "type": "websocket"}, None, send)
    return " ".join(sent)


async def start(send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})


async def answer(send, text):
    await start(send)
    await send({"type": "http.response.body", "body": text.encode()})


def wsgi(environ, start_response):
    """Starts its response before it looks at its session: bytes count, not the call."""
    session = environ["iap.session"]
    action, query = environ["PATH_INFO"].rsplit("/", 1)[1], dict(parse_qsl(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    if action == "ready":
        return [b"ok"]
    if action == "late":
        return late(session)
    if action == "write":
        session["early"] = True
        start_response("200 OK", [], (None, None, None))(b"written ")
        try:
            session["late"] = True
        except SessionClosed as error:
            return [type(error).__name__.encode()]
    if action == "set":
        session[query["name"]] = json.loads(query["value"])
    elif action == "append":
        session[query["name"]].append(json.loads(query["value"]))
    elif action == "remove":
        del session[query["name"]]
    elif action == "increment":
        return [json.dumps(session.increment(query["name"], int(query["by"]))).encode()]
    elif action == "exchange":
        expected, value = json.loads(query["expected"]), json.loads(query["value"])
        return [json.dumps(session.compare_and_set(query["name"], expected, value)).encode()]
    elif action == "login":
        session.login(query["user"])
    elif action in ("logout", "rotate"):
        getattr(session, action)()
    elif action == "destroy":
        session["lost"] = True
        session.destroy()
        session["begun"] = True
    elif action == "bad-inside":
        session["list"] = []
        session["list"].append(object())
    elif action == "large":
        session["large"] = "x" * 70_000
    return [text(action, session).encode()]


def late(session):
    session["early"] = True
    yield b"first "
    try:
        session["late"] = True
    except SessionClosed as error:
        yield type(error).__name__.encode()


async def serve(reader, writer):
    """One request a connection, whose body nobody reads."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    path, _, query = target.partition("?")
    pairs = [line.split(": ", 1) for line in head[1:] if line]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        if message["type"] == "http.response.start":
            writer.write(f"HTTP/1.1 {message['status']} Status\r\nconnection: close\r\n".encode())
            for name, value in message["headers"]:
                writer.write(name + b": " + value + b"\r\n")
            writer.write(b"\r\n")
        else:
            writer.write(message["body"])
        await writer.drain()

    try:
        await Asgi(asgi)(scope, receive, send)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        writer.write(b"HTTP/1.1 500 Status\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    if "WSGI" in os.environ:
        make_server("127.0.0.1", int(os.environ["PORT"]), Wsgi(wsgi), handler_class=Quiet).serve_forever()
    asyncio.run(main())
