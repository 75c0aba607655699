"""ClickHouse's own engine (PyPI: chdb-core) behind ClickHouse's HTTP interface, for tests.

Speaks the part of the interface that a client uses: statements in the body, or in `query` with rows in the body;
`param_*`; settings in the query string; `X-ClickHouse-User`, `-Key`, `-Database`, `-Exception-Code`; gzip and zstd.
Prints its port, and ends when its standard input does.

usage: clickhouse.py DIRECTORY [USER PASSWORD] [CERTIFICATE KEY]
"""

import gzip
import os
import re
import ssl
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import zstandard
from chdb.session import Session

DIRECTORY = sys.argv[1]
USER, PASSWORD = (sys.argv[2], sys.argv[3]) if len(sys.argv) > 3 else ("default", "")
CERTIFICATE = sys.argv[4:6]
# Parameters of the interface itself; all others are settings of the statement.
INTERFACE = {"query", "database", "wait_end_of_query", "enable_http_compression"}

session = Session(os.path.join(DIRECTORY, "data"))
lock = threading.Lock()


class Refused(Exception):
    def __init__(self, status, code, text):
        super().__init__(text)
        self.status, self.code = status, code


def run(sql, database, params, settings, rows):
    """One statement; the session has one at a time."""
    settings = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
    with lock:
        session.query(f"USE `{database}`")
        if rows is None:
            if settings and re.match(r"\s*SELECT", sql):
                sql += f" SETTINGS {settings}"
            return session.query(sql, "TSV", params=params).bytes()
        head, form = sql.rsplit("FORMAT", 1)
        with tempfile.NamedTemporaryFile(dir=DIRECTORY) as file:
            file.write(rows)
            file.flush()
            session.query(f"{head} FROM INFILE '{file.name}' SETTINGS {settings} FORMAT {form}")
        return b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves as one piece, at once.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.answer(200, self.ask(body))
        except Refused as refused:
            self.answer(refused.status, f"{refused}\n".encode(), refused.code)
        except Exception as error:  # The engine has one kind of its own, with the code in the text.
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            code = int(code.group(1)) if code else 1002
            self.answer(404 if code in (60, 81) else 500, f"{text}\n".encode(), code)

    def ask(self, body):
        if (self.headers.get("X-ClickHouse-User", "default"), self.headers.get("X-ClickHouse-Key", "")) != (
            USER,
            PASSWORD,
        ):
            raise Refused(403, 516, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
        encoding = self.headers.get("Content-Encoding")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        params = {name[6:]: value for name, value in query.items() if name.startswith("param_")}
        settings = {
            name: value
            for name, value in query.items()
            if name not in INTERFACE and not name.startswith("param_")
        }
        database = self.headers.get("X-ClickHouse-Database", "default")
        if "query" in query:
            return run(query["query"], database, params, settings, body)
        return run(body.decode(), database, params, settings, None)

    def answer(self, status, body, code=None):
        self.send_response(status)
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        elif "zstd" in self.headers.get("Accept-Encoding", "") and "enable_http_compression=1" in self.path:
            body = zstandard.ZstdCompressor(level=1).compress(body)
            self.send_header("Content-Encoding", "zstd")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if CERTIFICATE:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*CERTIFICATE)
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
# The engine does not end tidily by itself.
os._exit(0)
