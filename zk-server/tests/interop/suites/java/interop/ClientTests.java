package interop;

import static interop.Suite.check;
import static interop.Suite.connect;
import static interop.Suite.eventually;
import static interop.Suite.refused;
import static interop.Suite.same;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/** Operations of the Java client, those first that other clients do not have. */
final class ClientTests {
    private ClientTests() {}

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void make(ZooKeeper zk, String path) throws Exception {
        zk.create(path, bytes("x"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    static void all(Suite suite) {
        suite.test("modes", ClientTests::everyCreateMode);
        suite.test("reaping", ClientTests::reaping);
        suite.test("stat", ClientTests::statOfCreateAndSet);
        suite.test("refusals", ClientTests::refusals);
        suite.test("multi", ClientTests::multi);
        suite.test("multi-failing", ClientTests::failingMulti);
        suite.test("multi-async", ClientTests::asyncMulti);
        suite.test("multi-modes", ClientTests::multiWithEveryMode);
        suite.test("multi-read", ClientTests::multiRead);
        suite.test("counting", ClientTests::allChildrenNumber);
        suite.test("ephemerals", ClientTests::ephemerals);
        suite.test("acl", ClientTests::accessControl);
        suite.test("whoami", ClientTests::whoAmI);
        suite.test("async", ClientTests::asyncInOrder);
        suite.test("sync", ClientTests::sync);
        suite.test("chroot", ClientTests::chroot);
        suite.test("config", ClientTests::config);
        suite.test("quota", ClientTests::quota);
    }

    private static void everyCreateMode(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            int n = 0;
            for (CreateMode mode : CreateMode.values()) {
                Stat stat = new Stat();
                String asked = base + "/" + mode + "-";
                String made = mode.isTTL()
                        ? zk.create(asked, bytes("d"), OPEN_ACL_UNSAFE, mode, stat, 600_000)
                        : zk.create(asked, bytes("d"), OPEN_ACL_UNSAFE, mode, stat);
                same(mode.isSequential() ? asked + String.format("%010d", n) : asked, made);
                same(mode.isEphemeral() ? zk.getSessionId() : 0L, stat.getEphemeralOwner());
                same(stat, zk.exists(made, false));
                n++;
            }
            same(7, n);
        }
        try (ZooKeeper zk = connect()) {
            same(5, zk.getChildren(base, false).size());
        }
    }

    private static void reaping(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            zk.create(base + "/c", null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
            make(zk, base + "/c/child");
            zk.create(base + "/t", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 300);
            eventually("the TTL node goes", () -> zk.exists(base + "/t", false) == null);
            check(zk.exists(base + "/c", false) != null, "a container in use stays");
            zk.delete(base + "/c/child", 0);
            eventually("the container goes", () -> zk.exists(base + "/c", false) == null);
        }
    }

    private static void statOfCreateAndSet(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            Stat made = new Stat();
            zk.create(base + "/a", bytes("1"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, made);
            Stat set = zk.setData(base + "/a", bytes("22"), 0);
            same(1, set.getVersion());
            same(2, set.getDataLength());
            check(set.getMzxid() > made.getMzxid() && set.getCzxid() == made.getCzxid(), "zxids of set");
            Stat read = new Stat();
            same("22", new String(zk.getData(base + "/a", false, read)));
            same(set, read);
            make(zk, base + "/a/b");
            zk.delete(base + "/a/b", -1);
            Stat parent = zk.exists(base + "/a", false);
            same(Arrays.asList(2, 0, 1), Arrays.asList(parent.getCversion(), parent.getNumChildren(), parent.getVersion()));
            check(parent.getPzxid() > parent.getMzxid(), "pzxid follows the children");
        }
    }

    private static void refusals(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            make(zk, base + "/a");
            refused(Code.NODEEXISTS, () -> make(zk, base + "/a"));
            refused(Code.NONODE, () -> make(zk, base + "/none/a"));
            refused(Code.NONODE, () -> zk.getData(base + "/none", false, null));
            refused(Code.NONODE, () -> zk.getACL(base + "/none", null));
            refused(Code.NONODE, () -> zk.getAllChildrenNumber(base + "/none"));
            refused(Code.BADVERSION, () -> zk.setData(base + "/a", null, 3));
            refused(Code.BADVERSION, () -> zk.delete(base + "/a", 3));
            refused(Code.BADVERSION, () -> zk.setACL(base + "/a", OPEN_ACL_UNSAFE, 3));
            refused(Code.BADARGUMENTS, () -> zk.delete("/zookeeper", -1));
            zk.create(base + "/e", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            refused(Code.NOCHILDRENFOREPHEMERALS, () -> make(zk, base + "/e/a"));
            refused(Code.NOTEMPTY, () -> zk.delete(base, -1));
            refused(Code.INVALIDACL, () -> zk.create(base + "/b", null,
                    Collections.singletonList(new ACL(31, new Id("nonsense", "x"))), CreateMode.PERSISTENT));
            try (ZooKeeperAdmin admin = new ZooKeeperAdmin(Suite.HOSTS, 10_000, event -> { })) {
                refused(Code.RECONFIGDISABLED,
                        () -> admin.reconfigure("server.5=localhost:1:2:participant;3", null, null, -1, null));
            }
        }
    }

    private static void multi(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            make(zk, base + "/old");
            List<OpResult> results = zk.multi(Arrays.asList(
                    Op.create(base + "/a", bytes("1"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                    Op.create(base + "/a/s-", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
                    Op.setData(base + "/a", bytes("2"), 0),
                    Op.check(base + "/a", 1),
                    Op.delete(base + "/old", 0)));
            same(base + "/a", ((OpResult.CreateResult) results.get(0)).getPath());
            same(base + "/a/s-0000000000", ((OpResult.CreateResult) results.get(1)).getPath());
            Stat stat = ((OpResult.SetDataResult) results.get(2)).getStat();
            same(zk.exists(base + "/a", false).getMzxid(), stat.getMzxid());
            same(stat.getCzxid(), stat.getMzxid());
            check(results.get(3) instanceof OpResult.CheckResult, "check");
            check(results.get(4) instanceof OpResult.DeleteResult, "delete");
            same(null, zk.exists(base + "/old", false));
            same(Collections.emptyList(), zk.multi(Collections.emptyList()));
        }
    }

    private static void failingMulti(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            try {
                zk.multi(Arrays.asList(
                        Op.create(base + "/a", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                        Op.delete(base + "/none", -1),
                        Op.setData(base, null, -1)));
                throw new AssertionError("should have failed");
            } catch (KeeperException.NoNodeException why) {
                List<Integer> codes = new ArrayList<>();
                why.getResults().forEach(result -> codes.add(((OpResult.ErrorResult) result).getErr()));
                same(Arrays.asList(0, Code.NONODE.intValue(), Code.RUNTIMEINCONSISTENCY.intValue()), codes);
            }
            same(Collections.emptyList(), zk.getChildren(base, false));
        }
    }

    private static void asyncMulti(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            List<String> seen = Collections.synchronizedList(new ArrayList<>());
            zk.multi(Collections.singletonList(Op.create(base + "/a", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)),
                    (rc, path, context, results) -> seen.add(rc + " " + results.size()), null);
            zk.multi(Collections.singletonList(Op.check(base + "/none", 1)),
                    (rc, path, context, results) -> seen.add(rc + " " + results.size()), null);
            eventually("both answers", () -> seen.size() == 2);
            same(Arrays.asList("0 1", Code.NONODE.intValue() + " 1"), seen);
        }
    }

    private static void multiWithEveryMode(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            List<Op> ops = new ArrayList<>();
            for (CreateMode mode : CreateMode.values()) {
                ops.add(mode.isTTL()
                        ? Op.create(base + "/" + mode, bytes("d"), OPEN_ACL_UNSAFE, mode, 600_000)
                        : Op.create(base + "/" + mode, bytes("d"), OPEN_ACL_UNSAFE, mode));
            }
            TreeSet<String> made = new TreeSet<>();
            for (OpResult result : zk.multi(ops)) {
                made.add(((OpResult.CreateResult) result).getPath().substring(base.length() + 1));
            }
            same(new TreeSet<>(zk.getChildren(base, false)), made);
            same(7, made.size());
        }
    }

    private static void multiRead(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            make(zk, base + "/a");
            make(zk, base + "/b");
            List<OpResult> results = zk.multi(Arrays.asList(
                    Op.getData(base + "/a"), Op.getChildren(base), Op.getData(base + "/none"), Op.getChildren(base + "/b")));
            OpResult.GetDataResult data = (OpResult.GetDataResult) results.get(0);
            same("x", new String(data.getData()));
            same(zk.exists(base + "/a", false), data.getStat());
            same(new TreeSet<>(Arrays.asList("a", "b")),
                    new TreeSet<>(((OpResult.GetChildrenResult) results.get(1)).getChildren()));
            same(Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(2)).getErr());
            same(Collections.emptyList(), ((OpResult.GetChildrenResult) results.get(3)).getChildren());
        }
    }

