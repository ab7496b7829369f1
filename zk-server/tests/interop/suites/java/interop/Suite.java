package interop;

import java.util.Collections;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.ZKUtil;

/** Runs the tests, gives each one a clean node to work under, counts, and ends with "N passed, N failed". */
public final class Suite {
    static final String HOSTS = Objects.requireNonNull(System.getenv("INTEROP_HOSTS"), "INTEROP_HOSTS");

    /** One server, for those who must meet. */
    static final String FIRST = HOSTS.split(",")[0];

    /** Whether the server under test is an ensemble. */
    static final boolean ENSEMBLE = HOSTS.contains(",");

    /**
     * The same server four times: the client gives each host its share of the session timeout to connect, and Java's
     * servers leave a connection that comes while they start without an answer. The session must outlive that wait.
     */
    static final String PATIENT_HOSTS = String.join(",", Collections.nCopies(4, HOSTS));

    interface Body {
        void run(String base) throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    private int passed;
    private int failed;

    void test(String name, Body body) {
        String base = "/java-" + name;
        long begun = System.nanoTime();
        try (ZooKeeper admin = connect()) {
            admin.addAuthInfo("digest", "super:test".getBytes());
            if (admin.exists(base, false) != null) {
                ZKUtil.deleteRecursive(admin, base);
            }
            admin.create(base, new byte[0], org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE,
                    org.apache.zookeeper.CreateMode.PERSISTENT);
            body.run(base);
            passed++;
        } catch (Throwable why) {
            failed++;
            System.out.println("FAILED " + name + ": " + why);
            why.printStackTrace(System.out);
        }
        long took = (System.nanoTime() - begun) / 1_000_000;
        if (took > 5_000) {
            System.out.println("slow: " + name + " took " + took + " ms");
        }
    }

    /** Remembers what it saw; session events apart from those of nodes. */
    static final class Events implements Watcher {
        private final BlockingQueue<String> nodes = new LinkedBlockingQueue<>();
        private final List<Event.KeeperState> states = Collections.synchronizedList(new ArrayList<>());

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == Event.EventType.None) {
                states.add(event.getState());
            } else {
                nodes.add(event.getType() + " " + event.getPath());
            }
        }

        String next() throws InterruptedException {
            String event = nodes.poll(10, TimeUnit.SECONDS);
            return event == null ? "nothing" : event;
        }

        boolean none() {
            return nodes.isEmpty();
        }

        boolean saw(Event.KeeperState state) {
            return states.contains(state);
        }

        int times(Event.KeeperState state) {
            return Collections.frequency(new ArrayList<>(states), state);
        }
    }

    static ZooKeeper connect() throws Exception {
        return connect("", new Events());
    }

    /** What others have written before is seen from now on: each member of an ensemble learns of it in its own time. */
    static void catchUp(ZooKeeper zk) throws Exception {
        List<Integer> answers = Collections.synchronizedList(new ArrayList<>());
        zk.sync("/", (rc, path, context) -> answers.add(rc), null);
        eventually("the sync", () -> answers.size() == 1);
        same(Collections.singletonList(0), answers);
    }

    static ZooKeeper connect(String chroot, Events events) throws Exception {
        return connected(new ZooKeeper(PATIENT_HOSTS + chroot, 20_000, events), events);
    }

    static ZooKeeper connected(ZooKeeper zk, Events events) throws Exception {
        eventually("a connection", () -> events.saw(Watcher.Event.KeeperState.SyncConnected));
        return zk;
    }

    static void eventually(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(40);
        while (!condition.holds()) {
            check(System.nanoTime() < deadline, "never came true: " + what);
            Thread.sleep(20);
        }
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void same(Object wanted, Object got) {
        check(Objects.equals(wanted, got), "wanted " + wanted + ", got " + got);
    }

    interface Call {
        void run() throws Exception;
    }

    static void refused(KeeperException.Code code, Call call) throws Exception {
        try {
            call.run();
        } catch (KeeperException why) {
            same(code, why.code());
            return;
        }
        throw new AssertionError("should have been refused with " + code);
    }

    /** Stops, starts or restarts the server under test. */
    static void control(String verb) throws Exception {
        String command = System.getenv("INTEROP_CONTROL");
        check(command != null, "this test restarts the server, and INTEROP_CONTROL does not say how");
        Process process = new ProcessBuilder(command, verb).inheritIO().start();
        check(process.waitFor(60, TimeUnit.SECONDS) && process.exitValue() == 0, "control " + verb);
    }

    public static void main(String[] args) {
        Suite suite = new Suite();
        ClientTests.all(suite);
        WatchTests.all(suite);
        SessionTests.all(suite);
        CuratorTests.all(suite);
        if (ENSEMBLE) {
            EnsembleTests.all(suite);
        }
        System.out.println(suite.passed + " passed, " + suite.failed + " failed");
        System.exit(suite.failed == 0 ? 0 : 1);
    }
}
