import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.concurrent.Callable;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.UriSpec;
import org.apache.zookeeper.CreateMode;

/** The same as the Rust resident, through Curator: Resident HOSTS ROOT. */
public final class Resident {
    private static CuratorFramework curator;

    private Resident() {}

    /** What an instance carries besides. */
    public static final class Info {
        public String zone = "java";
    }

    private static void until(String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.currentTimeMillis() + 60_000;
        while (!holds.call()) {
            if (System.currentTimeMillis() > deadline) throw new IllegalStateException("waited for " + what);
            Thread.sleep(20);
        }
    }

    private static String data(String path) throws Exception {
        return new String(curator.getData().forPath(path), StandardCharsets.UTF_8);
    }

    private static ServiceInstance<Info> find(Collection<ServiceInstance<Info>> all, String id) {
        return all.stream().filter(it -> it.getId().equals(id)).findFirst().orElse(null);
    }

    private static void discover(String base) throws Exception {
        ServiceInstance<Info> ours = ServiceInstance.<Info>builder().name("shop").id("java").address("10.0.0.2").port(80)
            .payload(new Info()).uriSpec(new UriSpec("{scheme}://{address}:{port}/{id}")).build();
        ServiceDiscovery<Info> discovery = ServiceDiscoveryBuilder.builder(Info.class).client(curator).basePath(base)
            .thisInstance(ours).build();
        discovery.start();
        ServiceProvider<Info> provider = discovery.serviceProviderBuilder().serviceName("shop").build();
        provider.start();
        until("the instance of Rust", () -> find(provider.getAllInstances(), "rust") != null);
        ServiceInstance<Info> rust = find(provider.getAllInstances(), "rust");
        if (!rust.getPayload().zone.equals("rust")) throw new IllegalStateException("payload");
        if (!rust.buildUriSpec().equals("http://10.0.0.1:8080/rust")) throw new IllegalStateException(rust.buildUriSpec());
        until("the other one", () -> find(discovery.queryForInstances("shop"), "rust-off") != null);
        if (find(discovery.queryForInstances("shop"), "rust-off").isEnabled()) throw new IllegalStateException("enabled");
        until("that it is not picked", () -> find(provider.getAllInstances(), "rust-off") == null);
    }

    public static void main(String[] arguments) throws Exception {
        curator = CuratorFrameworkFactory.newClient(arguments[0], 4000, 4000, new ExponentialBackoffRetry(50, 10));
        curator.start();
        String root = arguments[1];
        byte[] hello = "hello".getBytes(StandardCharsets.UTF_8);
        PersistentNode node = new PersistentNode(curator, CreateMode.EPHEMERAL, false, root + "/node", hello);
        node.start();
        GroupMember member = new GroupMember(curator, root + "/group", "java", hello);
        member.start();
        discover(root + "/services");
        until("the member of Rust", () -> member.getCurrentMembers().containsKey("rust"));
        String said = new String(member.getCurrentMembers().get("rust"), StandardCharsets.UTF_8);
        if (!said.equals("hello")) throw new IllegalStateException(said);
        curator.create().forPath(root + "/met/java");
        until("everybody", () -> curator.getChildren().forPath(root + "/met").size() == 3);
        // Rust has waited for this one to go.
        if (!data(root + "/node").equals("hello")) throw new IllegalStateException("the node was overwritten");
        node.close();
        until("the node of Rust", () -> curator.checkExists().forPath(root + "/node") != null
            && data(root + "/node").equals("rust"));
        curator.create().forPath(root + "/done");
        System.out.println("met");
        System.exit(0);
    }
}