    private static void allChildrenNumber(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            same(0, zk.getAllChildrenNumber(base));
            make(zk, base + "/a");
            make(zk, base + "/a/b");
            make(zk, base + "/ab");
            same(3, zk.getAllChildrenNumber(base));
            same(1, zk.getAllChildrenNumber(base + "/a"));
            check(zk.getAllChildrenNumber("/") >= 7, "the root counts everything");
        }
    }

    private static void ephemerals(String base) throws Exception {
        try (ZooKeeper zk = connect(); ZooKeeper other = connect()) {
            same(Collections.emptyList(), zk.getEphemerals());
            for (String name : Arrays.asList("/a", "/ab", "/b")) {
                zk.create(base + name, null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            }
            same(new TreeSet<>(Arrays.asList(base + "/a", base + "/ab", base + "/b")), new TreeSet<>(zk.getEphemerals()));
            same(new TreeSet<>(Arrays.asList(base + "/a", base + "/ab")), new TreeSet<>(zk.getEphemerals(base + "/a")));
            same(Collections.emptyList(), other.getEphemerals("/"));
        }
    }

    private static void accessControl(String base) throws Exception {
        try (ZooKeeper ann = connect(); ZooKeeper stranger = connect()) {
            ann.addAuthInfo("digest", bytes("ann:secret"));
            ann.create(base + "/a", bytes("m"), ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            Suite.catchUp(stranger);
            refused(Code.NOAUTH, () -> stranger.getData(base + "/a", false, null));
            refused(Code.NOAUTH, () -> stranger.setData(base + "/a", null, -1));
            refused(Code.NOAUTH, () -> stranger.getChildren(base + "/a", false));
            refused(Code.NOAUTH, () -> stranger.multi(Collections.singletonList(Op.setData(base + "/a", null, -1))));
            refused(Code.INVALIDACL, () -> stranger.create(base + "/b", null, ZooDefs.Ids.CREATOR_ALL_ACL,
                    CreateMode.PERSISTENT));
            String digest = org.apache.zookeeper.server.auth.DigestAuthenticationProvider.generateDigest("ann:secret");
            same(Collections.singletonList(new ACL(31, new Id("digest", digest))), ann.getACL(base + "/a", new Stat()));
            Stat stat = ann.setACL(base + "/a", ZooDefs.Ids.READ_ACL_UNSAFE, 0);
            same(1, stat.getAversion());
            Suite.catchUp(stranger);
            same("m", new String(stranger.getData(base + "/a", false, null)));
            refused(Code.NOAUTH, () -> ann.setData(base + "/a", null, -1));
        }
    }

    private static void whoAmI(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            zk.addAuthInfo("digest", bytes("ann:secret"));
            TreeSet<String> me = new TreeSet<>();
            for (ClientInfo info : zk.whoAmI()) {
                me.add(info.getAuthScheme() + " " + info.getUser());
            }
            same(new TreeSet<>(Arrays.asList("digest ann", "ip 127.0.0.1")), me);
        }
    }

    private static void asyncInOrder(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            List<String> seen = Collections.synchronizedList(new ArrayList<>());
            List<String> wanted = new ArrayList<>();
            for (int n = 0; n < 300; n++) {
                String path = base + "/" + n;
                zk.create(path, bytes("v" + n), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                        (rc, p, context, name) -> seen.add("create " + rc + " " + name), null);
                zk.getData(path, false, (rc, p, context, data, stat) -> seen.add("get " + new String(data)), null);
                zk.delete(path, n % 2, (rc, p, context) -> seen.add("delete " + rc), null);
                zk.exists(path, false, (rc, p, context, stat) -> seen.add("exists " + rc), null);
                wanted.add("create 0 " + path);
                wanted.add("get v" + n);
                wanted.add("delete " + (n % 2 == 0 ? 0 : Code.BADVERSION.intValue()));
                wanted.add("exists " + (n % 2 == 0 ? Code.NONODE.intValue() : 0));
            }
            eventually("every answer", () -> seen.size() == wanted.size());
            same(wanted, seen);
        }
    }

    private static void sync(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            List<String> seen = Collections.synchronizedList(new ArrayList<>());
            zk.sync(base, (rc, path, context) -> seen.add(rc + " " + path), null);
            eventually("the sync", () -> seen.size() == 1);
            same(Collections.singletonList("0 " + base), seen);
        }
    }

    private static void chroot(String base) throws Exception {
        try (ZooKeeper inside = connect(base, new Suite.Events()); ZooKeeper zk = connect()) {
            same("/a", inside.create("/a", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            same("/a/s-0000000000", inside.create("/a/s-", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL));
            // The Java client does not take the chroot off these.
            same(Collections.singletonList(base + "/a/s-0000000000"), inside.getEphemerals());
            same(2, inside.getAllChildrenNumber("/"));
            Suite.catchUp(zk);
            check(zk.exists(base + "/a/s-0000000000", false) != null, "seen from outside");
        }
    }

    private static void config(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            Stat stat = new Stat();
            byte[] config = zk.getConfig(false, stat);
            String members = new String(config).replaceAll("127\\.0\\.0\\.1:\\d+:\\d+", "AT");
            same(Suite.ENSEMBLE ? "server.1=AT:participant\nserver.2=AT:participant\nserver.3=AT:participant\nversion=0" : "",
                    members);
            same(Collections.singletonList(new ACL(1, ZooDefs.Ids.ANYONE_ID_UNSAFE)),
                    zk.getACL("/zookeeper/config", null));
            refused(Code.NOAUTH, () -> zk.setData("/zookeeper/config", bytes("x"), -1));
        }
    }

    private static void quota(String base) throws Exception {
        try (ZooKeeper zk = connect()) {
            org.apache.zookeeper.StatsTrack limit = new org.apache.zookeeper.StatsTrack();
            limit.setCount(2);
            limit.setBytes(1000);
            org.apache.zookeeper.cli.SetQuotaCommand.createQuota(zk, base, limit);
            String stats = "/zookeeper/quota" + base + "/zookeeper_stats";
            make(zk, base + "/a");
            make(zk, base + "/b");
            make(zk, base + "/c");
            zk.setData(base + "/c", bytes("12345"), -1);
            zk.delete(base + "/a", -1);
            same("count=3,bytes=6", new String(zk.getData(stats, false, null)));
            zk.delete(stats, -1);
            zk.delete("/zookeeper/quota" + base + "/zookeeper_limits", -1);
            zk.delete("/zookeeper/quota" + base, -1);
        }
    }
}
