#!/usr/bin/env bash
# Our gateway, nginx, HAProxy and Pingora as reverse proxies, side by side in one run, with wrk, and h2load for
# HTTP/2. Prints requests per second and per CPU-second, as ratios to nginx: machines are noisy, ratios hold.
#
#   benches/gateway.sh [SECONDS] [ROUNDS]      (Debian packages: nginx-light haproxy wrk nghttp2-client openssl;
#                                               PINGORA=1 builds and measures Pingora as well)
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-5} rounds=${2:-3} connections=64
for tool in nginx haproxy wrk h2load openssl; do
  command -v $tool >/dev/null ||
    { echo "install it first: apt-get install nginx-light haproxy wrk nghttp2-client openssl" >&2; exit 1; }
done
[ -n "${HOST:-}" ] || cargo build --release -q -p iap-host
host=${HOST:-${CARGO_TARGET_DIR:-$PWD/target}/release/iap-host}
pingora=$PWD/benches/pingora/target/release/pingora-proxy
[ -z "${PINGORA:-}" ] || cargo build --release -q --manifest-path benches/pingora/Cargo.toml
dir=$(mktemp -d)
chmod 755 "$dir" # Workers of nginx run as another user.
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT

origin=18080
cat > "$dir/origin.conf" <<CONF
daemon off; worker_processes 1; pid $dir/origin.pid; error_log $dir/origin.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path $dir/o1; proxy_temp_path $dir/o2;
  fastcgi_temp_path $dir/o3; uwsgi_temp_path $dir/o4; scgi_temp_path $dir/o5; root $dir/www;
  server { listen 127.0.0.1:$origin; location = / { return 200 "hello, world!"; } location / {} } }
CONF
mkdir "$dir/www"
head -c 2048 /dev/zero > "$dir/www/2k"
head -c 65536 /dev/zero > "$dir/www/64k"
head -c 1048576 /dev/zero > "$dir/www/1m"
nginx -c "$dir/origin.conf" & sleep 0.3
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
cat "$dir/cert.pem" "$dir/key.pem" > "$dir/both.pem"

