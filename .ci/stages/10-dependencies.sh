#!/usr/bin/env bash
# What comes in with our dependencies, as deny.toml allows it: licences, sources, duplicates, known vulnerabilities.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! cargo deny --version >/dev/null 2>&1; then
    # Below the build directory, so that nothing is left on the machine; unoptimised, because it runs once.
    tools=${CARGO_TARGET_DIR:-$PWD/target}/tools
    cargo install cargo-deny --version 0.20.2 --locked --profile dev --root "$tools"
    export PATH="$tools/bin:$PATH"
fi
cargo deny --log-level error check bans licenses sources
if ! cargo deny fetch db >/dev/null 2>&1; then
    echo "SKIPPED: known vulnerabilities: their database (github.com/rustsec/advisory-db) is out of reach"
    exit 0
fi
cargo deny --log-level error check advisories
