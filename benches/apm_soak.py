#!/usr/bin/env python3
"""A steady load on the APM for a long time, with a ledger that has to balance to the record: what clients have sent is what was
made, what was made is kept, stood for by another or dropped, what is kept is found in the files; memory stays flat.

    benches/apm_soak.py [MINUTES] [--rate N] [--binary PATH]     (60 minutes, 5,000 requests/s; builds the release binary
                                                                  unless one is given)

Needs nginx and h2load. One request of a hundred fails. Beside them an application sends 500 spans a second by OTLP, some of
which are not valid. Exit code 1 with what does not balance.
"""

import argparse
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

GROWTH = 16 << 10  # Kilobytes that the last quarter may lie above the second.
SPANS = 100  # Of a request by OTLP; the last of them has no valid id.
PAUSE = 0.2


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(url, body=None):
    request = urllib.request.Request(url, body, {"content-type": "application/json"} if body else {})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


class Application(threading.Thread):
    """Sends spans of its own traces until it is stopped, and counts them."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.url, self.ended = f"http://127.0.0.1:{port}/v1/traces", threading.Event()
        self.sent = self.refused = self.failed = 0

    def run(self):
        while not self.ended.wait(PAUSE):
            now = time.time_ns()
            trace, ids = os.urandom(16).hex(), [os.urandom(8).hex() for _ in range(SPANS)]
            spans = [{"traceId": trace, "spanId": ids[n], "parentSpanId": ids[0] if n else "", "name": f"step {n % 10}",
                      "kind": 1, "startTimeUnixNano": str(now + n), "endTimeUnixNano": str(now + n + 1_000_000),
                      "attributes": [{"key": f"key {k}", "value": {"stringValue": f"value {k}"}} for k in range(5)]}
                     for n in range(SPANS)]
            spans[-1]["spanId"] = "00"
            service = {"attributes": [{"key": "service.name", "value": {"stringValue": "application"}}]}
            body = {"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]}
            try:
                answer = call(self.url, json.dumps(body).encode())
                self.sent += SPANS
                self.refused += int(answer.get("partialSuccess", {}).get("rejectedSpans", 0))
            except OSError:
                self.failed += 1


class Soak:
    def __init__(self, directory, binary, minutes, rate):
        self.directory, self.binary, self.seconds, self.rate = directory, binary, minutes * 60, rate
        self.origin, self.port, self.admin, self.otlp = (free_port() for _ in range(4))
        self.processes, self.resident, self.problems = [], [], []

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w") as file:
            file.write(text)

    def begin(self, *command):
        process = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def start(self):
        self.write("nginx.conf", f"""daemon off; master_process off; pid nginx.pid; error_log nginx.error; events {{}}
            http {{ access_log off; keepalive_requests 1000000000; server {{ listen 127.0.0.1:{self.origin};
            location / {{ return 200 hello; }} location /bad {{ return 500; }} }} }}""")
        self.begin("nginx", "-p", self.directory, "-c", os.path.join(self.directory, "nginx.conf"), "-e", "nginx.error")
        servers = f"upstream: {{servers: ['http://127.0.0.1:{self.origin}']}}"
        self.write("iap.yaml", f"""
server: {{listen: '127.0.0.1:{self.port}'}}
admin: {{listen: '127.0.0.1:{self.admin}'}}
sessions: {{enabled: false}}
apm: {{history: history, otlp: '127.0.0.1:{self.otlp}', max_size: 16GiB}}
log: {{level: warn}}
routes:
  - {{name: good, path: /good, {servers}}}
  - {{name: bad, path: /bad, {servers}}}
