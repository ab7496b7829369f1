import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;

/** The same as the Rust contender, through Curator: Contender HOSTS RECIPE DIRECTORY PROOF ROUNDS. */
public final class Contender {
    private static CuratorFramework curator;
    private static String proof;

    private Contender() {}

    private static void check(boolean holds, String what) {
        if (!holds) throw new IllegalStateException(what);
    }

    private static void alone() throws Exception {
        curator.create().withMode(CreateMode.EPHEMERAL).forPath(proof + "/alone");
        check(curator.getChildren().forPath(proof + "/readers").isEmpty(), "a writer met a reader");
        int counted = Integer.parseInt(new String(curator.getData().forPath(proof + "/count"), "UTF-8"));
        Thread.sleep(1);
        curator.setData().forPath(proof + "/count", Integer.toString(counted + 1).getBytes("UTF-8"));
        curator.delete().forPath(proof + "/alone");
    }

    private static void reading() throws Exception {
        String mark = curator.create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(proof + "/readers/r-");
        check(curator.checkExists().forPath(proof + "/alone") == null, "a reader met a writer");
        Thread.sleep(1);
        curator.delete().forPath(mark);
    }

    private static void oneOfTwo() throws Exception {
        String mark = curator.create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(proof + "/places/p-");
        int there = curator.getChildren().forPath(proof + "/places").size();
        check(there <= 2, there + " in two places");
        Thread.sleep(1);
        curator.delete().forPath(mark);
    }

    private static int contenders() {
        return Integer.parseInt(System.getenv("CONTENDERS"));
    }

    private static String self() {
        return Long.toString(ProcessHandle.current().pid());
    }

    private static void mark(String what, String name) throws Exception {
        curator.create().creatingParentsIfNeeded().forPath(proof + "-" + what + "/" + name);
    }

    private static int marks(String what) throws Exception {
        if (curator.checkExists().forPath(proof + "-" + what) == null) return 0;
        return curator.getChildren().forPath(proof + "-" + what).size();
    }

    private static void together(String directory, int number) throws Exception {
        DistributedDoubleBarrier barrier =
            new DistributedDoubleBarrier(curator, "/rounds" + directory + "/" + number, contenders());
        mark("in-" + number, self());
        check(barrier.enter(60, TimeUnit.SECONDS), "nobody else came");
        check(marks("in-" + number) == contenders(), "in before all had come");
        Thread.sleep(30);
        mark("out-" + number, self());
        check(barrier.leave(60, TimeUnit.SECONDS), "nobody else left");
        check(marks("out-" + number) == contenders(), "out before all had left");
    }

