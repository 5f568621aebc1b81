# Two commands do it all: `make demo` and `make test`. Both install what is missing (see scripts/setup).

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
export PATH := $(TARGET)/tools/bin:$(PATH)

# `--examples` makes no example, there being none in the crates: it makes Cargo choose the dependencies' features as for tests,
# so that nothing is compiled a second time for `make test`.
BUILD := cargo build --locked --workspace --bins --examples

FUZZ_SECS ?= 20
SOAK_SECS ?= 120

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test check clients fuzz soak bench load install build release fmt clippy doc deny architecture unit doctest instructions style

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## build, and show the program at work over a simulated backend: no account, no network
	@scripts/setup build
	@$(MAKE) --no-print-directory build
	@$(TARGET)/debug/codex-proxy demo

test: ## check everything: lints, docs, licences, all tests, real clients
	@scripts/setup test
	@$(MAKE) --no-print-directory fmt style clippy doc deny architecture build unit doctest instructions soak clients
	@echo
	@echo "All passed. Left out here: fuzzing (make fuzz; .ci/run does it too); and, done by .github/workflows/ci.yml alone, security"
	@echo "advisories and yanked crates (their database needs the network), the oldest supported Rust, wasm32, semver, macOS and Windows."

check: ## the fast half: formatting, lints, unit and integration tests
	@scripts/setup check
	@$(MAKE) --no-print-directory fmt style clippy unit

clients: release ## published clients against the release binary; CLIENT=aider runs one (a directory in clients/)
	@echo "── real clients"
	@clients/run $(if $(CLIENT),--client $(CLIENT))

fuzz: ## each fuzz target for FUZZ_SECS seconds (20)
	@scripts/setup fuzz
	@scripts/fuzz $(FUZZ_SECS)

soak: build ## load and faults: 1000 streams at once, 10000 requests that go wrong in many ways, in at most SOAK_SECS (120)
	@echo "── soak"
	@$(TARGET)/debug/examples/soak 10000 $(SOAK_SECS)

bench: ## measure the crates beside plain ways, and how soon a dropped reply is noticed
	@cargo bench --locked -p codex-translate --bench translate
	@cargo bench --locked -p codex-auth --bench bearer
	@cargo bench --locked -p codex-upstream --bench turn --bench cancel

load: ## measure the release binary end to end beside the least a proxy can do, and beside nginx; LOAD="--rounds 9 --only burst"
	@cargo build --locked --release -p codex-proxy-bin -p codex-load --bins
	@$(TARGET)/release/codex-load --json $(TARGET)/load.json $(LOAD)

install: ## build the release binary into ~/.cargo/bin
	@scripts/setup build
	cargo install --locked --path crates/codex-proxy-bin

# ---- the steps

build:
	@echo "── build"
	@$(BUILD)

release:
	@echo "── build, as it is released"
	@cargo build --locked --release -p codex-proxy-bin -p codex-sim --bins

fmt:
	@echo "── formatting"
	@cargo fmt --all --check

style:
	@echo "── style"
	@scripts/check-style

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

instructions:
	@echo "── instructions of the hot paths"
	@cargo build --locked --release -p codex-instructions
	@scripts/instructions

doctest:
	@echo "── examples in the documentation"
	@cargo test --locked --workspace --doc --quiet
