//! What one client can and cannot do to its own connection and to the others.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::{Client, create};
use tempfile::TempDir;
use zk_proto::{Acl, EventType, MultiOp, Perms, Request, WatchLists, Zxid};
use zk_server::config::settings::FourLetterWords;
use zk_server::{Config, Server};

async fn server(change: impl FnOnce(&mut Config)) -> (Server, SocketAddr, TempDir) {
    let data = tempfile::tempdir().expect("a directory");
    let mut config = Config::in_process(data.path());
    change(&mut config);
    let server = Server::start(config).await.expect("a server");
    let address = server.client_address().expect("a port");
    (server, address, data)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("the client does not panic")
}

/// Waits for a condition.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

fn report(address: SocketAddr, word: &[u8]) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    stream.write_all(word).expect("a word");
    std::io::read_to_string(stream).expect("a report")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_taken_up_again_sees_all_that_was_asked_on_its_old_connection() {
    let (server, address, _data) = server(|_| {}).await;
    blocking(move || {
        let mut other = Client::connect(address).unwrap();
        other.create("/n", b"", 0).unwrap().unwrap();
        for _ in 0..30 {
            let mut old = Client::connect(address).unwrap();
            for number in 0..100u32 {
                let data = number.to_string();
                let write = Request::SetData {
                    path: "/n".into(),
                    data: Some(data.as_bytes()),
                    version: -1,
                };
                old.send(&write).unwrap();
            }
            let mut new = Client::resume(address, &old.session).unwrap();
            let seen = new.data("/n").unwrap();
            // Whatever the server took of the old connection stands by now: nothing follows (P3).
            other.create("/x", b"", 2).unwrap().unwrap();
            other.create("/x", b"", 2).unwrap().unwrap();
            assert_eq!(other.data("/n").unwrap(), seen);
            new.call(&Request::CloseSession).unwrap().unwrap();
        }
    })
    .await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_request_cannot_ask_for_more_than_the_server_can_hold() {
    let (server, address, _data) = server(|_| {}).await;
    blocking(move || {
        let mut client = Client::connect(address).unwrap();
        client
            .create("/big", &vec![7; 1_000_000], 0)
            .unwrap()
            .unwrap();
        let read = |parts: usize| {
            Request::MultiRead(vec![
                MultiOp::GetData {
                    path: "/big".into(),
                    watch: false
                };
                parts
            ])
        };
        assert!(client.call(&read(60)).unwrap().is_ok());
        assert_eq!(client.call(&read(70)).unwrap(), Err(-8));
        // Behind a write it is the loop that answers; it must not build it either.
        client.send(&create("/after", b"", 0)).unwrap();
        client.send(&read(2000)).unwrap();
        assert!(client.receive().unwrap().1.is_ok());
        assert_eq!(client.receive().unwrap().1, Err(-8));
        assert_eq!(client.data("/after").unwrap(), Ok(Vec::new()));
    })
    .await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_let_go_with_its_session() {
    let (server, address, _data) = server(|config| {
        config.sessions.tick_time = Duration::from_millis(100);
        config.sessions.min_timeout = Duration::from_millis(200);
        config.sessions.max_timeout = Duration::from_secs(60);
    })
    .await;
    blocking(move || {
        let mut writer =
            Client::connect_with(address, zk_proto::SessionId::NONE, &[0; 16], 60_000).unwrap();
        writer
            .create("/big", &vec![7; 1_000_000], 0)
            .unwrap()
            .unwrap();
        let mut deaf =
            Client::connect_with(address, zk_proto::SessionId::NONE, &[0; 16], 1000).unwrap();
        for _ in 0..40 {
            deaf.send(&Request::GetData {
                path: "/big".into(),
                watch: false,
            })
            .unwrap();
        }
        until("its connection is closed", || {
            report(address, b"srvr").contains("Connections: 2\n")
        });
    })
    .await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn long_questions_of_one_client_do_not_hold_up_the_writes_of_another() {
    let (server, address, _data) = server(|_| {}).await;
    let worst = blocking(move || {
        let mut setup = Client::connect(address).unwrap();
        setup.create("/d", b"", 0).unwrap().unwrap();
        for number in 0..20_000 {
            setup
                .send(&create(&format!("/d/{number}"), b"", 0))
                .unwrap();
            if number % 500 == 499 {
                for _ in 0..500 {
                    setup.receive().unwrap().1.unwrap();
                }
            }
        }
        let nosy = std::thread::spawn(move || {
            let mut nosy = Client::connect(address).unwrap();
            let question = Request::GetAllChildrenNumber { path: "/d".into() };
            for _ in 0..600 {
                nosy.send(&question).unwrap();
            }
            let began = Instant::now();
            for _ in 0..600 {
                nosy.receive().unwrap().1.unwrap();
            }
            began.elapsed()
        });
        let mut worst = Duration::ZERO;
        while !nosy.is_finished() {
            let began = Instant::now();
            setup.create("/w", b"", 2).unwrap().unwrap();
            worst = worst.max(began.elapsed());
        }
        (worst, nosy.join().unwrap())
    })
    .await;
    let (worst, all) = worst;
    assert!(
        worst < all / 2 || worst < Duration::from_millis(200),
        "a write took {worst:?} of {all:?}"
    );
    server.stop().await.unwrap();
}

/// What `setWatches` makes a client hear that has missed everything.
fn caught_up(client: &mut Client) -> Vec<(EventType, String)> {
    let path = || vec!["/secret".into()];
    let lists = WatchLists {
        relative_zxid: Zxid::ZERO,
        data: vec!["/secret".into(), "/gone".into()],
        exist: path(),
        child: path(),
        persistent: vec![],
        recursive: vec![],
    };
    client
        .call(&Request::SetWatches2(lists))
        .expect("an answer")
        .expect("no refusal");
    let told = client.events.drain(..);
    told.map(|(_, event)| (event.event, event.path)).collect()
}

/// P13: an event says that a node is there, and when it changed.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_a_node_does_not_catch_up_on_it() {
    let (server, address, _data) = server(|config| {
        config.four_letter_words = FourLetterWords::All;
    })
    .await;
    blocking(move || {
        let mut owner = Client::connect(address).unwrap();
        let proof = Request::Auth {
            kind: 0,
            scheme: Some("digest".into()),
            auth: Some(b"owner:password"),
        };
        owner.call(&proof).unwrap().unwrap();
        owner.create("/secret", b"", 0).unwrap().unwrap();
        owner.create("/secret/child", b"", 0).unwrap().unwrap();
        let acl = Some(vec![Acl::new(Perms::ALL, "auth", "").into()]);
        let restrict = Request::SetAcl {
            path: "/secret".into(),
            acl,
            version: -1,
        };
        owner.call(&restrict).unwrap().unwrap();
        let gone = (EventType::Deleted, "/gone".to_owned());
        let of = |event| (event, "/secret".to_owned());
        assert_eq!(
            caught_up(&mut owner),
            [
                of(EventType::DataChanged),
                gone.clone(),
                of(EventType::Created),
                of(EventType::ChildrenChanged)
            ]
        );
        let mut stranger = Client::connect(address).unwrap();
        assert_eq!(caught_up(&mut stranger), [gone]);
        let report = report(address, b"wchs");
        assert!(
            report.contains("Total watches:0"),
            "nobody waits for what has happened: {report}"
        );
    })
    .await;
    server.stop().await.unwrap();
}
