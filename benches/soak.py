#!/usr/bin/env python3
"""A mixed load for a long time, with a ledger that has to balance in the end: each request ends once, is answered with its
own body, reaches an origin at most as often as it may, and is counted by the gateway as by its clients; memory stays flat,
nothing is left running or open. Meanwhile configurations are reloaded, good ones and bad ones, and an origin is killed.

    benches/soak.py [MINUTES] [--binary PATH]      (20 minutes; builds the release binary unless one is given)

Uses nginx and h2load where they are installed. Exit code 1 with what does not balance.
"""

import argparse
import asyncio
import collections
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

LARGE = 4 << 20
GROWTH = 16 << 10  # Kilobytes that the last quarter may lie above the second.
SPARE_FILES = 4


# ---- An origin: `soak.py --origin PORT LEDGER`. It writes down each request before it answers.

def pattern(key, size):
    return (f"{key}." * (size // (len(key) + 1) + 1)).encode()[:size]


async def read_head(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    return head[0].split(" "), fields


async def read_body(reader, fields):
    if "chunked" in fields.get("transfer-encoding", ""):
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    return await reader.readexactly(int(fields.get("content-length", 0)))


async def answer(reader, writer, ledger):
    (method, target, _), fields = await read_head(reader)
    asked = dict(pair.split("=", 1) for pair in target.partition("?")[2].split("&") if "=" in pair)
    key = asked.get("id", "none")
    os.write(ledger, f"{key} {method}\n".encode())
    if fields.get("upgrade") == "websocket":
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-id: %b\r\n\r\n"
                     % key.encode())
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        return False
    body = await read_body(reader, fields)
    out = hashlib.sha1(body).hexdigest().encode() if method == "POST" else pattern(key, int(asked.get("size", 100)))
    head = f"HTTP/1.1 200 OK\r\nx-id: {key}\r\n"
    if "pieces" not in asked:
        writer.write(f"{head}content-length: {len(out)}\r\n\r\n".encode() + out)
        await writer.drain()
        return True
    writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
    step = len(out) // int(asked["pieces"]) + 1
    for at in range(0, len(out), step):
        writer.write(b"%x\r\n%b\r\n" % (len(out[at:at + step]), out[at:at + step]))
        await writer.drain()
        await asyncio.sleep(0.02)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def origin(port, path):
    ledger = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def serve(reader, writer):
        try:
            while await answer(reader, writer, ledger):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20, backlog=1024)
    await server.serve_forever()


# ---- The ledger.

class Ledger:
    """What was sent, and how each of it has ended."""

    def __init__(self):
        self.sent, self.ended, self.problems = {}, {}, collections.Counter()
        self.http2 = collections.Counter()

    def send(self, route, method):
        key = f"k{len(self.sent)}"
        self.sent[key] = (route, method)
        return key

    def end(self, key, *outcome):
        if key in self.ended:
            self.problem(f"{key} has ended twice: {self.ended[key]}, {outcome}")
        self.ended[key] = outcome

    def problem(self, text):
        self.problems[text] += 1

    def count(self, route, kind, *rest):
        return sum(outcome[:1 + len(rest)] == (kind, *rest) for key, outcome in self.ended.items()
                   if self.sent[key][0] == route)


# ---- Clients.

class Client:
    """One connection after the other, requests one after the other."""

    def __init__(self, soak):
        self.soak, self.ledger, self.reader, self.writer, self.is_fresh = soak, soak.ledger, None, None, True

    async def connect(self):
        if self.writer and self.reader.at_eof():
            self.close()
        if self.writer is None:
            try:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.soak.port, limit=1 << 20)
            except OSError as error:
                self.ledger.problem(f"a connection was refused: {error}")
                raise
            self.is_fresh = True

    def close(self, hard=False):
        if self.writer:
            if hard:
                linger = struct.pack("ii", 1, 0)
                self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.writer.transport.abort()
            self.writer.close()
        self.writer = None

    def head(self, method, route, key, query="", fields=""):
        return f"{method} /{route}/x?id={key}{query} HTTP/1.1\r\nhost: soak\r\n{fields}\r\n".encode()

    async def exchange(self, route, method, query="", fields="", body=b"", expect=None, pace=None):
        """A request that ends as answered, or as failed."""
        await self.connect()
        key = self.ledger.send(route, method)
        status = None
        try:
            data = self.head(method, route, key, query, fields) + body
            for at in range(0, len(data), pace or len(data)):
                self.writer.write(data[at:at + (pace or len(data))])
                await self.writer.drain()
                if pace:
                    await asyncio.sleep(0.005)
            (_, status, *_), answered = await read_head(self.reader)
            got = await read_body(self.reader, answered)
        except (OSError, asyncio.IncompleteReadError):
            self.fail(key, route, status)
            return
        self.check(key, route, status, answered, got, expect)
        self.is_fresh = False
        if answered.get("connection") == "close":
            self.close()

    def fail(self, key, route, status):
        self.ledger.end(key, "failed", "in the body" if status else "before the answer")
        if status is None and self.is_fresh:
            self.ledger.problem(f"{route}: a new connection was closed without an answer")
        if status is not None and route != "flaky":
            self.ledger.problem(f"{route}: a response broke off")
        self.close()

    def check(self, key, route, status, fields, got, expect):
        self.ledger.end(key, "answered", int(status))
        if status == "200":
            if fields.get("x-id", key) != key:
                self.ledger.problem(f"{key} was answered with {fields['x-id']}")
            if expect is not None and got != expect(key):
                self.ledger.problem(f"{route}: a body is not the one of its request")
        elif route != "flaky" or status not in ("502", "503", "504"):
            self.ledger.problem(f"{route}: {status} {got[:200]!r}")


