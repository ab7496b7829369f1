package interop;

import static interop.ClientTests.bytes;
import static interop.Suite.check;
import static interop.Suite.eventually;
import static interop.Suite.same;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

/** Curator, the way most Java applications meet a server. */
final class CuratorTests {
    private CuratorTests() {}

    static void all(Suite suite) {
        suite.test("curator-basics", CuratorTests::basics);
        suite.test("curator-transaction", CuratorTests::transaction);
        suite.test("curator-mutex", CuratorTests::mutex);
        suite.test("curator-readwrite", CuratorTests::readWriteLock);
        suite.test("curator-semaphore", CuratorTests::semaphore);
        suite.test("curator-latch", CuratorTests::leaderLatch);
        suite.test("curator-atomic", CuratorTests::atomicLong);
        suite.test("curator-shared", CuratorTests::sharedCount);
        suite.test("curator-caches", CuratorTests::oldCaches);
        suite.test("curator-cache", CuratorTests::cache);
        suite.test("curator-cache-restart", CuratorTests::cacheAfterARestart);
        suite.test("curator-persistent", CuratorTests::persistentNode);
        suite.test("curator-ttl", CuratorTests::ttlNode);
        suite.test("curator-group", CuratorTests::group);
        suite.test("curator-barrier", CuratorTests::doubleBarrier);
        suite.test("curator-queue", CuratorTests::queue);
        suite.test("curator-discovery", CuratorTests::discovery);
    }

