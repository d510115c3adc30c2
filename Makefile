# The same on a laptop and in CI. Needs Rust, Node (20.19 or newer) and a C compiler; .ci/needs gets or asks for the rest.

.PHONY: run test needs fmt fmt-check lint unit web e2e e2e-sdks bench bench-scale torture once otel fuzz acme package package-try help
.DEFAULT_GOAL := help

CARGO ?= cargo
NPM ?= npm
CHROMIUM ?= /usr/bin/chromium
export CHROMIUM

help: ## Say what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: web ## Build everything and start it on https://localhost:8443 (ARGS="--ephemeral" and so on)
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) run --locked --bin doorward -- dev $(ARGS)

test: needs fmt-check web lint unit e2e ## Everything that CI runs

fmt: ## Format the Rust code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml

fmt-check:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check

lint: web ## Clippy without warnings, types of the web app, licences and advisories where cargo-deny is installed
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) clippy --locked --workspace --features server/otel -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; else echo "cargo-deny is not installed: licences and advisories are not checked"; fi

unit: web ## Unit and integration tests, on SQLite and PostgreSQL
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) test --locked --workspace
	cd apps/account && $(NPM) test

e2e: web e2e/node_modules/.package-lock.json ## The built binary with real SDKs in Chromium (TESTS="account.test.js" for some)
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) build --locked --bin doorward
	cd e2e && node run.js $(TESTS)

e2e-sdks: web ## Clients in other languages (needs Python, Go, a JDK of 17 or newer and Maven; ARGS="python" for some)
	@command -v python3 >/dev/null || { echo "python3 is missing: it runs auth0-python and Authlib" >&2; exit 1; }
	@command -v go >/dev/null || { echo "go is missing: it runs go-auth0 and go-oidc" >&2; exit 1; }
	@command -v mvn >/dev/null && command -v keytool >/dev/null || { echo "mvn or keytool is missing: they run auth0-java" >&2; exit 1; }
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) build --locked --bin doorward
	cd e2e && node sdks/run.js $(ARGS)

bench: web e2e/node_modules/.package-lock.json ## The hot endpoints against one signature of the same run (ARGS=--quick for a short look)
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) bench --locked -p server --bench hot -- $(ARGS)

bench-scale: web ## What is looked up among 10,000, 100,000 and 1,000,000 users (SIZES="10000 100000" for fewer, BENCH_DATABASE=postgres://… for another database)
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) bench --locked -p server --bench scale

torture: web ## Kills, outages, a full disk, jumping clocks, stops and upgrades, with a ledger at the end: 15 minutes (HOURS=n for longer)
	CARGO="$(CARGO)" .ci/torture

once: web ## Races for what is good once, long (ROUNDS=10000 by default)
	DOORWARD_REQUIRE_ACCOUNT=1 ROUNDS=$(or $(ROUNDS),10000) $(CARGO) test --locked --release -p server --test it storage::once -- --nocapture --test-threads=1

otel: web ## Traces for OpenTelemetry: builds the feature and runs its tests
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) test --locked --workspace --features server/otel --test it program::traces

fuzz: ## Feed every parser of what strangers send, ten minutes each (needs cargo-fuzz and a nightly toolchain; TARGETS="jwt dpop" for some, SECONDS_EACH=60)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
	@cd fuzz && for target in $(or $(TARGETS),$(notdir $(wildcard fuzz/seeds/*))); do mkdir -p corpus/$$target && \
		$(CARGO) +nightly fuzz run $$target corpus/$$target seeds/$$target -- -dict=words.dict -max_len=4096 -rss_limit_mb=2048 \
		-max_total_time=$(or $(SECONDS_EACH),600) || exit 1; done

acme: web ## Certificates from a test authority (needs Go, which builds it)
	@command -v go >/dev/null || { echo "go is missing: it builds the authority, pebble" >&2; exit 1; }
	GOBIN=$(CURDIR)/target/acme go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1
	DOORWARD_REQUIRE_ACCOUNT=1 PEBBLE=$(CURDIR)/target/acme/pebble $(CARGO) test --locked --workspace --test it program::acme -- --ignored

package: web ## The program, its licences and its guides in one archive under target/package, and as a Debian package where dpkg-deb is
	DOORWARD_REQUIRE_ACCOUNT=1 $(CARGO) build --locked --release --bin doorward
	@rm -rf target/package && mkdir -p target/package/doorward/docs
	cp -r target/release/doorward README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE target/package/doorward/
	cp -r docs/guides docs/operations.md target/package/doorward/docs/
	tar -C target/package -czf target/package/doorward.tar.gz doorward
	@if command -v dpkg-deb >/dev/null; then packaging/deb.sh target/release/doorward target/package; else echo "dpkg-deb is not installed: there is no Debian package"; fi
	@ls -l target/package

package-try: ## Install the Debian package in a root of its own, serve, back up, stop and remove it (needs root)
	packaging/try.sh target/package/doorward_*.deb

web: apps/account/dist/index.html

apps/account/dist/index.html: apps/account/node_modules/.package-lock.json $(shell find apps/account/src apps/account/public -type f) \
		apps/account/index.html apps/account/vite.config.ts apps/account/tsconfig.json
	cd apps/account && $(NPM) run build
	@touch $@

%/node_modules/.package-lock.json: %/package-lock.json %/package.json
	cd $* && $(NPM) ci
	@touch $@

needs:
	@.ci/needs