async def gets(client, rng):
    size, pieces = rng.choice([0, 100, 5000, 100_000]), rng.choice(["", "", "&pieces=3"])
    query = f"&size={size}{pieces}"
    await client.exchange(rng.choice(["steady", "flaky"]), "GET", query, expect=lambda key: pattern(key, size))


async def uploads(client, rng):
    body = rng.randbytes(rng.choice([1, 1000, 300_000]))
    digest = hashlib.sha1(body).hexdigest().encode()
    route = rng.choice(["steady", "flaky"])
    if rng.random() < 0.5:
        await client.exchange(route, "POST", fields=f"content-length: {len(body)}\r\n", body=body,
                              expect=lambda _: digest)
    else:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part)
                          for part in (body[at:at + 40_000] for at in range(0, len(body), 40_000)))
        await client.exchange(route, "POST", fields="transfer-encoding: chunked\r\n", body=chunks + b"0\r\n\r\n",
                              expect=lambda _: digest)


async def downloads(client, rng):
    if client.soak.nginx:
        await client.exchange("nginx", "GET", expect=lambda _: client.soak.file)
    else:
        await client.exchange("steady", "GET", f"&size={LARGE}", expect=lambda key: pattern(key, LARGE))
    await asyncio.sleep(0.2)


async def drips(client, rng):
    await client.exchange("steady", "POST", fields="content-length: 200\r\n", body=b"x" * 200, pace=7,
                          expect=lambda _: hashlib.sha1(b"x" * 200).hexdigest().encode())


async def aborts(client, rng):
    """Leaves in the middle: of a head, an upload, a download, or before the answer."""
    await client.connect()
    key = client.ledger.send("aborted", "POST")
    try:
        what = rng.choice(["head", "upload", "download", "wait"])
        upload = "content-length: 100000\r\n" if what == "upload" else "content-length: 0\r\n"
        query = f"&size={LARGE}&pieces=20" if what != "upload" else ""
        head = client.head("POST", "aborted", key, query, upload)
        client.writer.write(head[:-10] if what == "head" else head + b"x" * 50_000 * (what == "upload"))
        await client.writer.drain()
        if what == "download":
            await client.reader.read(20_000)
        await asyncio.sleep(rng.random() * 0.05)
        client.ledger.end(key, "aborted", what)
    except OSError as error:
        client.ledger.end(key, "failed", str(error))
    client.close(hard=rng.random() < 0.5)


