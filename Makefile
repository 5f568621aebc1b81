# `make demo` and `make test` are all you need. Both install missing dependencies (see scripts/setup).

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
export PATH := $(TARGET)/tools/bin:$(PATH)

FUZZ_SECS ?= 20
SOAK_SECS ?= 120

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test check clients fuzz soak bench load install build release fmt clippy doc deny architecture unit features doctest instructions style

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## build the program and run it against a simulated backend: no account, no network
	@scripts/setup build
	@cargo build --locked -p codex-proxy-bin --bin codex-proxy
	@$(TARGET)/debug/codex-proxy demo

test: ## run every check: lints, docs, licences, all tests, real clients
	@scripts/setup test
	@$(MAKE) --no-print-directory fmt style clippy doc deny architecture build unit features doctest instructions soak clients
	@echo
	@echo "All checks passed. Not included: fuzzing (run make fuzz, as .ci/run does), and what only .github/workflows/ci.yml checks:"
	@echo "security advisories and yanked crates (which need the network), the oldest supported Rust, wasm32, semver, every combination"
	@echo "of features, macOS and Windows."

check: ## run the fast half: formatting, lints, unit and integration tests
	@scripts/setup check
	@$(MAKE) --no-print-directory fmt style clippy unit

clients: release ## test published clients with the release binary; CLIENT=aider runs one (a directory in clients/)
	@echo "── real clients"
	@clients/run $(if $(CLIENT),--client $(CLIENT))

fuzz: ## run each fuzz target for FUZZ_SECS seconds (20)
	@scripts/setup fuzz
	@scripts/fuzz $(FUZZ_SECS)

soak: build ## load test with faults: 1000 concurrent streams, 10000 requests that fail in many ways, at most SOAK_SECS (120)
	@echo "── soak"
	@$(TARGET)/debug/examples/soak 10000 $(SOAK_SECS)

bench: ## compare the crates with simple alternatives, and measure how soon a dropped reply is noticed
	@cargo bench --locked -p codex-translate --bench translate
	@cargo bench --locked -p codex-auth --bench bearer
	@cargo bench --locked -p codex-upstream --bench turn --bench cancel

load: ## compare the release binary end to end with a minimal proxy and with nginx; LOAD="--rounds 9 --only burst"
	@cargo build --locked --release -p codex-proxy-bin -p codex-load --bins
	@$(TARGET)/release/codex-load --json $(TARGET)/load.json $(LOAD)

install: ## build the release binary into ~/.cargo/bin
	@scripts/setup build
	cargo install --locked --path crates/codex-proxy-bin

# ---- steps

build:
	@echo "── build"
	@cargo build --locked --workspace --bins --examples

release:
	@echo "── release build"
	@cargo build --locked --release -p codex-proxy-bin -p codex-sim --bins

fmt:
	@echo "── formatting"
	@cargo fmt --all --check

style:
	@echo "── style"
	@scripts/check-style
	@typos

clippy:
	@echo "── lints"
	@cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

doc:
	@echo "── documentation"
	@RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps --document-private-items --lib --examples

deny:
	@echo "── dependencies: bans, licences, sources"
	@cargo deny --locked --log-level error check --hide-inclusion-graph bans licenses sources

architecture:
	@echo "── architecture"
	@scripts/check-architecture

unit:
	@echo "── unit, property and integration tests"
	@cargo nextest run --locked --workspace --all-targets

# The combinations of features that an embedder uses; the tests above have all of them.
features:
	@echo "── features"
	@for crate in codex-translate codex-auth codex-upstream codex-client codex-proxy-bin; do \
		cargo clippy --quiet --locked -p $$crate --lib --no-default-features -- -D warnings || exit; \
	done
	@cargo clippy --quiet --locked -p codex-client --lib --no-default-features --features client -- -D warnings
	@cargo clippy --quiet --locked -p codex-proxy-bin --lib --no-default-features --features config-file -- -D warnings
	@cargo clippy --quiet --locked -p codex-proxy-bin --lib --no-default-features --features simulator -- -D warnings
	@cargo nextest run --locked -p codex-translate --lib --no-default-features

instructions:
	@echo "── instruction counts of the hot paths"
	@cargo build --locked --release -p codex-instructions
	@scripts/instructions

doctest:
	@echo "── documentation examples"
	@cargo test --locked --workspace --doc --quiet
