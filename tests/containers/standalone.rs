//! The binary alone in an empty image: it needs no file beside itself, ends when it is told to, and comes back with
//! what it had (P19, P20).

mod rig;

use rig::Member;
use std::time::{Duration, Instant};
use zk_client::Client;

#[tokio::test]
async fn a_container_that_is_stopped_and_killed_comes_back_with_its_data() {
    let Some(image) = rig::image().await else {
        return;
    };
    let server = Member::alone(image).await;
    assert_eq!(server.serves().await, "standalone");
    let client = Client::connect(server.address.to_string()).await;
    let client = client.expect("it serves");
    client.create("/before", "1").await.expect("it is new");

    let began = Instant::now();
    assert_eq!(server.stop().await, 0, "{}", server.log().await);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    server.start_again().await;
    assert_eq!(server.serves().await, "standalone");
    let (data, _) = client.get("/before").await.expect("the session lives on");
    assert_eq!(&data[..], b"1");

    client.create("/after", "2").await.expect("it is new");
    server.kill().await;
    server.start_again().await;
    assert_eq!(server.serves().await, "standalone");
    let (data, _) = client.get("/after").await.expect("the session lives on");
    assert_eq!(&data[..], b"2");
    client.close().await;
    server.remove().await;
}
