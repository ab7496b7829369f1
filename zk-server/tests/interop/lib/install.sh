# What the suites need on the machine, and how to get it. Sourced by `run` after common.sh.

DEBIAN_PACKAGES=(zookeeper zookeeper-bin libzookeeper-mt-dev libslf4j-java libservlet-api-java
    libcurator-client-java libcurator-framework-java libcurator-recipes-java libcurator-discovery-java
    default-jdk-headless gcc libc6-dev golang-go golang-github-samuel-go-zookeeper-dev)
PYTHON_PACKAGES=("kazoo==$KAZOO_VERSION" "pytest==$PYTEST_VERSION" "pytest-timeout==$PYTEST_TIMEOUT_VERSION"
    "objgraph==$OBJGRAPH_VERSION")

build_ours() {
    if [ -n "${ZK_SERVER_BIN:-}" ]; then
        ZK_SERVER_BIN=$(readlink -f "$ZK_SERVER_BIN")
    else
        (cd "$REPO" && cargo build --release --bin zk-server) || die "the server does not build"
        ZK_SERVER_BIN=${CARGO_TARGET_DIR:-$REPO/target}/release/zk-server
    fi
    [ -x "$ZK_SERVER_BIN" ] || die "no server at $ZK_SERVER_BIN"
}

have_python() {
    PYTHONPATH=$WORK/python${PYTHONPATH:+:$PYTHONPATH} python3 - "$KAZOO_VERSION" <<'PY' 2>/dev/null
import sys, kazoo.version, objgraph, pytest, pytest_timeout
sys.exit(0 if kazoo.version.__version__ == sys.argv[1] else 1)
PY
}

install_what_is_missing() {
    install_debian_packages
    if ! have_python; then
        say "installing ${PYTHON_PACKAGES[*]} into $WORK/python"
        # A directory of our own: no quarrel with the system's Python or another project's pins.
        python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore \
            --target "$WORK/python" --upgrade "${PYTHON_PACKAGES[@]}" || say "pip could not install them"
    fi
    export PYTHONPATH=$WORK/python${PYTHONPATH:+:$PYTHONPATH}
}

install_debian_packages() {
    local package wanted=()
    command -v dpkg-query >/dev/null || return 0
    for package in "${DEBIAN_PACKAGES[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
    done
    # Any Python with pip will do; most machines have one that Debian knows nothing of.
    python3 -m pip --version >/dev/null 2>&1 || wanted+=(python3 python3-pip)
    # libc6-dev comes with gcc, a JDK may be another one: only what the suites then miss is worth a complaint.
    [ ${#wanted[@]} -gt 0 ] || return 0
    say "installing ${wanted[*]}"
    if [ "$(id -u)" -ne 0 ]; then say "not root: cannot install them"; return 0; fi
    apt_install "${wanted[@]}" || { apt-get update >>"$scratch/apt.log" 2>&1 && apt_install "${wanted[@]}"; } || {
        tail -5 "$scratch/apt.log"
        say "apt-get could not install them"
    }
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$scratch/apt.log" 2>&1
}

lacks() { [ -e "$1" ] || printf '%s is missing; ' "$1"; }
lacks_command() { command -v "$1" >/dev/null || printf 'there is no %s; ' "$1"; }

# missing_for SUITE: why it cannot run here; nothing when it can.
missing_for() {
    local jar
    case $1 in
        kazoo*) have_python || printf 'kazoo %s and pytest are not there; ' "$KAZOO_VERSION" ;;
        zkcli* | swap) lacks_command java; lacks /usr/share/java/zookeeper.jar ;;
        client) lacks_command java; lacks_command cargo; lacks_command openssl; lacks /usr/share/java/zookeeper.jar ;;
        java*)
            lacks_command java; lacks_command javac
            for jar in zookeeper curator-recipes curator-x-discovery slf4j-simple; do lacks "/usr/share/java/$jar.jar"; done ;;
        c | c-ensemble) lacks_command gcc; lacks /usr/include/zookeeper/zookeeper.h ;;
        go | go-ensemble) lacks_command go; lacks "$GO_CLIENT" ;;
    esac
    [ "$1" != java-3.9-client ] || ls "$ZK39_LIB"/zookeeper-3.9*.jar >/dev/null 2>&1 ||
        printf 'no 3.9 client in %s; ' "$ZK39_LIB"
    if [ "$INTEROP_SERVER" = remote ]; then
        case $1 in kazoo-own* | swap | client | *-ensemble) printf 'it starts its servers itself, a remote one is no use; ' ;; esac
    fi
}
