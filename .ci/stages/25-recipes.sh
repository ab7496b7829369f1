#!/usr/bin/env bash
# Our recipes beside Curator's and kazoo's at the same path. Stage 20 has installed both. Last line: N passed, N failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
export ZK_SERVER_BIN=${ZK_SERVER_BIN:-$PWD/${CARGO_TARGET_DIR:-target}/release/zk-server}
[ -x "$ZK_SERVER_BIN" ] || { echo "no release binary at $ZK_SERVER_BIN: cargo build --release comes first"; exit 1; }
zk-recipes/tests/interop/run
