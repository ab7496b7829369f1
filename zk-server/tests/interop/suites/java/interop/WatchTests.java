package interop;

import static interop.ClientTests.bytes;
import static interop.ClientTests.make;
import static interop.Suite.catchUp;
import static interop.Suite.check;
import static interop.Suite.connect;
import static interop.Suite.eventually;
import static interop.Suite.refused;
import static interop.Suite.same;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import interop.Suite.Events;
import java.util.Arrays;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooKeeper;

/** Watches, above all those that stay, and how they come through a lost connection. */
final class WatchTests {
    private WatchTests() {}

    static void all(Suite suite) {
        suite.test("watch-once", WatchTests::once);
        suite.test("watch-persistent", WatchTests::persistent);
        suite.test("watch-recursive", WatchTests::recursive);
        suite.test("watch-multi", WatchTests::transaction);
        suite.test("watch-remove", WatchTests::remove);
        suite.test("watch-remove-all", WatchTests::removeAll);
        suite.test("watch-config", WatchTests::onTheRoot);
        suite.test("watch-reset", WatchTests::catchUpAfterACut);
        suite.test("watch-many-reset", WatchTests::manyComeBackAfterARestart);
    }

    private static void once(String base) throws Exception {
        Events made = new Events();
        Events data = new Events();
        Events children = new Events();
        try (ZooKeeper zk = connect(); ZooKeeper writer = connect()) {
            zk.exists(base + "/a", made);
            zk.getChildren(base, children);
            make(writer, base + "/a");
            same("NodeCreated " + base + "/a", made.next());
            same("NodeChildrenChanged " + base, children.next());
            zk.getData(base + "/a", data, null);
            zk.getChildren(base + "/a", children);
            writer.setData(base + "/a", null, -1);
            same("NodeDataChanged " + base + "/a", data.next());
            writer.delete(base + "/a", -1);
            same("NodeDeleted " + base + "/a", children.next());
            catchUp(zk);
            check(made.none() && data.none() && children.none(), "each watch fires once");
        }
    }

