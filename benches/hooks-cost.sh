#!/usr/bin/env bash
# Counts what hooks cost, in instructions of the worker thread a proxied request (valgrind's callgrind; they do
# not depend on how busy the machine is), and checks that hooks `()` cost nothing: no instruction of the worker
# comes from a line of an observer.
#
#   benches/hooks-cost.sh      (Debian package: valgrind)
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "install it first: apt-get install valgrind" >&2; exit 1; }
cargo build --profile cost -q -p iap-core --example hooks_cost
program=${CARGO_TARGET_DIR:-target}/cost/examples/hooks_cost
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
few=500 many=1500
for arm in off on; do
  for requests in $few $many; do
    valgrind --tool=callgrind --separate-threads=yes --dump-line=yes --callgrind-out-file="$dir/$arm.$requests" \
      "$program" "$arm" "$requests" 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
  done
  python3 benches/hooks_cost.py "$arm" $few $many "$dir"
done
