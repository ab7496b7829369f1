#!/usr/bin/env bash
# Foreign clients against the release binary, alone and as an ensemble of three, our client against Apache's server, and
# data directories handed from Java to ours and back. Installs what is missing (as root). kazoo's own tests and whatever
# three servers do mostly wait, so that they run beside all others. Last line: N passed, N failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
run=zk-server/tests/interop/run
export ZK_SERVER_BIN=${ZK_SERVER_BIN:-$PWD/${CARGO_TARGET_DIR:-target}/release/zk-server}
[ -x "$ZK_SERVER_BIN" ] || { echo "no release binary at $ZK_SERVER_BIN: cargo build --release comes first"; exit 1; }

# The suite of our client has ten minutes for its tests, not for a compiler.
cargo test -p zk-client --no-run 2>/dev/null || { echo "the client's tests do not build"; exit 1; }
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
"$run" --install
ensembles=(kazoo-own-ensemble java-ensemble c-ensemble go-ensemble zkcli-ensemble)
alone=(--except kazoo-own)
for suite in "${ensembles[@]}"; do alone+=(--except "$suite"); done
"$run" kazoo-own >"$logs/kazoo-own" 2>&1 &
beside=($!)
"$run" "${ensembles[@]}" >"$logs/ensembles" 2>&1 &
beside+=($!)
"$run" "${alone[@]}" >"$logs/others" 2>&1
status=$?
for one in "${beside[@]}"; do wait "$one" || status=1; done

passed=0 failed=0
for log in "$logs"/*; do
    # The two counts become one.
    read -r p f < <(tail -1 "$log" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
    if [ -n "${p:-}" ]; then
        sed '$d' "$log"
        passed=$((passed + p)) failed=$((failed + f))
    else
        cat "$log"
        failed=$((failed + 1))
    fi
done
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
