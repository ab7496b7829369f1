#!/usr/bin/env bash
# Worlds of the agreement, and all bugs of the past put back one at a time. The worlds are the same each time, so that
# a change is judged and not the day; SIM_FROM=N explores others. At most five minutes of two cores; a failure names the
# seed, and `just sim SEED` tells it again.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo test --release -p zk-zab --test world --no-run
from=${SIM_FROM:-1}
echo "worlds from seed $from on"
ZAB_SEED=$from ZAB_SEEDS="${SIM_WORLDS:-6000}" timeout 280 cargo test --release -p zk-zab --test world no_seed -- --nocapture &
worlds=$!
ZAB_SEEDS="${CANARY_WORLDS:-2000}" timeout 280 cargo test --release -p zk-zab --test world every_bug -- --nocapture
wait "$worlds"