    /** Everybody closes a barrier and waits at it, but for one, who opens it when all are there. */
    private static void passing(String directory, int number) throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(curator, "/gates" + directory + "/" + number);
        barrier.setBarrier();
        mark("at-" + number, self());
        if (number % contenders() == Integer.parseInt(System.getenv("CONTENDER"))) {
            for (int waited = 0; marks("at-" + number) < contenders(); waited++) {
                check(waited < 12000, "somebody is missing");
                Thread.sleep(5);
            }
            Thread.sleep(20);
            mark("opened-" + number, self());
            barrier.removeBarrier();
        } else {
            check(barrier.waitOnBarrier(60, TimeUnit.SECONDS), "nobody has opened it");
            check(marks("opened-" + number) == 1, "through a closed barrier");
        }
    }

    private static String text(byte[] data) {
        return new String(data, java.nio.charset.StandardCharsets.UTF_8);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    /** Marks what it gets. What says when it is due is not to come earlier. */
    private static final class Consumer implements QueueConsumer<String>, QueueSerializer<String> {
        private final AtomicReference<Exception> failure = new AtomicReference<>();

        @Override
        public void consumeMessage(String item) throws Exception {
            try {
                int due = item.indexOf('@');
                check(due < 0 || Long.parseLong(item.substring(due + 1)) <= System.currentTimeMillis(), "early: " + item);
                mark("taken", item);
            } catch (Exception wrong) {
                failure.set(wrong);
            }
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {}

        @Override
        public byte[] serialize(String item) {
            return bytes(item);
        }

        @Override
        public String deserialize(byte[] data) {
            return text(data);
        }

        /** Works until everybody's items are done. */
        private void untilAll(int rounds) throws Exception {
            for (int waited = 0; marks("taken") < contenders() * rounds; waited++) {
                check(waited < 12000, "items are left");
                Thread.sleep(5);
            }
            if (failure.get() != null) throw failure.get();
        }
    }

    private static QueueBuilder<String> queueOf(Consumer consumer, String directory) {
        return QueueBuilder.builder(curator, consumer, consumer, directory).lockPath(proof + "-claims");
    }

    private static void workOff(String directory, int rounds) throws Exception {
        Consumer consumer = new Consumer();
        try (DistributedPriorityQueue<String> queue = queueOf(consumer, directory).buildPriorityQueue(1)) {
            queue.start();
            for (int number = 0; number < rounds; number++) queue.put("java-" + self() + "-" + number, number - 5);
            consumer.untilAll(rounds);
        }
    }

    private static void workOffWhenDue(String directory, int rounds) throws Exception {
        Consumer consumer = new Consumer();
        try (DistributedDelayQueue<String> queue = queueOf(consumer, directory).buildDelayQueue()) {
            queue.start();
            for (int number = 0; number < rounds; number++) {
                long due = System.currentTimeMillis() + number * 37 % 1000;
                queue.put("java-" + self() + "-" + number + "@" + due, due);
            }
            consumer.untilAll(rounds);
        }
    }

    private static void round(String recipe, String directory, int number) throws Exception {
        switch (recipe) {
            case "mutex": {
                InterProcessMutex mutex = new InterProcessMutex(curator, directory);
                mutex.acquire();
                alone();
                mutex.release();
                break;
            }
            case "rw": {
                InterProcessReadWriteLock lock = new InterProcessReadWriteLock(curator, directory);
                if (number % 3 == 0) {
                    lock.writeLock().acquire();
                    alone();
                    // Not downgraded: Curator's node gets a number of its own for that before 5.5, behind writers that
                    // came before it, which then walk past it.
                    lock.writeLock().release();
                } else {
                    lock.readLock().acquire();
                    reading();
                    lock.readLock().release();
                }
                break;
            }
            case "semaphore": {
                InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(curator, directory, 2);
                Lease lease = semaphore.acquire();
                oneOfTwo();
                semaphore.returnLease(lease);
                break;
            }
            case "latch": {
                try (LeaderLatch latch = new LeaderLatch(curator, directory, "java")) {
                    latch.start();
                    check(latch.await(60, TimeUnit.SECONDS), "the latch never led");
                    alone();
                }
                break;
            }
            case "barrier":
                together(directory, number);
                break;
            case "gate":
                passing(directory, number);
                break;
            case "counter-long":
                check(new DistributedAtomicLong(curator, directory, new RetryNTimes(1000, 5)).increment().succeeded(),
                    "others were always faster");
                break;
            case "counter-int":
                check(new DistributedAtomicInteger(curator, directory, new RetryNTimes(1000, 5)).increment().succeeded(),
                    "others were always faster");
                break;
            case "queue-simple": {
                SimpleDistributedQueue queue = new SimpleDistributedQueue(curator, directory);
                queue.offer(bytes("java-" + self() + "-" + number));
                mark("taken", text(queue.take()));
                break;
            }
            default:
                throw new IllegalArgumentException("no recipe " + recipe);
        }
    }

    /** Leads so many times, standing again by itself. */
    private static void select(String directory, int rounds) throws Exception {
        CountDownLatch left = new CountDownLatch(rounds);
        AtomicReference<Exception> failure = new AtomicReference<>();
        LeaderSelectorListenerAdapter listener = new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework client) throws Exception {
                if (left.getCount() == 0) return;
                try {
                    alone();
                } catch (Exception wrong) {
                    failure.set(wrong);
                }
                left.countDown();
            }
        };
        try (LeaderSelector selector = new LeaderSelector(curator, directory, listener)) {
            selector.setId("java");
            selector.autoRequeue();
            selector.start();
            check(left.await(120, TimeUnit.SECONDS), "the selector never led");
        }
        if (failure.get() != null) throw failure.get();
    }

    public static void main(String[] arguments) throws Exception {
        curator = CuratorFrameworkFactory.newClient(arguments[0], 4000, 4000, new ExponentialBackoffRetry(50, 10));
        curator.start();
        proof = arguments[3];
        int rounds = Integer.parseInt(arguments[4]);
        if (arguments[1].equals("selector")) {
            select(arguments[2], rounds);
        } else if (arguments[1].equals("queue-curator")) {
            workOff(arguments[2], rounds);
        } else if (arguments[1].equals("queue-delay")) {
            workOffWhenDue(arguments[2], rounds);
        } else {
            for (int number = 0; number < rounds; number++) round(arguments[1], arguments[2], number);
        }
        System.out.println(rounds + " rounds");
        curator.close();
        System.exit(0);
    }
}
