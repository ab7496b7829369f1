import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.retry.ExponentialBackoffRetry;
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
        } else {
            for (int number = 0; number < rounds; number++) round(arguments[1], arguments[2], number);
        }
        System.out.println(rounds + " rounds");
        curator.close();
        System.exit(0);
    }
}
