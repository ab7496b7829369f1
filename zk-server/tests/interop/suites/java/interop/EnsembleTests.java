package interop;

import static interop.ClientTests.bytes;
import static interop.Suite.catchUp;
import static interop.Suite.check;
import static interop.Suite.connect;
import static interop.Suite.connected;
import static interop.Suite.eventually;
import static interop.Suite.same;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import interop.Suite.Events;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** What there is only where there are several servers: reads elsewhere, sessions that move, leaders that die. */
final class EnsembleTests {
    private EnsembleTests() {}

    static void all(Suite suite) {
        suite.test("ensemble-sync", EnsembleTests::readsElsewhere);
        suite.test("ensemble-move", EnsembleTests::aSessionMoves);
        suite.test("ensemble-leader", EnsembleTests::theLeaderDies);
        suite.test("ensemble-mutex", EnsembleTests::aLockOutlivesTheLeader);
        suite.test("ensemble-config", EnsembleTests::allTellTheSame);
    }

    private static List<ZooKeeper> oneToEach() throws Exception {
        List<ZooKeeper> clients = new ArrayList<>();
        for (String host : Suite.HOSTS.split(",")) {
            Events events = new Events();
            clients.add(connected(new ZooKeeper(host, 20_000, events), events));
        }
        return clients;
    }

    private static void closeAll(List<ZooKeeper> clients) throws Exception {
        for (ZooKeeper client : clients) {
            client.close();
        }
    }

    /** Whoever has asked for a sync sees what was written elsewhere before, with the same stat. */
    private static void readsElsewhere(String base) throws Exception {
        List<ZooKeeper> clients = oneToEach();
        clients.get(0).create(base + "/a", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        for (int turn = 0; turn < 30; turn++) {
            Stat written = clients.get(turn % 3).setData(base + "/a", bytes("" + turn), turn);
            for (ZooKeeper reader : clients) {
                catchUp(reader);
                Stat stat = new Stat();
                same("" + turn, new String(reader.getData(base + "/a", false, stat)));
                same(written, stat);
            }
        }
        closeAll(clients);
    }

    /** The session of one connection is taken up at another server: the first connection has nothing to say any more. */
    private static void aSessionMoves(String base) throws Exception {
        String[] hosts = Suite.HOSTS.split(",");
        Events here = new Events();
        Events there = new Events();
        ZooKeeper first = connected(new ZooKeeper(hosts[0], 20_000, here), here);
        first.create(base + "/e", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        ZooKeeper second = connected(
                new ZooKeeper(hosts[1], 20_000, there, first.getSessionId(), first.getSessionPasswd()), there);
        catchUp(second);
        same(first.getSessionId(), second.exists(base + "/e", false).getEphemeralOwner());
        second.create(base + "/f", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        try {
            first.create(base + "/late", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            throw new AssertionError("the session is elsewhere");
        } catch (KeeperException.ConnectionLossException | KeeperException.SessionMovedException why) {
            check(!here.saw(KeeperState.Expired), "moved is not expired");
        }
        first.close();
        second.close();
        try (ZooKeeper zk = connect()) {
            same(0, zk.getChildren(base, false).size());
        }
    }

    interface Write {
        void run() throws KeeperException, InterruptedException;
    }

    /** As applications do: what was lost with a connection is asked again. */
    private static void insist(Write write) throws Exception {
        eventually("a leader", () -> {
            try {
                write.run();
                return true;
            } catch (KeeperException.ConnectionLossException lost) {
                return false;
            }
        });
    }

    /** The session, its ephemeral and its watch outlive the leader; writes go on, and who was killed catches up. */
    private static void theLeaderDies(String base) throws Exception {
        Events events = new Events();
        Events watch = new Events();
        try (ZooKeeper zk = connect("", events)) {
            long id = zk.getSessionId();
            zk.create(base + "/e", bytes("mine"), OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            zk.create(base + "/w", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Suite.control("kill-leader");
            insist(() -> zk.setData(base + "/e", bytes("still"), -1));
            insist(() -> zk.exists(base + "/w", watch));
            insist(() -> zk.setData(base + "/w", bytes("new"), -1));
            same("NodeDataChanged " + base + "/w", watch.next());
            same(id, zk.getSessionId());
            check(!events.saw(KeeperState.Expired), "the session lives");
            Suite.control("start");
            List<ZooKeeper> readers = oneToEach();
            for (ZooKeeper reader : readers) {
                catchUp(reader);
                Stat stat = new Stat();
                same("still", new String(reader.getData(base + "/e", false, stat)));
                same(id, stat.getEphemeralOwner());
            }
            closeAll(readers);
        }
        try (ZooKeeper zk = connect()) {
            same(null, zk.exists(base + "/e", false));
        }
    }

    private static void aLockOutlivesTheLeader(String base) throws Exception {
        try (CuratorFramework one = CuratorTests.start(); CuratorFramework two = CuratorTests.start()) {
            InterProcessMutex first = new InterProcessMutex(one, base + "/lock");
            InterProcessMutex second = new InterProcessMutex(two, base + "/lock");
            first.acquire();
            Suite.control("kill-leader");
            check(!second.acquire(1, TimeUnit.SECONDS), "the lock is still held");
            first.release();
            check(second.acquire(20, TimeUnit.SECONDS), "then it passes on");
            second.release();
            Suite.control("start");
        }
    }

    private static void allTellTheSame(String base) throws Exception {
        List<ZooKeeper> clients = oneToEach();
        String config = new String(clients.get(0).getConfig(false, null));
        for (ZooKeeper zk : clients) {
            same(config, new String(zk.getConfig(false, null)));
        }
        closeAll(clients);
    }
}
