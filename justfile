# Recipes for people and for CI, which runs these and nothing else. Tools other than cargo come from tests/tools.

set shell := ["bash", "-euo", "pipefail", "-c"]

tools := "tests/tools/setup"
services := "ingest embedding indexing notification web broadsheet"

# List the recipes.
default:
    @just --list --unsorted

# Install the tools of the checks (the other recipes do it when they need them) and fetch what cargo needs.
setup:
    {{ tools }} true
    cargo fetch --locked

# Show the main job: start the platform, take in papers, search them, mail a digest.
demo *arguments:
    cargo run --locked -p broadsheet -- demo {{ arguments }}

# Format code and contracts.
fmt:
    cargo fmt --all
    {{ tools }} buf format -w proto

# Everything CI runs, the fast checks first.
ci: typos deny proto k8s images alerts lint test

# Check spelling.
typos:
    {{ tools }} typos --config tests/tools/typos.toml

# Check licences, sources and bans of the dependencies.
deny:
    {{ tools }} cargo deny --locked check --hide-inclusion-graph licenses bans sources

# Check the contracts: lint, format, and no breaking change since the last published state.
proto:
    {{ tools }} buf lint proto
    {{ tools }} buf format -d --exit-code proto
    {{ tools }} tests/tools/breaking

# Build the manifests of both overlays and of each component, and check them against strict schemas.
k8s:
    {{ tools }} tests/tools/manifests

# Lint the Dockerfile and say how the images are built.
images:
    {{ tools }} hadolint deploy/Dockerfile
    @echo "build all images (deploy/README.md):"
    @for service in {{ services }}; do echo "  docker build -f deploy/Dockerfile --build-arg SERVICE=$service -t broadsheet/$service ."; done

# Check the rules of Prometheus and test each alert on its symptom (the first run fetches Prometheus).
alerts:
    tests/tools/alerts

# Check format and lints of the code.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Build everything and run all tests, on real servers of their own.
test:
    cargo build --workspace --locked
    cargo test --workspace --locked

# Lead a real Chromium through the pages (the first run installs it): journeys, accessibility, validity; keeps pictures of every page.
test-browser *filter:
    cargo build --workspace --locked
    cargo test --workspace --locked --test browser -- {{ filter }}

# Kill each stage at its worst moments and count that nothing is lost and nothing is mailed twice.
kill-stages:
    cargo build --workspace --locked
    cargo test --workspace --locked --test kill_stages -- --nocapture

# Send editions to thousands while every process is killed, stopped and cut off, and count that each reader has one mail.
faults-editions subscribers="3000" kills="200" seed="1":
    cargo build --workspace --locked
    BROADSHEET_FAULTS_SUBSCRIBERS={{ subscribers }} BROADSHEET_FAULTS_KILLS={{ kills }} BROADSHEET_FAULTS_SEED={{ seed }} cargo test --workspace --locked --test faults_editions -- --nocapture

# Play thirty days of arXiv in accelerated time from a feed that misbehaves, with kills, and compare the catalogue.
replay-arxiv days="30" kills="40" seed="1":
    cargo build --workspace --locked
    BROADSHEET_REPLAY_DAYS={{ days }} BROADSHEET_REPLAY_KILLS={{ kills }} BROADSHEET_REPLAY_SEED={{ seed }} cargo test --workspace --locked --test replay_arxiv -- --nocapture

# Load the embedding service over gRPC, beside the bare encoder on the same texts. MODEL is a name that `broadsheet fetch` knows.
bench-embedding *arguments:
    cargo run --release --locked -p embedding --example load -- {{ arguments }}

# Time the encoder against Python onnxruntime fp32 on a file of papers (JSON lines with title and abstract).
bench-encoder papers="../shared/data/seed-papers/papers.jsonl" rounds="8":
    tests/bench-encoder/run {{ papers }} {{ rounds }}

# Rebuild an index for another model while readers search and papers come and go; counts what failed and what is missing.
rebuild-under-load papers="1000":
    cargo build --workspace --locked
    BROADSHEET_REBUILD_PAPERS={{ papers }} cargo test --workspace --locked --test rebuild_under_load -- --nocapture

# Load search with 74,728 papers of arXiv, beside the bare store and encoder; the first run embeds them and keeps the vectors.
bench-search:
    cargo build --release --locked -p broadsheet
    cargo run --release --locked -p tests --example bench_search

# Play sixty days of five made-up literatures: how soon trending finds planted bursts, how far fake accounts and bought stars move a paper.
backtest-trending:
    cargo run --release --locked -p domain --example backtest_trending

# Match a million readers who do not exist with 1,200 papers of arXiv that do; the first run embeds them and keeps the vectors.
bench-matching:
    cargo run --release --locked -p tests --example bench_matching

# Send one edition to each of many subscribers into a server that only counts: by mail, unsigned, with Ed25519 and with RSA, and to webhooks.
bench-mail:
    cargo build --release --locked -p broadsheet
    cargo run --release --locked -p tests --example bench_mail

# Put the pages under load with the last 3,000 papers of arXiv behind them, and weigh them.
bench-pages:
    cargo build --release --locked -p broadsheet
    cargo run --release --locked -p tests --example bench_pages

# Fuzz every parser of sources for a bounded time, beginning with samples and recorded pages.
fuzz-parsers seconds="60":
    services/sources/fuzz/run {{ seconds }}

# How fast the parsers of sources read, on one core.
bench-parsers:
    cargo bench --locked -p sources --bench parsers
