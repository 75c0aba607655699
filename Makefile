# The two commands of the README are `make demo` and `make test`.
CARGO ?= cargo
VENV := target/test-venv
DEBIAN := redis-server faketime valgrind tomcat10 tomcat10-examples default-jdk-headless chromium python3 python3-venv nodejs npm varnish prometheus groff-base
PYTHON := flask opentelemetry-sdk opentelemetry-instrumentation-flask opentelemetry-instrumentation-sqlite3 \
          opentelemetry-exporter-otlp-proto-http opentelemetry-exporter-otlp-proto-grpc aiosmtpd mcp
PYTHON_OPTIONAL := chdb-core zstandard rotel

.PHONY: demo build test test-tools lint docs examples bench cost drills faults mcp-conformance

## Build and start the platform with a shop, a load and the console. Ctrl-C ends all of it.
demo:
	@echo "Building the platform (the first time takes some minutes) ..."
	@$(CARGO) build --release -p iap-host
	@./target/release/iap-host demo $(DEMO)

build:
	$(CARGO) build --release -p iap-host

## All tests, against real servers.
test: test-tools
	$(CARGO) test --workspace --all-targets --no-fail-fast
	$(CARGO) test --workspace --doc

## What the tests need: Debian packages, a Python environment, a browser driver.
test-tools:
	@./tests/install-tools.sh "$(DEBIAN)" "$(VENV)" "$(PYTHON)" "$(PYTHON_OPTIONAL)"

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

## Each example starts, checks itself and ends.
examples:
	@for example in embed_pipeline custom_store apm_axum gateway_python; do \
	  echo "example $$example"; $(CARGO) run -q -p iap-examples --bin $$example -- --check || exit 1; \
	done

## What happens to sessions when Redis breaks: every drill, the long ones too, with its ledger.
drills:
	$(CARGO) test -p iap-session --test drills -- --include-ignored --nocapture --test-threads 2

## Faults of the demo: each is to be detected within 30 s and blamed rightly. Prints its ledger; takes an hour.
faults:
	$(CARGO) test -p iap-host --test faults -- --include-ignored --nocapture

bench:
	$(CARGO) bench -p iap-benches
	./benches/gateway.sh

## Hooks `()` cost nothing: counted in instructions, so it holds on a busy machine as well.
cost:
	./benches/hooks-cost.sh

## The official conformance suite of the Model Context Protocol, against a host; fails where what can be tried out on one does.
mcp-conformance: build
	@./tests/mcp-conformance/run.sh target/release/iap-host target/mcp-conformance