    static CuratorFramework start() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder().connectString(Suite.PATIENT_HOSTS)
                .sessionTimeoutMs(20_000)
                .connectionTimeoutMs(10_000).retryPolicy(new ExponentialBackoffRetry(100, 10)).build();
        client.start();
        check(client.blockUntilConnected(15, TimeUnit.SECONDS), "connected");
        return client;
    }

    private static void basics(String base) throws Exception {
        try (CuratorFramework client = start()) {
            client.create().creatingParentContainersIfNeeded().forPath(base + "/a/b/c", bytes("deep"));
            same("deep", new String(client.getData().forPath(base + "/a/b/c")));
            String guarded = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                    .forPath(base + "/p-");
            check(guarded.matches(base + "/_c_[0-9a-f-]{36}-p-\\d{10}"), guarded);
            Stat stat = new Stat();
            client.create().storingStatIn(stat).forPath(base + "/s");
            same(stat, client.checkExists().forPath(base + "/s"));
            client.create().orSetData().forPath(base + "/s", bytes("again"));
            same("again", new String(client.getData().forPath(base + "/s")));
            client.delete().guaranteed().deletingChildrenIfNeeded().forPath(base + "/a");
            same(null, client.checkExists().forPath(base + "/a"));
            List<String> seen = Collections.synchronizedList(new ArrayList<>());
            client.getChildren().inBackground((c, event) -> seen.addAll(event.getChildren())).forPath(base);
            eventually("the background answer", () -> seen.contains("s"));
        }
    }

    private static void transaction(String base) throws Exception {
        try (CuratorFramework client = start()) {
            List<CuratorTransactionResult> results = client.transaction().forOperations(
                    client.transactionOp().create().forPath(base + "/a", bytes("1")),
                    client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(base + "/s-"),
                    client.transactionOp().setData().withVersion(0).forPath(base + "/a", bytes("2")),
                    client.transactionOp().check().withVersion(1).forPath(base + "/a"),
                    client.transactionOp().delete().forPath(base + "/a"));
            same(base + "/s-0000000001", results.get(1).getResultPath());
            same(1, results.get(2).getResultStat().getVersion());
            same(Collections.singletonList("s-0000000001"), client.getChildren().forPath(base));
        }
    }

    private static void mutex(String base) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        inParallel(4, n -> {
            try (CuratorFramework client = start()) {
                InterProcessMutex mutex = new InterProcessMutex(client, base + "/lock");
                for (int turn = 0; turn < 10; turn++) {
                    check(mutex.acquire(20, TimeUnit.SECONDS), "acquire");
                    mutex.acquire();
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    Thread.sleep(1);
                    inside.decrementAndGet();
                    mutex.release();
                    mutex.release();
                }
            }
        });
        same(1, most.get());
    }

    private static void readWriteLock(String base) throws Exception {
        try (CuratorFramework one = start(); CuratorFramework two = start()) {
            InterProcessReadWriteLock first = new InterProcessReadWriteLock(one, base + "/rw");
            InterProcessReadWriteLock second = new InterProcessReadWriteLock(two, base + "/rw");
            first.readLock().acquire();
            check(second.readLock().acquire(5, TimeUnit.SECONDS), "readers share");
            second.readLock().release();
            check(!second.writeLock().acquire(200, TimeUnit.MILLISECONDS), "a reader keeps writers out");
            first.readLock().release();
            check(second.writeLock().acquire(5, TimeUnit.SECONDS), "then the writer comes in");
            second.writeLock().release();
        }
    }

    private static void semaphore(String base) throws Exception {
        try (CuratorFramework one = start(); CuratorFramework two = start()) {
            InterProcessSemaphoreV2 first = new InterProcessSemaphoreV2(one, base + "/s", 2);
            InterProcessSemaphoreV2 second = new InterProcessSemaphoreV2(two, base + "/s", 2);
            var lease = first.acquire();
            first.acquire();
            same(null, second.acquire(300, TimeUnit.MILLISECONDS));
            first.returnLease(lease);
            check(second.acquire(5, TimeUnit.SECONDS) != null, "a returned lease");
        }
    }

    private static void leaderLatch(String base) throws Exception {
        CuratorFramework one = start();
        try (CuratorFramework two = start(); LeaderLatch second = new LeaderLatch(two, base + "/l", "two")) {
            LeaderLatch first = new LeaderLatch(one, base + "/l", "one");
            first.start();
            check(first.await(10, TimeUnit.SECONDS), "the first leads");
            second.start();
            eventually("two participants", () -> second.getParticipants().size() == 2);
            same("one", second.getLeader().getId());
            check(!second.hasLeadership(), "only one leads");
            one.close();
            check(second.await(10, TimeUnit.SECONDS), "the second takes over");
        }
    }

    private static void atomicLong(String base) throws Exception {
        inParallel(4, n -> {
            try (CuratorFramework client = start()) {
                DistributedAtomicLong value =
                        new DistributedAtomicLong(client, base + "/n", new RetryNTimes(200, 5));
                for (int turn = 0; turn < 20; turn++) {
                    AtomicValue<Long> result = value.increment();
                    check(result.succeeded(), "increment");
                    same(result.preValue() + 1, result.postValue());
                }
            }
        });
        try (CuratorFramework client = start()) {
            same(80L, new DistributedAtomicLong(client, base + "/n", new RetryNTimes(1, 1)).get().postValue());
        }
    }

    private static void sharedCount(String base) throws Exception {
        try (CuratorFramework one = start(); CuratorFramework two = start();
                SharedCount first = new SharedCount(one, base + "/n", 7);
                SharedCount second = new SharedCount(two, base + "/n", 7)) {
            first.start();
            second.start();
            first.setCount(8);
            eventually("the other sees it", () -> second.getCount() == 8);
            check(second.trySetCount(second.getVersionedValue(), 9), "set on what was read");
        }
    }

    private static void oldCaches(String base) throws Exception {
        try (CuratorFramework client = start();
                NodeCache node = new NodeCache(client, base + "/a");
                PathChildrenCache children = new PathChildrenCache(client, base, true);
                TreeCache tree = new TreeCache(client, base)) {
            node.start(true);
            children.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            tree.start();
            client.create().forPath(base + "/a", bytes("1"));
            client.create().forPath(base + "/a/b", bytes("2"));
            eventually("node", () -> node.getCurrentData() != null
                    && new String(node.getCurrentData().getData()).equals("1"));
            eventually("children", () -> children.getCurrentData().size() == 1);
            eventually("tree", () -> tree.getCurrentData(base + "/a/b") != null);
            client.setData().forPath(base + "/a", bytes("3"));
            eventually("node", () -> new String(node.getCurrentData().getData()).equals("3"));
            client.delete().deletingChildrenIfNeeded().forPath(base + "/a");
            eventually("node", () -> node.getCurrentData() == null);
            eventually("children", () -> children.getCurrentData().isEmpty());
            eventually("tree", () -> tree.getCurrentData(base + "/a") == null);
        }
    }

    private static void cache(String base) throws Exception {
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        try (CuratorFramework client = start(); CuratorCache cache = CuratorCache.build(client, base)) {
            cache.listenable().addListener(CuratorCacheListener.builder()
                    .forCreates(node -> seen.add("+" + node.getPath()))
                    .forChanges((old, now) -> seen.add("*" + now.getPath()))
                    .forDeletes(node -> seen.add("-" + node.getPath())).build());
            cache.start();
            eventually("the root", () -> seen.contains("+" + base));
            client.create().creatingParentsIfNeeded().forPath(base + "/a/b", bytes("1"));
            eventually("creations", () -> seen.contains("+" + base + "/a/b"));
            client.setData().forPath(base + "/a/b", bytes("2"));
            eventually("a change", () -> seen.contains("*" + base + "/a/b"));
            client.delete().deletingChildrenIfNeeded().forPath(base + "/a");
            eventually("deletions", () -> seen.contains("-" + base + "/a"));
            same(1, cache.size());
        }
    }

    private static void cacheAfterARestart(String base) throws Exception {
        try (CuratorFramework client = start(); CuratorCache cache = CuratorCache.build(client, base)) {
            cache.start();
            client.create().forPath(base + "/a", bytes("1"));
            eventually("before", () -> cache.get(base + "/a").isPresent());
            Suite.control("restart");
            client.setData().forPath(base + "/a", bytes("2"));
            client.create().forPath(base + "/b", bytes("1"));
            eventually("after", () -> cache.get(base + "/b").isPresent()
                    && new String(cache.get(base + "/a").get().getData()).equals("2"));
        }
    }

    private static void persistentNode(String base) throws Exception {
        try (CuratorFramework client = start(); CuratorFramework other = start();
                PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, base + "/e", bytes("1"))) {
            node.start();
            check(node.waitForInitialCreate(10, TimeUnit.SECONDS), "created");
            Suite.catchUp(other.getZookeeperClient().getZooKeeper());
            same(client.getZookeeperClient().getZooKeeper().getSessionId(),
                    other.checkExists().forPath(base + "/e").getEphemeralOwner());
            other.delete().forPath(base + "/e");
            eventually("it is made again", () -> other.checkExists().forPath(base + "/e") != null);
            node.setData(bytes("2"));
            eventually("its data", () -> new String(other.getData().forPath(base + "/e")).equals("2"));
        }
        try (CuratorFramework client = start()) {
            same(null, client.checkExists().forPath(base + "/e"));
        }
    }

    private static void ttlNode(String base) throws Exception {
        try (CuratorFramework client = start()) {
            try (PersistentTtlNode node = new PersistentTtlNode(client, base + "/t", 1500, bytes("1"))) {
                node.start();
                check(node.waitForInitialCreate(10, TimeUnit.SECONDS), "created");
                Thread.sleep(3_000);
                check(client.checkExists().forPath(base + "/t") != null, "touched, so it lives");
            }
            eventually("left alone, it goes", () -> client.checkExists().forPath(base + "/t") == null);
        }
    }

    private static void group(String base) throws Exception {
        try (CuratorFramework one = start(); CuratorFramework two = start();
                GroupMember first = new GroupMember(one, base + "/g", "one", bytes("1"))) {
            first.start();
            GroupMember second = new GroupMember(two, base + "/g", "two", bytes("2"));
            second.start();
            eventually("both", () -> first.getCurrentMembers().size() == 2);
            same("2", new String(first.getCurrentMembers().get("two")));
            second.close();
            eventually("one", () -> first.getCurrentMembers().keySet().equals(Collections.singleton("one")));
        }
    }

    private static void doubleBarrier(String base) throws Exception {
        AtomicInteger entered = new AtomicInteger();
        inParallel(3, n -> {
            try (CuratorFramework client = start()) {
                DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, base + "/b", 3);
                check(barrier.enter(15, TimeUnit.SECONDS), "enter");
                entered.incrementAndGet();
                check(barrier.leave(15, TimeUnit.SECONDS), "leave");
            }
        });
        same(3, entered.get());
    }

    private static void queue(String base) throws Exception {
        try (CuratorFramework one = start(); CuratorFramework two = start()) {
            SimpleDistributedQueue in = new SimpleDistributedQueue(one, base + "/q");
            SimpleDistributedQueue out = new SimpleDistributedQueue(two, base + "/q");
            for (int n = 0; n < 20; n++) {
                in.offer(bytes("" + n));
            }
            for (int n = 0; n < 20; n++) {
                same("" + n, new String(out.poll(5, TimeUnit.SECONDS)));
            }
            same(null, out.poll(100, TimeUnit.MILLISECONDS));
        }
    }

    private static void discovery(String base) throws Exception {
        ServiceInstance<Void> instance = ServiceInstance.<Void>builder().name("web").id("w1").address("10.0.0.1")
                .port(80).build();
        try (CuratorFramework one = start(); CuratorFramework two = start();
                ServiceDiscovery<Void> here = ServiceDiscoveryBuilder.builder(Void.class).client(one)
                        .basePath(base + "/services").thisInstance(instance).build();
                ServiceDiscovery<Void> there = ServiceDiscoveryBuilder.builder(Void.class).client(two)
                        .basePath(base + "/services").build()) {
            here.start();
            there.start();
            eventually("registered", () -> there.queryForInstances("web").size() == 1);
            same(Collections.singletonList("web"), new ArrayList<>(there.queryForNames()));
            same(80, there.queryForInstance("web", "w1").getPort());
            try (ServiceCache<Void> cache = there.serviceCacheBuilder().name("web").build()) {
                cache.start();
                same(1, cache.getInstances().size());
                here.unregisterService(instance);
                eventually("gone", () -> cache.getInstances().isEmpty());
            }
        }
    }

    private interface Part {
        void run(int n) throws Exception;
    }

    private static void inParallel(int parts, Part part) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(parts);
        try {
            List<Future<?>> futures = new ArrayList<>();
            for (int n = 0; n < parts; n++) {
                int mine = n;
                futures.add(pool.submit(() -> {
                    part.run(mine);
                    return null;
                }));
            }
            for (Future<?> future : futures) {
                future.get(40, TimeUnit.SECONDS);
            }
        } finally {
            pool.shutdownNow();
        }
    }
}
