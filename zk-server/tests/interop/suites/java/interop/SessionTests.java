package interop;

import static interop.ClientTests.bytes;
import static interop.ClientTests.make;
import static interop.Suite.FIRST;
import static interop.Suite.HOSTS;
import static interop.Suite.check;
import static interop.Suite.connect;
import static interop.Suite.connected;
import static interop.Suite.eventually;
import static interop.Suite.refused;
import static interop.Suite.same;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import interop.Suite.Events;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** A session's identity and life, as the Java client shows them. */
final class SessionTests {
    private SessionTests() {}

    static void all(Suite suite) {
        suite.test("session-reattach", SessionTests::reattach);
        suite.test("session-wrong-password", SessionTests::wrongPassword);
        suite.test("session-closed", SessionTests::closedIsOver);
        suite.test("session-restart", SessionTests::restart);
        suite.test("session-auth-restart", SessionTests::identitiesComeBack);
        suite.test("session-auth-failed", SessionTests::authFailed);
        suite.test("session-readonly", SessionTests::mayBeReadOnly);
    }

    private static void reattach(String base) throws Exception {
        ZooKeeper first = connect();
        first.create(base + "/e", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        Events events = new Events();
        ZooKeeper second = connected(
                new ZooKeeper(HOSTS, 10_000, events, first.getSessionId(), first.getSessionPasswd()), events);
        same(first.getSessionId(), second.getSessionId());
        same(first.getSessionId(), second.exists(base + "/e", false).getEphemeralOwner());
        second.close();
        try (ZooKeeper zk = connect()) {
            same(null, zk.exists(base + "/e", false));
        }
        first.close();
    }

    private static void wrongPassword(String base) throws Exception {
        Events owner = new Events();
        // Both at one server: elsewhere, the thief would not disturb the owner at all.
        try (ZooKeeper first = connected(new ZooKeeper(FIRST, 20_000, owner), owner)) {
            Events events = new Events();
            ZooKeeper thief = new ZooKeeper(FIRST, 10_000, events, first.getSessionId(), new byte[16]);
            eventually("expiry", () -> events.saw(KeeperState.Expired));
            refused(Code.SESSIONEXPIRED, () -> thief.exists("/", false));
            eventually("the owner is back", () -> owner.times(KeeperState.SyncConnected) >= 2);
            check(!owner.saw(KeeperState.Expired), "the owner keeps the session");
        }
    }

    private static void closedIsOver(String base) throws Exception {
        ZooKeeper first = connect();
        first.close();
        Events events = new Events();
        ZooKeeper late = new ZooKeeper(HOSTS, 10_000, events, first.getSessionId(), first.getSessionPasswd());
        eventually("expiry", () -> events.saw(KeeperState.Expired));
        late.close();
    }

    private static void restart(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connect("", events)) {
            long id = zk.getSessionId();
            zk.create(base + "/e", bytes("mine"), OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            zk.create(base + "/c", null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
            make(zk, base + "/c/child");
            Stat stat = zk.exists(base + "/e", false);
            Suite.control("kill");
            eventually("the loss", () -> events.saw(KeeperState.Disconnected));
            Suite.control("start");
            eventually("the return", () -> events.times(KeeperState.SyncConnected) >= 2);
            same(id, zk.getSessionId());
            same(stat, zk.exists(base + "/e", false));
            zk.delete(base + "/c/child", -1);
            eventually("the container goes", () -> zk.exists(base + "/c", false) == null);
        }
        try (ZooKeeper zk = connect()) {
            same(null, zk.exists(base + "/e", false));
        }
    }

    private static void identitiesComeBack(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connect("", events)) {
            zk.addAuthInfo("digest", bytes("ann:secret"));
            zk.create(base + "/a", bytes("m"), ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            Suite.control("restart");
            eventually("the return", () -> events.times(KeeperState.SyncConnected) >= 2);
            same("m", new String(zk.getData(base + "/a", false, null)));
        }
    }

    private static void authFailed(String base) throws Exception {
        Events events = new Events();
        ZooKeeper zk = connect("", events);
        zk.addAuthInfo("nonsense", bytes("x"));
        eventually("the refusal", () -> events.saw(KeeperState.AuthFailed));
        refused(Code.AUTHFAILED, () -> zk.exists("/", false));
        zk.close();
    }

    /** A client that would accept a read-only server gets an ordinary session from an ordinary one. */
    private static void mayBeReadOnly(String base) throws Exception {
        Events events = new Events();
        try (ZooKeeper zk = connected(new ZooKeeper(HOSTS, 10_000, events, true), events)) {
            same(ZooKeeper.States.CONNECTED, zk.getState());
            make(zk, base + "/a");
        }
    }
}
