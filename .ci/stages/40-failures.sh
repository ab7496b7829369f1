#!/usr/bin/env bash
# The server as a process among failures: kill -9, failing system calls, full disks, signals. About four minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v strace >/dev/null; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq && $sudo apt-get install -y -qq strace || echo "SKIPPED: strace cannot be installed"
fi
export INJECT_DEPTH="${INJECT_DEPTH:-8}" KILL_ROUNDS="${KILL_ROUNDS:-60}"
cargo test --release --test crash --test crash_kinds --test recovered --test inject --test endings --test small_disk -- --nocapture --test-threads=2
