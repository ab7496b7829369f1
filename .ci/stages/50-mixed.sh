#!/usr/bin/env bash
# Members of this project and of Apache's in one ensemble, as processes: in every role, killed, their disks lost, their
# histories cut, replaced one by one under load and back. About five minutes. Debian's 3.8 is installed where it is not;
# a 3.9 is taken from ZK39_CP or /opt/zk39/lib, and its absence says SKIPPED.
set -euo pipefail
cd "$(dirname "$0")/../.."
jars=/usr/share/java
if ! [ -e $jars/zookeeper.jar ] || ! command -v java >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    packages=(zookeeper libslf4j-java libservlet-api-java libcommons-cli-java default-jre-headless)
    $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" ||
        echo "SKIPPED: Apache's server cannot be installed"
fi
cargo test --test mixed --test ensemble --test failover -- --include-ignored --nocapture --test-threads=2
