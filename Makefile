# Everything a contributor or a CI machine runs. `make help` lists it.

# Where cargo puts what it builds; an absolute CARGO_TARGET_DIR in the environment wins.
export CARGO_TARGET_DIR ?= $(CURDIR)/target

# How long `make fuzz` runs each target.
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help run build test lint fmt bench fuzz conformance peers deps deps-build deps-test deps-bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: deps-build ## Build weir for release and serve; ARGS adds arguments, such as ARGS="--config weir.yaml"
	cargo run --release -p weir-cli --bin weir -- serve $(ARGS)

build: deps-build ## Build the release binary
	cargo build --release -p weir-cli --bin weir

test: deps-test peers ## Run every test, those against real MCP servers and clients among them, and fuzz briefly
	cargo build --workspace --bins --tests
	WEIR_BIN="$(CARGO_TARGET_DIR)/debug/weir" cargo test --workspace --no-fail-fast
	scripts/fuzz 8

lint: deps-build ## Check formatting, clippy and the documentation
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

fmt: ## Format the code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

bench: deps-bench ## Run the benches, then the load harness against the release binary
	cargo bench -p weir-benches
	cargo build --release -p weir-cli --bin weir
	cargo run --release -p weir-benches --bin load -- --weir "$(CARGO_TARGET_DIR)/release/weir"

fuzz: deps-test ## Fuzz: SECONDS for each target (default 60); TARGETS names some of them
	scripts/fuzz $(SECONDS) $(TARGETS)

conformance: deps-test peers ## Run the MCP conformance suite through weir
	cargo build -p weir-cli --bin weir
	WEIR_BIN="$(CARGO_TARGET_DIR)/debug/weir" cargo test -p weir-tests --test conformance --test conformance_client -- --nocapture

peers: deps-test ## Install the MCP servers and clients that the tests use, from their lock files
	scripts/peers

deps: deps-build deps-test deps-bench ## Install every Debian package that this machine lacks

deps-build:
	scripts/deps build

deps-test:
	scripts/deps build test

deps-bench:
	scripts/deps build bench