async def tunnels(client, rng):
    client.close()
    await client.connect()
    key = client.ledger.send("tunnel", "GET")
    ask = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZQ==\r\n"
    try:
        client.writer.write(client.head("GET", "tunnel", key, fields=ask))
        (_, status, *_), fields = await read_head(client.reader)
        client.ledger.end(key, "answered", int(status))
        if status != "101" or fields.get("x-id") != key:
            client.ledger.problem(f"tunnel: {status}, {fields.get('x-id')} for {key}")
        for _ in range(20):
            data = rng.randbytes(rng.randrange(1, 2000))
            client.writer.write(data)
            echo = await client.reader.readexactly(len(data))
            if echo != data:
                client.ledger.problem("tunnel: other bytes than were sent")
            await asyncio.sleep(0.02)
    except (OSError, asyncio.IncompleteReadError):
        if key not in client.ledger.ended:
            client.fail(key, "tunnel", None)
    client.close()


async def http2(client, rng):
    """Runs of h2load; it counts for itself."""
    url = f"http://127.0.0.1:{client.soak.port}/http2/x?size=2000"
    run = await asyncio.create_subprocess_exec("h2load", "-n", "300", "-c", "3", "-m", "10", url,
                                               stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
    text = (await run.communicate())[0].decode()
    numbers = re.search(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed", text)
    total, succeeded, failed = map(int, numbers.groups())
    others = sum(int(count) for count in re.findall(r"(\d+) [345]xx", text))
    client.ledger.http2.update(total=total, succeeded=succeeded, failed=failed)
    if others or succeeded + failed != total:
        client.ledger.problem(f"http2: {others} that are not 2xx, {succeeded} + {failed} of {total}")
    await asyncio.sleep(0.5)


# ---- The run.

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Soak:
    def __init__(self, directory, binary, seconds):
        self.directory, self.binary, self.seconds = directory, binary, seconds
        self.ledger, self.nginx = Ledger(), shutil.which("nginx")
        self.ports = {name: free_port() for name in ("a", "b", "nginx")}
        self.processes, self.resident, self.version, self.max_body = {}, [], 0, 8
        self.file = random.Random(1).randbytes(LARGE)

    def path(self, name):
        return os.path.join(self.directory, name)

    def config(self, text=""):
        def server(name):
            return f"http://127.0.0.1:{self.ports[name]}"

        routes = {"steady": ["b"], "aborted": ["b"], "tunnel": ["b"], "http2": ["b"], "flaky": ["a", "b"],
                  "nginx": ["nginx"]}
        lines = [f"server: {{listen: '127.0.0.1:{self.port}', drain: 10s, max_body: {self.max_body}MiB}}",
                 f"admin: {{listen: '127.0.0.1:{self.admin}'}}", "sessions: {enabled: false}",
                 "apm: {history: history, otlp: '127.0.0.1:0'}", "log: {level: 'off'}", "routes:",
                 f"  - {{name: version, path: /version, respond: {{status: 200, body: v{self.version}}}}}"]
        for name, servers in routes.items():
            servers = ", ".join(server(origin) for origin in servers)
            lines.append(f"  - {{name: {name}, path: /{name}, upstream: {{servers: [{servers}], idle_timeout: 2s}}}}")
        with open(self.path("iap.yaml"), "w") as file:
            file.write("\n".join(lines) + "\n" + text)

    def start(self):
        self.port, self.admin = free_port(), free_port()
        self.config()
        for name in ("a", "b"):
            self.start_origin(name)
        if self.nginx:
            self.start_nginx()
        self.processes["host"] = subprocess.Popen([self.binary, "run", "-c", "iap.yaml"], cwd=self.directory)
        self.host = self.processes["host"].pid

    def start_origin(self, name):
        self.processes[name] = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--origin", str(self.ports[name]), self.path(f"{name}.seen")])

    def start_nginx(self):
        os.makedirs(self.path("files/nginx"))
        with open(self.path("files/nginx/x"), "wb") as file:
            file.write(self.file)
        with open(self.path("nginx.conf"), "w") as file:
            file.write(f"daemon off; master_process off; pid nginx.pid; error_log nginx.error; events {{}}\n"
                       f"http {{ log_format seen '$arg_id $request_method'; access_log nginx.seen seen;\n"
                       f"server {{ listen 127.0.0.1:{self.ports['nginx']}; root files; add_header x-id $arg_id; }} }}\n")
        self.processes["nginx"] = subprocess.Popen([self.nginx, "-p", self.directory, "-c", self.path("nginx.conf"),
                                                    "-e", "nginx.error"], stderr=subprocess.DEVNULL)

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def admin_call(self, path, data=None):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", data, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self, name):
        text = self.admin_call("/metrics")[1]
        return [(dict(re.findall(r'(\w+)="([^"]*)"', line)), float(line.rsplit(" ", 1)[1]))
                for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]

    def files(self):
        return len(os.listdir(f"/proc/{self.host}/fd"))

    async def eventually(self, what, check, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if await asyncio.to_thread(check):
                    return True
            except OSError:
                pass
            await asyncio.sleep(0.1)
        self.ledger.problem(f"{what} did not happen in {seconds} s")
        return False

    def answers(self, port, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
            return response.read().decode()

    def nginx_listens(self):
        socket.create_connection(("127.0.0.1", self.ports["nginx"])).close()
        return True

    async def fill(self):
        """What remembers the last requests is full before memory is looked at."""
        if shutil.which("h2load"):
            url = f"http://127.0.0.1:{self.port}/version"
            run = await asyncio.create_subprocess_exec("h2load", "-n", "200000", "-c", "8", "--h1", url,
                                                       stdout=asyncio.subprocess.DEVNULL)
            await run.wait()

    async def work(self, task, number, end):
        client, rng = Client(self), random.Random(f"{task.__name__} {number}")
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(60):
                    await task(client, rng)
            except TimeoutError:
                self.ledger.problem(f"{task.__name__}: a request that does not end")
                client.close(hard=True)
            except OSError:
                await asyncio.sleep(0.1)
            await asyncio.sleep(rng.random() * 0.02)
        client.close()

    async def reload(self, end):
        """Good configurations are in use soon, bad ones are refused and change nothing."""
        turn = 0
        while time.monotonic() < end - 3:
            turn += 1
            self.version += 1
            if turn % 3 == 0:
                self.config("routes: what\n")
                status, _ = await asyncio.to_thread(self.admin_call, "/api/config/reload", b"")
                if status != 422:
                    self.ledger.problem(f"a bad configuration: {status}")
                self.version -= 1
            else:
                self.max_body = 8 + turn % 3 % 2
                self.config()
                if turn % 2:
                    os.kill(self.host, signal.SIGHUP)
                else:
                    status, text = await asyncio.to_thread(self.admin_call, "/api/config/reload", b"")
                    if status != 200:
                        self.ledger.problem(f"a good configuration: {status} {text}")
            wanted = f"v{self.version}"
            await self.eventually("a reload", lambda: self.answers(self.port, "/version") == wanted)
            await asyncio.sleep(3)

    async def kill(self, end):
        while time.monotonic() < end - 8:
            await asyncio.sleep(5)
            self.processes["a"].kill()
            self.processes["a"].wait()
            await asyncio.sleep(1)
            self.start_origin("a")

    async def sample(self, end):
        while time.monotonic() < end:
            with open(f"/proc/{self.host}/status") as file:
                self.resident.append(next(int(line.split()[1]) for line in file if line.startswith("VmRSS")))
            await asyncio.sleep(self.seconds / 400)

    async def run(self):
        self.start()
        await self.eventually("the start of the gateway", lambda: self.answers(self.port, "/version") == "v0")
        for name in ("a", "b"):
            await self.eventually(f"the start of {name}", lambda name=name: self.answers(self.ports[name], "/?id=none"))
        if self.nginx:
            await self.eventually("the start of nginx", self.nginx_listens)
        await self.fill()
        files = self.files()
        end = time.monotonic() + self.seconds
        tasks = [(gets, 12), (uploads, 6), (downloads, 2), (drips, 4), (aborts, 6), (tunnels, 4)]
        tasks += [(http2, 1)] if shutil.which("h2load") else []
        work = [self.work(task, number, end) for task, count in tasks for number in range(count)]
        await asyncio.gather(*work, self.reload(end), self.kill(end), self.sample(end))
        await self.eventually("no request in flight",
                              lambda: sum(value for _, value in self.metrics("iap_http_requests_active")) == 0)
        for name in self.processes.keys() - {"host"}:
            self.processes[name].kill()
        if not await self.eventually("as many open files as at the start", lambda: self.files() <= files + SPARE_FILES):
            print(f"{files} files were open at the start, {self.files()} are in the end")
        self.judge()

    def seen(self):
        counts = collections.Counter()
        for name in ("a", "b", "nginx"):
            if os.path.exists(self.path(f"{name}.seen")):
                with open(self.path(f"{name}.seen")) as file:
                    counts.update(line.split()[0] for line in file)
        return counts

    def judge(self):
        ledger, seen = self.ledger, self.seen()
        for key, (route, method) in ledger.sent.items():
            outcome, often = ledger.ended.get(key), seen[key]
            if outcome is None:
                ledger.problem(f"{route}: a request without an end")
            if often > (1 if method == "POST" else 2):
                ledger.problem(f"{route}: a {method} was seen {often} times")
            if outcome and outcome[:2] == ("answered", 200) and not often:
                ledger.problem(f"{route}: answered, but no origin has seen it")
            if outcome == ("failed", "before the answer") and often:
                ledger.problem(f"{route}: an origin has seen a {method} that nobody was told the end of")
        counted = collections.Counter()
        for labels, value in self.metrics("iap_http_requests_total"):
            counted[labels["route"]] += int(value)
        for route in ("steady", "flaky", "nginx", "tunnel", "aborted"):
            sent = sum(own == route for own, _ in ledger.sent.values())
            answered = ledger.count(route, "answered")
            broken = ledger.count(route, "failed", "in the body")
            if not answered + broken <= counted[route] <= sent:
                ledger.problem(f"{route}: {sent} sent, {answered} answered, but {counted[route]} counted")
            print(f"{route:8} {sent:7} sent  {answered:7} answered  {ledger.count(route, 'aborted'):6} aborted  "
                  f"{ledger.count(route, 'failed'):4} failed  {counted[route]:7} counted")
        total, succeeded = ledger.http2["total"], ledger.http2["succeeded"]
        print(f"{'http2':8} {total:7} sent  {succeeded:7} answered  {'':14} {ledger.http2['failed']:7} failed  "
              f"{counted['http2']:7} counted")
        if not succeeded <= counted["http2"] <= total:
            ledger.problem(f"http2: {succeeded} of {total} succeeded, but {counted['http2']} counted")
        self.judge_memory()

    def judge_memory(self):
        quarter = len(self.resident) // 4
        second, last = (sorted(part)[len(part) // 2] for part in (self.resident[quarter:2 * quarter],
                                                                  self.resident[3 * quarter:]))
        print(f"resident: {second / 1024:.1f} MiB in the second quarter, {last / 1024:.1f} in the last; "
              f"{self.version} reloads")
        if last > second + GROWTH:
            self.ledger.problem(f"memory has grown from {second} to {last} kB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", type=float, default=20)
    parser.add_argument("--binary", help="a gateway that is built already")
    parser.add_argument("--origin", nargs=2, metavar=("PORT", "LEDGER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.origin:
        return asyncio.run(origin(int(asked.origin[0]), asked.origin[1]))
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not asked.binary:
        subprocess.run(["cargo", "build", "--release", "-q", "-p", "iap-host"], cwd=root, check=True)
    binary = os.path.abspath(asked.binary or f"{root}/target/release/iap-host")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory:
        soak = Soak(directory, binary, asked.minutes * 60)
        try:
            asyncio.run(soak.run())
        finally:
            soak.stop()
    for text, count in soak.ledger.problems.most_common(20):
        print(f"does not balance: {text}" + (f" ({count} times)" if count > 1 else ""), file=sys.stderr)
    sys.exit(1 if soak.ledger.problems else 0)


if __name__ == "__main__":
    main()
