#!/usr/bin/env python3
"""Sessions in one Redis (and in a cluster of three) behind 1, 2 and 4 gateways: requests a second, and what
they take of the gateways' and of Redis' processors. Needs a release build, redis-server and wrk.

usage: benches/session_gateways.py [seconds]

The gateways have one worker each. On a machine with as many processors as all of that wants, requests a second grow with
the gateways; on a smaller one it is requests per CPU second that show what more gateways cost: nothing, if they stay."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = ROOT / "target/release/iap-host"
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
TICK = os.sysconf("SC_CLK_TCK")


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def up(number):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", number), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {number}")


def cpu(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def redis(directory, cluster):
    number = port()
    args = ["redis-server", "--port", str(number), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    if cluster:
        args += ["--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{number}.conf"]
    server = subprocess.Popen(args, stdout=subprocess.DEVNULL)
    up(number)
    return server, number


def gateway(directory, url, number):
    file = pathlib.Path(directory) / f"iap-{number}.yaml"
    file.write_text(f"""
server: {{listen: 127.0.0.1:{number}, workers: 1}}
admin: {{listen: 127.0.0.1:{port()}}}
sessions: {{store: redis, redis: {{url: '{url}', connections: 2}}, secret: {{env: SECRET}}, api: 127.0.0.1:{port()}}}
apm: {{enabled: false}}
log: {{level: warn}}
routes: [{{name: shop, path: /, service: demo-shop}}]
""")
    environment = {**os.environ, "SECRET": "the secret of this benchmark"}
    process = subprocess.Popen([HOST, "run", "-c", file], env=environment, cwd=directory)
    up(number)
    return process


def session(number):
    answer = subprocess.run(
        ["curl", "-si", f"http://127.0.0.1:{number}/cart", "-d", "product=1"], capture_output=True, text=True, check=True
    ).stdout
    return re.search(r"set-cookie: ([^;]+)", answer).group(1)


def measure(directory, url, servers, gateways):
    ports = [port() for _ in range(gateways)]
    processes = [gateway(directory, url, number) for number in ports]
    cookies = [session(ports[0]) for _ in range(20)]
    script = pathlib.Path(directory) / "cookies.lua"
    lines = "\n".join(f'cookies[{index}] = "{cookie}"' for index, cookie in enumerate(cookies))
    script.write_text(f"""
cookies = {{}}
{lines}
local turn = 0
function request()
  turn = turn + 1
  return wrk.format("GET", "/cart", {{["Cookie"] = cookies[turn % {len(cookies)}]}})
end
""")
    before = [cpu(process) for process in processes], [cpu(server) for server in servers]
    load = [
        subprocess.Popen(
            ["wrk", "-t1", f"-c{48 // gateways}", f"-d{SECONDS}", "-s", script, f"http://127.0.0.1:{number}"],
            stdout=subprocess.PIPE, text=True,
        )
        for number in ports
    ]
    output = [process.communicate()[0] for process in load]
    if any("Non-2xx" in text for text in output):
        sys.exit(f"requests failed:\n{output}")
    requests = sum(int(re.search(r"(\d+) requests in", text).group(1)) for text in output)
    ours = sum(cpu(process) for process in processes) - sum(before[0])
    theirs = sum(cpu(server) for server in servers) - sum(before[1])
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait()
    return requests / SECONDS, requests / ours, requests / theirs


def main():
    print("| Redis | gateways | requests/s | per CPU second of the gateways | per CPU second of Redis |")
    print("|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as directory:
        for cluster in (False, True):
            servers = [redis(directory, cluster) for _ in range(3 if cluster else 1)]
            url = f"redis://127.0.0.1:{servers[0][1]}"
            if cluster:
                nodes = [f"127.0.0.1:{number}" for _, number in servers]
                subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"],
                               check=True, stdout=subprocess.DEVNULL)
                time.sleep(3)
                url = f"redis-cluster://{nodes[0]}?" + "&".join(f"node={node}" for node in nodes[1:])
            for gateways in (1, 2, 4):
                row = measure(directory, url, [server for server, _ in servers], gateways)
                kind = "cluster of 3" if cluster else "one server"
                print(f"| {kind} | {gateways} | {row[0]:.0f} | {row[1]:.0f} | {row[2]:.0f} |", flush=True)
            for server, _ in servers:
                server.kill()
                server.wait()


main()
