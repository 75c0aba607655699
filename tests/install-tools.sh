#!/usr/bin/env bash
# Installs what the tests need, where it can; says clearly what is missing where it cannot.
# usage: install-tools.sh "DEBIAN PACKAGES" VENV "PYTHON PACKAGES" "OPTIONAL PYTHON PACKAGES"
set -u
packages=$1 venv=$2 python_packages=$3 optional_packages=$4

missing=()
have() {
  case $1 in
    redis-server) command -v redis-server ;;
    tomcat10) test -e /usr/share/tomcat10/bin/catalina.sh ;;
    tomcat10-examples) test -e /usr/share/tomcat10-examples/examples ;;
    default-jdk-headless) command -v javac && command -v jar ;;
    chromium) command -v chromium ;;
    python3) command -v python3 ;;
    python3-venv) python3 -c 'import venv, ensurepip' ;;
    nodejs) command -v node ;;
    npm) command -v npm ;;
    varnish) command -v varnishtest ;;
    groff-base) command -v groff ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}
for package in $packages; do have "$package" || missing+=("$package"); done

if [ ${#missing[@]} -gt 0 ]; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo -n"
  if command -v apt-get >/dev/null && { [ -z "$sudo" ] || sudo -n true 2>/dev/null; }; then
    echo "Installing: ${missing[*]}"
    $sudo apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
      echo "These packages could not be installed: ${missing[*]}" >&2
      exit 1
    }
    # Debian starts services when they are installed; the tests start their own on free ports.
    for service in redis-server tomcat10 varnish prometheus; do
      $sudo systemctl stop "$service" >/dev/null 2>&1 || true
    done
  else
    echo "The tests need these packages: ${missing[*]}" >&2
    echo "Install them as root and run this again: apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

if ! "$venv/bin/python" -c 'import flask, aiosmtpd, mcp, opentelemetry.instrumentation.flask, opentelemetry.instrumentation.sqlite3, opentelemetry.exporter.otlp.proto.grpc' 2>/dev/null; then
  echo "Preparing the Python environment in $venv"
  # shellcheck disable=SC2086 # A list of packages.
  python3 -m venv "$venv" && "$venv/bin/python" -m pip install -q --disable-pip-version-check $python_packages || {
    echo "Python's packages could not be installed: $python_packages" >&2
    exit 1
  }
fi

# ClickHouse's engine and a collector, which are large and not made for every machine: tests of them are skipped without.
if ! "$venv/bin/python" -c 'import chdb, zstandard; from importlib.util import find_spec; assert find_spec("rotel")' 2>/dev/null; then
  # shellcheck disable=SC2086 # A list of packages.
  "$venv/bin/python" -m pip install -q --disable-pip-version-check $optional_packages ||
    echo "Tests that need these are skipped: $optional_packages" >&2
fi
