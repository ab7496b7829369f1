//! How long a pick takes among a thousand instances of a service, by strategy. `cargo bench --bench discovery`

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use zk_client::Client;
use zk_client::testkit::TestServer;
use zk_recipes::{Instance, Provider, Registry, Strategy};

const SERVICES: &str = "/services";
const INSTANCES: usize = 1000;

/// A server, and a service of so many instances that nobody has to care for.
async fn serve() -> (TestServer, Client) {
    let server = TestServer::start().await.expect("a server");
    let client = Client::connect(server.address().to_string())
        .await
        .expect("a session");
    client
        .create("/services/shop", "")
        .parents()
        .await
        .expect("a directory");
    for number in 0..INSTANCES {
        let id = format!("{number:04}");
        let instance = Instance::new("shop").id(&id).address("10.0.0.1").port(80);
        let data = instance.encode().expect("an instance is JSON");
        let path = format!("/services/shop/{id}");
        client.create(path, data).await.expect("an instance");
    }
    (server, client)
}

async fn provide(client: &Client, strategy: Strategy) -> Provider {
    let provider = Registry::new(client, SERVICES).provider("shop");
    let provider = provider.strategy(strategy).start();
    provider.ready().await.expect("a service");
    assert_eq!(provider.all().len(), INSTANCES);
    provider
}

fn picks(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_server, client) = runtime.block_on(serve());
    let mut group = criterion.benchmark_group("pick among 1000");
    for (name, strategy) in [
        ("round robin", Strategy::RoundRobin),
        ("random", Strategy::Random),
        ("sticky", Strategy::Sticky),
        ("power of two", Strategy::PowerOfTwo),
        ("ring hash", Strategy::RingHash),
        ("weighted", Strategy::Weighted),
    ] {
        let provider = runtime.block_on(provide(&client, strategy));
        let mut key = 0_u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                key += 1;
                black_box(provider.pick_for(&key.to_be_bytes()))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, picks);
criterion_main!(benches);
