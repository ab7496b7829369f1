# What `run`, `lib/server` and the suites share: how each kind of server is started, and where things are.
# Sourced, never executed. Which server is under test is in INTEROP_SERVER: ours, java38, java39 or HOST:PORT.

INTEROP_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPO=$(cd "$INTEROP_HOME/../../.." && pwd)
WORK=${INTEROP_WORK:-$REPO/target/interop}
ZK39_LIB=${ZK39_LIB:-/opt/zk39/lib}
KAZOO_VERSION=2.11.0
PYTEST_VERSION=8.3.4
PYTEST_TIMEOUT_VERSION=2.3.1
# kazoo's tests of its cache import it.
OBJGRAPH_VERSION=3.6.2

say() { printf '%s\n' "$*"; }
die() { printf 'interop: %s\n' "$*" >&2; exit 1; }

# Debian's 3.8.0. Its manifest names most of what it needs; the rest is what that manifest forgets.
java38_classpath() {
    local jar j=/usr/share/java
    printf '%s' "$j/zookeeper.jar:$j/slf4j-simple.jar:$j/commons-cli.jar:$j/servlet-api.jar"
    # For secure ports; of netty it names only some.
    for jar in "$j"/netty-{buffer,codec,common,handler,resolver,transport,transport-classes-epoll,transport-native-unix-common}.jar; do
        [ ! -e "$jar" ] || printf ':%s' "$jar"
    done
}

# Curator wants a few jars that are in no manifest either.
curator_classpath() {
    local j=/usr/share/java
    printf '%s' "$j/curator-client.jar:$j/curator-framework.jar:$j/curator-recipes.jar:$j/curator-x-discovery.jar"
    printf '%s' ":$j/guava.jar:$j/failureaccess.jar:$j/jackson-core.jar:$j/jackson-databind.jar:$j/jackson-annotations.jar"
}

# The flags Java takes from the command line only, not from zoo.cfg. Our own server reads the same names
# from the file, so `write_config` states them there as well.
JAVA_FLAGS=(-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData
    -Dfile.encoding=UTF-8 -Djava.net.preferIPv4Stack=true -Djava.awt.headless=true
    -Dznode.container.checkIntervalMs=1000 -Dreadonlymode.enabled=true
    -Dlog4j2.level=WARN -Dorg.slf4j.simpleLogger.defaultLogLevel=warn)

# launch KIND CFG: becomes the server, in the foreground.
launch() {
    case $1 in
        ours) exec "$ZK_SERVER_BIN" start "$2" ;;
        java38) exec java "${JAVA_FLAGS[@]}" -cp "$(java38_classpath)" \
            org.apache.zookeeper.server.quorum.QuorumPeerMain "$2" ;;
        java39) exec java "${JAVA_FLAGS[@]}" -cp "$ZK39_LIB/*" \
            org.apache.zookeeper.server.quorum.QuorumPeerMain "$2" ;;
        *) die "no way to launch '$1'" ;;
    esac
}

# write_config DIR PORT: a configuration, of a standalone so far, that every suite can live with. Short ticks, so that
# sessions expire within seconds; the super user's password is "test".
write_config() {
    mkdir -p "$1/data"
    cat >"$1/zoo.cfg" <<CFG
tickTime=500
maxSessionTimeout=60000
dataDir=$1/data
clientPort=$2
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
extendedTypesEnabled=true
preAllocSize=1024
znode.container.checkIntervalMs=1000
readonlymode.enabled=true
DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=
CFG
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# quiet_ports N: ports that nobody has, and that no connection of a client gets by chance while a member is down: those
# come from 32768 on. Those from 23000 to 30000 are for the harness of kazoo-own.
quiet_ports() {
    python3 - "$1" <<'PY'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(10000, 23000)))
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))
PY
}

# write_ensemble DIR: three members of one ensemble, under DIR/1, DIR/2 and DIR/3. Prints where clients find them.
write_ensemble() {
    local ports id servers=
    read -ra ports <<<"$(quiet_ports 9)"
    for id in 1 2 3; do
        servers+="server.$id=127.0.0.1:${ports[id + 2]}:${ports[id + 5]}"$'\n'
    done
    for id in 1 2 3; do
        write_config "$1/$id" "${ports[id - 1]}"
        printf 'initLimit=20\nsyncLimit=8\n%s' "$servers" >>"$1/$id/zoo.cfg"
        echo "$id" >"$1/$id/data/myid"
    done
    printf '127.0.0.1:%s,127.0.0.1:%s,127.0.0.1:%s' "${ports[@]:0:3}"
}

# The 3.9 client alone: what it needs to talk, without the server's company or another Curator.
client39_classpath() {
    local jar path=
    for jar in "$ZK39_LIB"/{zookeeper-,netty-,log4j-,slf4j-,commons-cli,commons-io,audience,snappy,metrics,jline,jackson}*.jar; do
        path=$path:$jar
    done
    printf '%s' "${path#:}"
}

GO_CLIENT=/usr/share/gocode/src/github.com/samuel/go-zookeeper/zk
