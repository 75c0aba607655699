#!/usr/bin/env python3
"""What idle costs: memory of a gateway at rest, of each untouched connection, of each parked keep-alive, and
the time from the start of the process to its first response with 100 routes.

    benches/idle.py [CONNECTIONS]      (builds the release binary first, unless HOST names one; needs two file
                                        descriptors a connection)
"""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time

connections = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections * 2 + 1000), hard))
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
binary = os.environ.get("HOST")
if binary is None:
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "iap-host"], cwd=root, check=True)
    binary = f"{root}/target/release/iap-host"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def resident(pid):
    """Kilobytes in memory."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])


def connect(port):
    client = socket.socket()
    client.connect(("127.0.0.1", port))
    return client


REQUEST = b"GET /r1 HTTP/1.1\r\nhost: bench\r\n\r\n"


def ask(client):
    client.sendall(REQUEST)
    data = b""
    while not data.endswith(b"ok"):
        data += client.recv(4096)


with tempfile.TemporaryDirectory() as directory:
    port = free_port()
    routes = "\n".join(f"  - {{name: r{n}, path: /r{n}, respond: {{status: 200, body: ok}}}}" for n in range(100))
    with open(f"{directory}/iap.yaml", "w") as file:
        file.write(f"server: {{listen: 127.0.0.1:{port}}}\nadmin: {{listen: 127.0.0.1:0}}\napm: {{enabled: false}}\n"
                   f"sessions: {{enabled: false}}\nlog: {{level: warn}}\nroutes:\n{routes}\n")
    starts = []
    for _ in range(5):
        began = time.perf_counter()
        host = subprocess.Popen([binary, "run", "-c", "iap.yaml"], cwd=directory)
        while True:
            try:
                ask(connect(port))
                break
            except OSError:
                time.sleep(0.0005)
        starts.append((time.perf_counter() - began) * 1000)
        if len(starts) < 5:
            host.kill()
            host.wait()
    try:
        print(f"start to first response, 100 routes: {min(starts):.1f} ms at best, {sorted(starts)[2]:.1f} in the middle")
        time.sleep(1)
        rest = resident(host.pid)
        print(f"resident at rest: {rest / 1024:.1f} MiB")
        clients = [connect(port) for _ in range(connections)]
        time.sleep(2)
        untouched = resident(host.pid)
        print(f"{connections} untouched connections: {(untouched - rest) * 1024 / connections:.0f} bytes each")
        for client in clients:
            ask(client)
        # They rest after a second. The allocator gives memory back while others go on, within ten seconds.
        busy = [connect(port) for _ in range(16)]
        until = time.monotonic() + 12
        while time.monotonic() < until:
            for client in busy:
                ask(client)
            time.sleep(0.05)
        parked = resident(host.pid)
        print(f"{connections} parked after one request: {(parked - rest) * 1024 / connections:.0f} bytes each")
    finally:
        host.kill()
        host.wait()
