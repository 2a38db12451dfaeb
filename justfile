# Recipes for people and CI. CI runs only these. Tools other than cargo come from tests/tools.

set shell := ["bash", "-euo", "pipefail", "-c"]

tools := "tests/tools/setup"
services := "ingest embedding indexing notification web broadsheet"

# List the recipes.
default:
    @just --list --unsorted

# Install the tools for the checks (other recipes do so when needed) and fetch dependencies.
setup:
    {{ tools }} true
    cargo fetch --locked

# Demonstrate the platform: start it, ingest papers, search them, mail a digest.
demo *arguments:
    cargo run --locked -p broadsheet -- demo {{ arguments }}

# Format code and contracts.
fmt:
    cargo fmt --all
    {{ tools }} buf format -w proto

# Everything CI runs, fast checks first.
ci: typos deny advisories pinned proto k8s images alerts lint test

# Check spelling.
typos:
    {{ tools }} typos --config tests/tools/typos.toml

# Check licences, sources and bans of dependencies.
deny:
    {{ tools }} cargo deny --locked check --hide-inclusion-graph licenses bans sources

# Check the dependencies against the RustSec advisories; skipped where the database cannot be reached.
advisories:
    {{ tools }} tests/tools/advisories

# Check that images and actions are named with their digests.
pinned:
    tests/tools/pinned

# Check the contracts: lint, format, and breaking changes since the last release.
proto:
    {{ tools }} buf lint proto
    {{ tools }} buf format -d --exit-code proto
    {{ tools }} tests/tools/breaking

# Build the manifests of both overlays and each component, and check them against strict schemas.
k8s:
    {{ tools }} tests/tools/manifests

# Lint the Dockerfile and print how to build the images.
images:
    {{ tools }} hadolint deploy/Dockerfile deploy/model.Dockerfile
    @echo "build all images (deploy/README.md):"
    @for service in {{ services }}; do echo "  docker build -f deploy/Dockerfile --build-arg SERVICE=$service -t broadsheet/$service ."; done

# Check the Prometheus rules and test each alert (the first run downloads Prometheus).
alerts:
    tests/tools/alerts

# Check formatting and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Count what the house rules forbid, such as module cycles, and print each place; the last line has the figures.
structure:
    #!/usr/bin/env bash
    set -euo pipefail
    output="$(mktemp)"
    trap 'rm -f "$output"' EXIT
    status=0
    cargo test --locked --package tests --test structure -- --nocapture the_structure >"$output" || status=$?
    grep -E '^[a-z_]+: [^ ]+:[0-9]+: ' "$output" || true
    grep -E '^structure: ' "$output"
    exit "$status"

# Build everything and run all tests, on real servers.
test:
    cargo build --workspace --locked
    cargo test --workspace --locked

# Test the pages in a real Chromium (the first run installs it): journeys, accessibility, valid HTML; keeps pictures of every page.
test-browser *filter:
    cargo build --workspace --locked
    cargo test --workspace --locked --test browser -- {{ filter }}

# Take inputs after public bug reports of neighbouring programs through the front door; the last line counts them.
field-cases:
    cargo build --workspace --locked
    cargo test --workspace --locked --test field_cases

# Kill each stage at the worst moments, and check that nothing is lost and nothing is mailed twice.
kill-stages:
    cargo build --workspace --locked
    cargo test --workspace --locked --test kill_stages -- --nocapture

# Send digests to thousands while processes are killed, stopped and cut off, and check that each reader gets one mail.
faults-digests subscribers="3000" kills="200" seed="1":
    cargo build --workspace --locked
    BROADSHEET_FAULTS_SUBSCRIBERS={{ subscribers }} BROADSHEET_FAULTS_KILLS={{ kills }} BROADSHEET_FAULTS_SEED={{ seed }} cargo test --workspace --locked --test faults_digests -- --nocapture

alias faults-editions := faults-digests

# Replay thirty days of arXiv in accelerated time from a misbehaving source, with kills, and compare the catalogue.
replay-arxiv days="30" kills="40" seed="1":
    cargo build --workspace --locked
    BROADSHEET_REPLAY_DAYS={{ days }} BROADSHEET_REPLAY_KILLS={{ kills }} BROADSHEET_REPLAY_SEED={{ seed }} cargo test --workspace --locked --test replay_arxiv -- --nocapture

# Benchmark the embedding service over gRPC against the bare encoder on the same texts. MODEL is a name that `broadsheet fetch` knows.
bench-embedding *arguments:
    cargo run --release --locked -p embedding --example load -- {{ arguments }}

# Benchmark the encoder against Python onnxruntime fp32 on a file of papers (JSON lines with title and abstract).
bench-encoder papers="../shared/data/seed-papers/papers.jsonl" rounds="8":
    tests/bench-encoder/run {{ papers }} {{ rounds }}

# Rebuild an index for another model during searches, submissions and withdrawals; count what failed and what is missing.
rebuild-under-load papers="1000":
    cargo build --workspace --locked
    BROADSHEET_REBUILD_PAPERS={{ papers }} cargo test --workspace --locked --test rebuild_under_load -- --nocapture

# Benchmark search with 74,728 arXiv papers against the bare store and encoder, and with mTLS against without; the first run embeds them and keeps the vectors.
bench-search:
    cargo build --release --locked -p broadsheet
    cargo run --release --locked -p tests --example bench_search

# Simulate sixty days in five worlds: how soon trending finds bursts, and how far fake accounts and bought stars move a paper.
backtest-trending:
    cargo run --release --locked -p domain --example backtest_trending

# Benchmark matching a million synthetic readers with 1,200 arXiv papers; the first run embeds them and keeps the vectors.
bench-matching:
    cargo run --release --locked -p tests --example bench_matching

# Benchmark sending digests to a counting server: mail unsigned, with Ed25519 and with RSA, and webhooks.
bench-mail:
    cargo build --release --locked -p broadsheet
    cargo run --release --locked -p tests --example bench_mail

# Benchmark the pages with 3,000 recent arXiv papers, and measure their size.
bench-pages:
    cargo build --release --locked -p broadsheet
    cargo run --release --locked -p tests --example bench_pages

# Fuzz every source parser for a bounded time, starting from samples and recorded pages.
fuzz-parsers seconds="60":
    services/sources/fuzz/run {{ seconds }}

# Benchmark the source parsers on one core.
bench-parsers:
    cargo bench --locked -p sources --bench parsers

# Benchmark reading files of papers on one core: 100,000 lines of the arXiv snapshot, and every other format.
bench-files:
    cargo run --release --locked -p sources --example bench_files

# Attack a running platform the way strangers on the internet would; the last line counts the attacks that were held off.
attacks:
    tests/tools/attacks

# Check who may do what on running services; the last line counts what was refused and what was allowed, as it has to be.
permissions:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --workspace --locked
    output="$(mktemp)"
    trap 'rm -f "$output"' EXIT
    status=0
    cargo test --locked --package tests --test permissions -- --nocapture --test-threads=1 2>&1 | tee "$output" || status=$?
    grep -o 'permissions: .*' "$output" | tail -n 1
    exit "$status"
