#!/usr/bin/env bash
# Servers in containers, in an image with nothing but a static binary: alone, and as ensembles on a network of their
# own. What cannot be tried here says SKIPPED and why.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! docker version >/dev/null 2>&1; then
    echo "SKIPPED: no Docker engine answers here"
    exit 0
fi
# The release build without its slow last step: what is tested is what it does in a container, not its speed.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --bin zk-server --target "$host" --config profile.release.lto=false \
    --config profile.release.codegen-units=16 --config "target.$host.rustflags=['-Ctarget-feature=+crt-static']"
export ZK_STATIC_BINARY="${CARGO_TARGET_DIR:-$PWD/target}/$host/release/zk-server"

engine=$(docker version --format '{{.Server.APIVersion}}') client=1.53
if [ "$(printf '%s\n' "$engine" "$client" | sort -V | head -1)" != "$client" ]; then
    dir=$(mktemp -d)
    python3 tests/containers/old_engine.py "$dir/docker.sock" "$engine" "$client" &
    trap 'kill $!; rm -rf "$dir"' EXIT
    export DOCKER_HOST="unix://$dir/docker.sock"
    timeout 10 sh -c "until docker version >/dev/null 2>&1; do sleep 0.1; done"
fi
cargo test -p zk-containers -- --nocapture --test-threads=1
