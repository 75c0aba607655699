#!/usr/bin/env python3
"""What taking in spans by OTLP costs the receiving process, beside a collector that keeps nothing.

    benches/receivers.py [--binary PATH] [--rotel PATH] [--rounds N]    (builds the release binary unless one is given)

Requests of 1,000 spans of 100 traces with ten attributes each, as protobuf over HTTP, made beforehand, are sent by eight
connections, each after the answer to the one before. The receivers take turns. CPU seconds are those of the receiving process, user and
system. iap answers once the spans are in its history on the disk; rotel (PyPI) decodes them, answers and drops them ("blackhole"), or
sends them on to an iap by OTLP ("forward"). Needs the Python environment of `make test-tools`.
"""

import argparse
import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACES, SPANS, REQUESTS, SENDERS = 100, 10, 200, 8


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def request(rng):
    """A request as an application makes it: a root and calls of a database below."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    attribute(group.resource, "service.name", "shop")
    scope, now = group.scope_spans.add(), time.time_ns()
    for _ in range(TRACES):
        trace_id, root = rng.randbytes(16), rng.randbytes(8)
        for at in range(SPANS):
            span = scope.spans.add(trace_id=trace_id, span_id=rng.randbytes(8) if at else root, kind=3 if at else 2,
                                   parent_span_id=root if at else b"", name="SELECT orders" if at else "GET /orders/{id}")
            span.start_time_unix_nano = now + rng.randrange(10**8)
            span.end_time_unix_nano = span.start_time_unix_nano + rng.randrange(10**7)
            for key, value in [("http.request.method", "GET"), ("http.route", f"/shop/route{rng.randrange(20)}/{{id}}"),
                               ("url.path", f"/shop/orders/{rng.randrange(100_000)}"), ("server.address", "shop.example"),
                               ("network.peer.address", f"10.0.{rng.randrange(4)}.{rng.randrange(250)}"),
                               ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
                               ("db.system.name", "postgresql"),
                               ("db.query.text", f"SELECT * FROM orders WHERE customer = $1 LIMIT {rng.randrange(50)}")]:
                attribute(span, key, value)
            span.attributes.add(key="http.response.status_code").value.int_value = 200
            span.attributes.add(key="server.port").value.int_value = 8080
    return message.SerializeToString()


def attribute(of, key, value):
    of.attributes.add(key=key).value.string_value = value


def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connects(port):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


class Receiver:
    def __init__(self, name, command, port, directory):
        self.name, self.port, self.best = name, port, 0.0
        self.process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connects(port)

    def measure(self, seeds):
        """Spans that were acknowledged for each CPU second of the process."""
        bodies = [request(random.Random(seed)) for seed in seeds]
        lock, taken = threading.Lock(), []

        def send():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            while True:
                with lock:
                    body = bodies.pop() if bodies else None
                if body is None:
                    return
                connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    taken.append(1)

        before, senders = cpu(self.process.pid), [threading.Thread(target=send) for _ in range(SENDERS)]
        begun = time.monotonic()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        lasted = time.monotonic() - begun
        time.sleep(1)  # What is done after the answer belongs to it, too.
        spent = cpu(self.process.pid) - before
        rate = len(taken) * TRACES * SPANS / spent
        self.best = max(self.best, rate)
        print(f"{self.name:28} {len(taken):4} of {len(seeds)} requests, {lasted:5.1f} s, {spent:5.2f} CPU s, {rate:9.0f} spans a CPU second",
              flush=True)


def iap(binary, directory, name):
    port, folder = free_port(), os.path.join(directory, name.replace(" ", "-"))
    os.makedirs(folder)
    with open(os.path.join(folder, "iap.yaml"), "w") as file:
        file.write(f"server: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\nsessions: {{enabled: false}}\n"
                   f"apm: {{history: history, otlp: '127.0.0.1:{port}', max_size: 16GiB, runtime: {{interval: 60s, store: 60s}}}}\n"
                   "log: {level: warn}\n")
    return Receiver(name, [binary, "run", "-c", "iap.yaml"], port, folder)


def rotel(binary, directory, name, options):
    port, grpc = free_port(), free_port()
    command = [binary, "start", "--pid-file", os.path.join(directory, f"{name}.pid"), "--otlp-http-endpoint",
               f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", *options]
    return Receiver(name, command, port, directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="a gateway that is built already")
    parser.add_argument("--rotel", help="the collector, where it is not in this Python environment")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not asked.binary:
        subprocess.run(["cargo", "build", "--release", "-q", "-p", "iap-host"], cwd=root, check=True)
    binary = os.path.abspath(asked.binary or f"{root}/target/release/iap-host")
    found = find_spec("rotel")
    collector = asked.rotel or (found and os.path.join(found.submodule_search_locations[0], "rotel-agent"))
    receivers, behind, directory = [], None, tempfile.mkdtemp()
    try:
        receivers.append(iap(binary, directory, "iap, kept on the disk"))
        if collector:
            receivers.append(rotel(collector, directory, "rotel, dropped", ["--exporter", "blackhole"]))
            behind = iap(binary, directory, "behind")
            forward = ["--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint",
                       f"http://127.0.0.1:{behind.port}"]
            receivers.append(rotel(collector, directory, "rotel, sent on", forward))
        else:
            print("rotel is not installed: pip install rotel", file=sys.stderr)
        for turn in range(asked.rounds):
            for at, receiver in enumerate(receivers):
                receiver.measure([f"{turn} {at} {n}" for n in range(REQUESTS)])
        for receiver in receivers:
            print(f"{receiver.name:28} {receiver.best / receivers[0].best:5.2f} of iap's spans a CPU second, at best")
    finally:
        for receiver in receivers + ([behind] if behind else []):
            receiver.process.kill()
            receiver.process.wait()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