    private static void persistent(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connect(); ZooKeeper writer = connect()) {
            zk.addWatch(base + "/a", events, AddWatchMode.PERSISTENT);
            make(writer, base + "/a");
            writer.setData(base + "/a", null, -1);
            writer.setData(base + "/a", null, -1);
            make(writer, base + "/a/b");
            writer.setData(base + "/a/b", null, -1);
            writer.delete(base + "/a/b", -1);
            writer.delete(base + "/a", -1);
            make(writer, base + "/a");
            for (String wanted : Arrays.asList("NodeCreated", "NodeDataChanged", "NodeDataChanged",
                    "NodeChildrenChanged", "NodeChildrenChanged", "NodeDeleted", "NodeCreated")) {
                same(wanted + " " + base + "/a", events.next());
            }
            catchUp(zk);
            check(events.none(), "nothing else");
        }
    }

    private static void recursive(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connect(); ZooKeeper writer = connect()) {
            zk.addWatch(base, events, AddWatchMode.PERSISTENT_RECURSIVE);
            make(writer, base + "/a");
            make(writer, base + "/a/b");
            writer.setData(base + "/a/b", null, -1);
            writer.setData(base, null, -1);
            writer.delete(base + "/a/b", -1);
            writer.delete(base + "/a", -1);
            for (String wanted : Arrays.asList("NodeCreated /a", "NodeCreated /a/b", "NodeDataChanged /a/b",
                    "NodeDataChanged ", "NodeDeleted /a/b", "NodeDeleted /a")) {
                String[] parts = wanted.split(" ", -1);
                same(parts[0] + " " + base + parts[1], events.next());
            }
            catchUp(zk);
            check(events.none(), "no event for changed children");
        }
    }

    private static void transaction(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connect(); ZooKeeper writer = connect()) {
            zk.addWatch(base, events, AddWatchMode.PERSISTENT_RECURSIVE);
            writer.multi(Arrays.asList(
                    Op.create(base + "/a", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                    Op.setData(base + "/a", null, -1),
                    Op.delete(base + "/a", -1)));
            same("NodeCreated " + base + "/a", events.next());
            same("NodeDataChanged " + base + "/a", events.next());
            same("NodeDeleted " + base + "/a", events.next());
        }
    }

    private static void remove(String base) throws Exception {
        Events one = new Events();
        Events other = new Events();
        try (ZooKeeper zk = connect(); ZooKeeper writer = connect()) {
            refused(Code.NOWATCHER, () -> zk.removeWatches(base, one, WatcherType.Any, false));
            zk.getData(base, one, null);
            zk.getData(base, other, null);
            zk.removeWatches(base, one, WatcherType.Data, false);
            same("DataWatchRemoved " + base, one.next());
            writer.setData(base, null, -1);
            same("NodeDataChanged " + base, other.next());
            zk.getChildren(base, one);
            refused(Code.NOWATCHER, () -> zk.removeWatches(base, one, WatcherType.Data, false));
            zk.removeWatches(base, one, WatcherType.Children, false);
            same("ChildWatchRemoved " + base, one.next());
            make(writer, base + "/a");
            catchUp(zk);
            zk.addWatch(base, one, AddWatchMode.PERSISTENT);
            zk.removeWatches(base, one, WatcherType.Any, false);
            same("PersistentWatchRemoved " + base, one.next());
            writer.setData(base, null, -1);
            catchUp(zk);
            check(one.none() && other.none(), "removed watches are silent");
        }
    }

    private static void removeAll(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connect(); ZooKeeper writer = connect()) {
            zk.getData(base, events, null);
            zk.getChildren(base, events);
            zk.exists(base, events);
            zk.removeAllWatches(base, WatcherType.Any, false);
            eventually("no server-side watch is left", () -> {
                try {
                    zk.removeAllWatches(base, WatcherType.Any, false);
                    return false;
                } catch (org.apache.zookeeper.KeeperException.NoWatcherException why) {
                    return true;
                }
            });
            writer.setData(base, null, -1);
            make(writer, base + "/a");
            catchUp(zk);
            String event = events.next();
            check(event.endsWith("WatchRemoved " + base), event);
            event = events.next();
            check(event.endsWith("WatchRemoved " + base), event);
            check(events.none(), "only the removals were told");
        }
    }

    private static void onTheRoot(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connect(); ZooKeeper writer = connect()) {
            zk.addWatch("/", events, AddWatchMode.PERSISTENT_RECURSIVE);
            make(writer, base + "/a");
            same("NodeCreated " + base + "/a", events.next());
            zk.removeWatches("/", events, WatcherType.Any, false);
        }
    }

    /** One watch of each kind; the changes happen while their owner is cut off. */
    private static void catchUpAfterACut(String base) throws Exception {
        Events session = new Events();
        Events data = new Events();
        Events gone = new Events();
        Events made = new Events();
        Events children = new Events();
        Events quiet = new Events();
        Events stays = new Events();
        Events staysDeep = new Events();
        try (Proxy proxy = new Proxy();
                ZooKeeper zk = Suite.connected(new ZooKeeper(proxy.address(), 10_000, session), session)) {
            make(zk, base + "/changed");
            make(zk, base + "/deleted");
            make(zk, base + "/same");
            make(zk, base + "/parent");
            zk.getData(base + "/changed", data, null);
            zk.getData(base + "/deleted", gone, null);
            zk.exists(base + "/made", made);
            zk.getChildren(base + "/parent", children);
            zk.getData(base + "/same", quiet, null);
            zk.addWatch(base + "/same", stays, AddWatchMode.PERSISTENT);
            make(zk, base + "/deep");
            zk.addWatch(base + "/deep", staysDeep, AddWatchMode.PERSISTENT_RECURSIVE);
            proxy.cut();
            eventually("the loss", () -> session.saw(KeeperState.Disconnected));
            try (ZooKeeper writer = connect()) {
                writer.setData(base + "/changed", null, -1);
                writer.delete(base + "/deleted", -1);
                make(writer, base + "/made");
                make(writer, base + "/parent/a");
            }
            proxy.mend();
            same("NodeDataChanged " + base + "/changed", data.next());
            same("NodeDeleted " + base + "/deleted", gone.next());
            same("NodeCreated " + base + "/made", made.next());
            same("NodeChildrenChanged " + base + "/parent", children.next());
            eventually("the return", () -> session.times(KeeperState.SyncConnected) >= 2);
            check(quiet.none(), "nothing happened to this one");
            zk.setData(base + "/same", bytes("y"), -1);
            same("NodeDataChanged " + base + "/same", quiet.next());
            same("NodeDataChanged " + base + "/same", stays.next());
            zk.setData(base + "/same", bytes("z"), -1);
            same("NodeDataChanged " + base + "/same", stays.next());
            make(zk, base + "/deep/b");
            same("NodeCreated " + base + "/deep/b", staysDeep.next());
        }
    }

    /** So many that the client needs several requests to set them again. */
    private static void manyComeBackAfterARestart(String base) throws Exception {
        Events session = new Events();
        Events events = new Events();
        String long_name = base + "/" + "n".repeat(200) + "-";
        try (ZooKeeper zk = connect("", session)) {
            for (int n = 0; n < 2000; n++) {
                zk.exists(long_name + n, events, (rc, path, context, stat) -> { }, null);
            }
            zk.exists(base, false);
            Suite.control("restart");
            eventually("the return", () -> session.times(KeeperState.SyncConnected) >= 2);
            try (ZooKeeper writer = connect()) {
                for (int n = 0; n < 2000; n += 100) {
                    make(writer, long_name + n);
                    same("NodeCreated " + long_name + n, events.next());
                }
            }
        }
    }
}