cat > "$dir/nginx.conf" <<CONF
daemon off; worker_processes 2; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path $dir/n1; proxy_temp_path $dir/n2;
  fastcgi_temp_path $dir/n3; uwsgi_temp_path $dir/n4; scgi_temp_path $dir/n5;
  upstream origin { server 127.0.0.1:$origin; keepalive 128; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:18081; listen 127.0.0.1:18181 ssl http2; ssl_certificate $dir/cert.pem;
    ssl_certificate_key $dir/key.pem; location / { proxy_pass http://origin; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Host \$host; proxy_set_header X-Forwarded-For \$remote_addr; } } }
CONF
cat > "$dir/haproxy.cfg" <<CONF
global
  nbthread 2
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend f
  bind 127.0.0.1:18082
  bind 127.0.0.1:18182 ssl crt $dir/both.pem alpn h2,http/1.1
  default_backend b
backend b
  server origin 127.0.0.1:$origin
CONF
ours() { # PORT APM SESSIONS
  cat > "$dir/iap-$1.yaml" <<CONF
server: {listen: 127.0.0.1:$1, workers: 2, tls: {listen: 127.0.0.1:$(($1 + 100)), certificate: $dir/cert.pem, key: $dir/key.pem}}
admin: {listen: 127.0.0.1:$(($1 + 1000))}
sessions: {enabled: $3, api: 127.0.0.1:$(($1 + 2000))}
apm: {enabled: $2, history: $dir/history-$1, otlp: 127.0.0.1:$(($1 + 3000))}
log: {level: warn}
routes: [{name: origin, path: /, upstream: {servers: ['http://127.0.0.1:$origin']}}]
CONF
  exec "$host" run -c "$dir/iap-$1.yaml"
}

declare -A port pid
port=([nginx]=18081 [haproxy]=18082 [iap]=18083 [iap+apm]=18084 [iap+apm+session]=18085)
nginx -c "$dir/nginx.conf" & pid[nginx]=$!
haproxy -f "$dir/haproxy.cfg" -db & pid[haproxy]=$!
ours 18083 false false & pid[iap]=$!
ours 18084 true false & pid[iap+apm]=$!
ours 18085 true true & pid[iap+apm+session]=$!
names=(nginx haproxy iap iap+apm iap+apm+session)
if [ -n "${PINGORA:-}" ]; then
  "$pingora" 127.0.0.1:18086 127.0.0.1:$origin & pid[pingora]=$!
  port[pingora]=18086 names+=(pingora)
fi
sleep 1.5

# CPU ticks of a process and all below it.
ticks() {
  local total=0 p
  for p in $1 $(pgrep -P "$1" || true) $(for c in $(pgrep -P "$1" || true); do pgrep -P "$c" || true; done); do
    [ -r "/proc/$p/stat" ] && total=$((total + $(awk '{print $14 + $15}' "/proc/$p/stat")))
  done
  echo "$total"
}
hz=$(getconf CLK_TCK)
# One measurement by wrk: requests, requests a second, p99, answers that were none.
by_wrk() { # URL
  wrk -t1 -c$connections -d"$seconds" --latency "$1" | awk '/requests in/ {n = $1} /Requests\/sec/ {rate = $2}
    $1 == "99%" {p99 = $2} /Non-2xx/ {bad = $NF} END {print n, rate, p99, bad + 0}'
}
# The same by h2load: 8 connections with 8 streams each. It tells no p99.
by_h2load() { # URL
  h2load -t1 -c8 -m8 -D"$seconds" "$1" | awk '/^finished in/ {rate = $4} /^requests:/ {n = $8; bad = $10 + $12}
    END {print n, rate, "0us", bad + 0}'
}
: > "$dir/results"
measure() { # ROW TOOL SCHEME PATH PORT-OFFSET
  local row=$1 tool=$2 name round before after url
  for round in $(seq 0 "$rounds"); do
    for name in "${names[@]}"; do
      [ "$5" = 0 ] || [ "$name" != pingora ] || continue
      url=$3://127.0.0.1:$((port[$name] + $5))$4
      # The first round warms up.
      [ "$round" -gt 0 ] || { wrk -t1 -c$connections -d1 "$url" >/dev/null; continue; }
      before=$(ticks "${pid[$name]}")
      read -r requests rate p99 bad < <($tool "$url")
      after=$(ticks "${pid[$name]}")
      echo "$row $name $rate $requests $((after - before)) $hz $p99 $bad" >> "$dir/results"
    done
  done
}
for path in / /2k /64k /1m; do measure $path by_wrk http $path 0; done
measure tls:/ by_wrk https / 100
measure h2:/ by_h2load https / 100
awk '
  function ms(t) { if (t ~ /us$/) return t / 1000; if (t ~ /ms$/) return t + 0; return t * 1000 }
  { key = $1 " " $2; n[key]++; rate[key] += $3; cpu[key] += $4 / ($5 ? $5 / $6 : 0.01); p99[key] += ms($7); bad[key] += $8
    if (!($1 in seen)) { seen[$1] = 1; paths[++np] = $1 } if (!($2 in known)) { known[$2] = 1; names[++nn] = $2 } }
  END { printf "%-6s %-18s %10s %8s %12s %8s %8s %6s\n", "path", "proxy", "req/s", "ratio", "req/CPU-s", "ratio", "p99 ms", "bad"
    for (i = 1; i <= np; i++) for (j = 1; j <= nn; j++) { k = paths[i] " " names[j]; if (!n[k]) continue; b = paths[i] " nginx"
      printf "%-6s %-18s %10.0f %8.2f %12.0f %8.2f %8.2f %6d\n", paths[i], names[j], rate[k] / n[k], rate[k] / rate[b], \
        cpu[k] / n[k], cpu[k] / cpu[b], p99[k] / n[k], bad[k] } }' "$dir/results"
