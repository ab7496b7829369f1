#!/usr/bin/env bash
# The same seeded requests to Apache's server and to target/release/zk-server: every answer must be equal.
#
# Against a 3.9 ($ZK_ORACLE_CMD, $ZK_ORACLE_CP, $ZOOKEEPER_HOME or /opt/*/lib/zookeeper-3.9*.jar) that is everything, in
# all profiles. Debian has only 3.8.0, which answers otherwise wherever 3.9 mended something: zxids of events, create2
# and bad flags inside a multi, a check on its own, kinds and modes of persistent watches, READ for exists and events,
# IPv6 in ACLs, the zxid of what cannot be decoded. Against it the profile is `together`, which asks for none of these.
set -euo pipefail
cd "$(dirname "$0")/../.."
export DIFF_SUBJECT_CMD="${CARGO_TARGET_DIR:-$PWD/target}/release/zk-server start" DIFF_SEED=${DIFF_SEED:-1}

has_3_9() {
    [ -n "${ZK_ORACLE_CMD:-}${ZK_ORACLE_CP:-}" ] || compgen -G "${ZOOKEEPER_HOME:-/none}/lib/zookeeper-3.9*.jar" ||
        compgen -G "/opt/*/lib/zookeeper-3.9*.jar"
} >/dev/null

if has_3_9; then
    export DIFF_OPS=${DIFF_OPS:-60000}
else
    jars=/usr/share/java
    if ! [ -e $jars/zookeeper.jar ] || ! command -v java >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        packages=(zookeeper libslf4j-java libservlet-api-java libcommons-cli-java default-jre-headless)
        apt-get install -y --no-install-recommends "${packages[@]}" ||
            { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; }
    fi
    export ZK_ORACLE_CP=$jars/zookeeper.jar:$jars/slf4j-simple.jar:$jars/commons-cli.jar:$jars/servlet-api.jar
    export DIFF_PROFILE=together DIFF_OPS=${DIFF_OPS:-60000}
fi
output=$(timeout 230 cargo test -p zk-server --test differential 2>&1) && status=0 || status=$?
echo "$output"
# Without a server on either side the test only says so; here that is a failure.
if grep -q SKIPPED <<<"$output"; then exit 1; fi
exit "$status"
