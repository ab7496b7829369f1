# The few verbs of this house. `just` alone lists them.

_list:
    @just --list --unsorted

# Everything that must hold before a change lands; writes nothing. Equals CI.
verify:
    .ci/run

# Formats, and applies what clippy can mend by itself.
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

# Regenerates golden files; read the diff before committing it.
bless:
    UPDATE_EXPECT=1 cargo test --workspace

# Runs clients we did not write (kazoo, zkCli, Curator, the C client) against the server.
interop *ARGS:
    zk-server/tests/interop/run {{ARGS}}

# The same random operations to Apache's server and to ours; replies must be equal.
differential OPS="20000" SEED="1":
    DIFF_OPS={{OPS}} DIFF_SEED={{SEED}} cargo test --release -p zk-server --test differential

# kill -9 under load, N times, restarting on the same data each time.
kill ROUNDS="30":
    KILL_ROUNDS={{ROUNDS}} cargo test --release --test crash -- --nocapture

# Lives through one world of the agreement again, and tells its story.
sim SEED:
    ZAB_SEED={{SEED}} ZAB_SEEDS=1 ZAB_STORY=1 cargo test -p zk-zab --test world no_seed -- --nocapture

# Puts each bug of the past back, and looks for it in so many worlds.
canaries WORLDS="2000":
    ZAB_SEEDS={{WORLDS}} cargo test --release -p zk-zab --test world every_bug -- --nocapture

# Ours beside Apache's server, in one run.
bench *ARGS:
    cargo bench --bench side_by_side -- {{ARGS}}