""")
        self.host = self.begin(self.binary, "run", "-c", "iap.yaml")
        self.wait("the gateway is ready", lambda: self.status()["ready"])

    def status(self):
        return call(f"http://127.0.0.1:{self.admin}/api/status")

    def wait(self, what, check, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if check():
                    return
            except OSError:
                pass
            time.sleep(0.2)
        self.problems.append(f"not within {seconds} s: {what}")

    def load(self, path, rate, clients):
        url = f"http://127.0.0.1:{self.port}/{path}/x"
        number = int(rate * self.seconds)
        return number, self.begin("h2load", "--h1", "-n", str(number), "-c", str(clients), f"--rps={rate // clients}", url)

    def sample(self):
        with open(f"/proc/{self.host.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def cpu(self):
        with open(f"/proc/{self.host.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self):
        self.start()
        application = Application(self.otlp)
        application.start()
        bad = self.rate // 100
        loads = [self.load("good", self.rate - bad, 50), self.load("bad", bad, 2)]
        begun = time.monotonic()
        pause = max(0.5, self.seconds / 720)
        while any(process.poll() is None for _, process in loads):
            self.resident.append(self.sample())
            if len(self.resident) % 60 == 0:
                print(f"{time.monotonic() - begun:6.0f} s, resident {self.resident[-1] / 1024:.1f} MiB", flush=True)
            time.sleep(pause)
        lasted = time.monotonic() - begun
        application.ended.set()
        application.join()
        answered = {name: self.answered(number, process) for name, (number, process) in zip(("good", "bad"), loads)}
        self.wait("nothing waits", lambda: all(self.waiting(account) == 0 for account in self.status()["ledger"].values()))
        self.judge(self.status(), answered, application)
        requests = sum(answered.values())
        print(f"{requests} requests in {lasted:.0f} s, {requests / lasted:.0f} a second; "
              f"CPU of the gateway {self.cpu() / lasted * 100:.0f} % of a core")
        self.host.terminate()
        self.host.wait(30)
        self.judge_files()
        self.judge_memory()

    @staticmethod
    def waiting(account):
        return account["made"] - account["kept"] - account["sampled_out"] - account["dropped"]

    def answered(self, number, process):
        text = process.communicate()[0].decode()
        total, done = map(int, re.search(r"requests: (\d+) total, \d+ started, (\d+) done", text).groups())
        errors = int(re.search(r"(\d+) errored", text).group(1))
        if not total == done == number or errors:
            self.problems.append(f"of {number} requests {done} were done, {errors} without an answer")
        return done

    def judge(self, status, answered, application):
        self.ledger = status["ledger"]
        print(f"{'':16} {'made':>12} {'kept':>12} {'sampled out':>12} {'dropped':>12}")
        for name, account in self.ledger.items():
            print(f"{name:16} " + " ".join(f"{account[key]:12}" for key in ("made", "kept", "sampled_out", "dropped")))
        self.agree("requests and transactions", sum(answered.values()), self.ledger["transactions"]["made"])
        # Each request has the stages "upstream" and "response"; the first of a connection has the connecting, too.
        connects = self.ledger["spans"]["made"] - 2 * self.ledger["transactions"]["made"]
        if not 0 <= connects <= 1_000 + self.ledger["transactions"]["made"] // 100:
            self.problems.append(f"{connects} spans beside two for each request")
        received = self.ledger["received_spans"]
        self.agree("spans by OTLP", application.sent, received["made"])
        self.agree("spans that were refused", application.refused, received["dropped"])
        if application.failed:
            self.problems.append(f"{application.failed} requests by OTLP were not taken")
        for name, account in self.ledger.items():
            if account["dropped"] and not name.startswith("received"):
                print(f"lost: {name} {account['dropped']} ({status['dropped']})")

    def judge_files(self):
        """What the ledger says is kept lies in the files."""
        rows, folder = 0, os.path.join(self.directory, "history")
        for name in os.listdir(folder):
            if name.endswith(".db"):
                with sqlite3.connect(os.path.join(folder, name)) as file:
                    tables = {row[0] for row in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
                    if "transactions" in tables:
                        rows += file.execute("SELECT count(*) FROM transactions WHERE rank = 0").fetchone()[0]
        self.agree("transactions kept and in files", self.ledger["transactions"]["kept"], rows)

    def agree(self, what, one, other):
        print(f"{what}: {one}, {other}")
        if one != other:
            self.problems.append(f"{what}: {one} and {other}")

    def judge_memory(self):
        quarter = len(self.resident) // 4
        parts = (self.resident[quarter:2 * quarter], self.resident[3 * quarter:])
        second, last = (sorted(part)[len(part) // 2] for part in parts)
        print(f"resident: {second / 1024:.1f} MiB in the second quarter, {last / 1024:.1f} in the last")
        if last > second + GROWTH:
            self.problems.append(f"memory has grown from {second} to {last} kB")

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", type=float, default=60)
    parser.add_argument("--rate", type=int, default=5_000, help="requests a second, a multiple of 5,000")
    parser.add_argument("--binary", help="a gateway that is built already")
    asked = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not asked.binary:
        subprocess.run(["cargo", "build", "--release", "-q", "-p", "iap-host"], cwd=root, check=True)
    binary = os.path.abspath(asked.binary or f"{root}/target/release/iap-host")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory:
        soak = Soak(directory, binary, asked.minutes, asked.rate)
        try:
            soak.run()
        finally:
            soak.stop()
    for text in soak.problems:
        print(f"does not balance: {text}", file=sys.stderr)
    sys.exit(1 if soak.problems else 0)


if __name__ == "__main__":
    main()
