#!/usr/bin/env bash
# The server as a process among failures: kill -9, failing and hanging system calls, full disks, power cuts of small
# file systems, signals; members under a client. About seven minutes. What cannot be tried here says SKIPPED and why.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v strace >/dev/null; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq && $sudo apt-get install -y -qq strace || echo "SKIPPED: strace cannot be installed"
fi
if ! command -v mkfs.xfs >/dev/null || ! command -v mkfs.ext4 >/dev/null; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq && $sudo apt-get install -y -qq xfsprogs e2fsprogs ||
        echo "SKIPPED: xfsprogs and e2fsprogs cannot be installed"
fi
export POWER_CUTS="${POWER_CUTS:-12}" ZK_FAILOVER_SECONDS="${ZK_FAILOVER_SECONDS:-60}"
export INJECT_DEPTH="${INJECT_DEPTH:-8}" KILL_ROUNDS="${KILL_ROUNDS:-60}"
cargo test --release --test crash --test crash_kinds --test recovered --test inject --test hung_disk --test endings --test small_disk --test file_systems --test client_failover -- --nocapture --test-threads=2
