//! How many may come, how fast, and how long they may keep silent.

use super::*;
use support::{read_frame, write_frame};
use zk_proto::{ConnectRequest, SessionId, Zxid};
use zk_server::config::settings::SessionWeights;

/// Connections up to a limit, one more, and one again after one has left.
fn check_seats(scene: &Scene, limit: usize, counter: &str) {
    let mut clients: Vec<Client> = (0..limit).map(|_| scene.connect().unwrap()).collect();
    assert!(scene.connect().is_err(), "one above the limit");
    clients.pop();
    eventually("a seat is given back", || {
        scene.connect().map(|client| clients.push(client)).is_ok()
    });
    assert!(clients.iter_mut().all(|client| client.data("/").is_ok()));
    clients.clear();
    // The question needs a seat itself.
    eventually("the refusal is counted", || {
        let mut stream = scene.dial();
        let mut text = String::new();
        stream.write_all(b"mntr").is_ok()
            && stream.read_to_string(&mut text).is_ok()
            && text
                .lines()
                .any(|line| line.starts_with(&format!("zk_{counter}\t")) && !line.ends_with("\t0"))
    });
    assert!(scene.metric("connection_rejected") > 0);
}

#[test]
fn connections_of_one_address() {
    let scene = Scene::start(|config| config.limits.max_client_cnxns = Some(3));
    check_seats(&scene, 3, "limit_connections_per_ip");
}

#[test]
fn connections_in_total() {
    let scene = Scene::start(|config| config.limits.max_cnxns = Some(3));
    check_seats(&scene, 3, "limit_connections");
}

/// However many come in the same moment: those let in are counted before the next one is looked at.
#[test]
fn connections_in_a_burst() {
    for round in 0..10 {
        let scene = Scene::start(|config| {
            if round % 2 == 0 {
                config.limits.max_client_cnxns = Some(5);
            } else {
                config.limits.max_cnxns = Some(5);
            }
        });
        let hello = hello_of(45);
        // The kernel takes them all; the server finds them together.
        let mut dialled: Vec<_> = (0..100).map(|_| scene.dial()).collect();
        let served = dialled
            .iter_mut()
            .map(|stream| write_frame(stream, &hello).is_ok() && read_frame(stream).is_ok());
        assert_eq!(served.filter(|&served| served).count(), 5);
    }
}

#[test]
fn the_connection_throttle_has_so_many_tokens() {
    let scene = Scene::start(|config| {
        let throttle = &mut config.throttling.connections;
        throttle.tokens = Some(3);
        throttle.fill_time = Duration::from_secs(86_400);
    });
    let clients: Vec<_> = (0..3).map(|_| scene.connect().unwrap()).collect();
    assert!(scene.connect().is_err());
    assert!(Client::resume(scene.address, &clients[0].session).is_err());
    assert_eq!(scene.metric("limit_session_rate"), 2);
    assert_eq!(scene.metric("connection_request_count"), 3);
    assert_eq!(scene.metric("max_connection_token_deficit"), 3);
}

#[test]
fn a_renewed_session_costs_the_throttle_less() {
    let scene = Scene::start(|config| {
        let throttle = &mut config.throttling.connections;
        throttle.tokens = Some(2);
        throttle.fill_time = Duration::from_secs(86_400);
        throttle.weights = Some(SessionWeights {
            global: 3,
            renew: 2,
            local: 1,
        });
    });
    // Six tokens in all.
    let session = scene.connect().unwrap().session;
    Client::resume(scene.address, &session).unwrap();
    assert!(scene.connect().is_err(), "one token is left");
    assert_eq!(scene.metric("connection_revalidate_count"), 1);
}

/// Opens sessions until one is refused; returns how many there were and the most there may have been.
fn sessions_until_refused(scene: &Scene, rate: u64) -> (u64, u64) {
    let began = Instant::now();
    let mut opened = 0;
    while scene.connect().is_ok() {
        opened += 1;
        assert!(began.elapsed() < PATIENCE, "never refused");
    }
    let most = rate + began.elapsed().as_secs() * rate + rate;
    (opened, most)
}

#[test]
fn new_sessions_in_a_second() {
    for per_ip in [false, true] {
        let rate = 20;
        let scene = Scene::start(|config| {
            if per_ip {
                config.limits.new_sessions_per_ip_per_second = Some(rate);
            } else {
                config.limits.new_sessions_per_second = Some(rate);
            }
        });
        let session = scene.connect().unwrap().session;
        let (opened, most) = sessions_until_refused(&scene, rate);
        assert!(
            (rate - 1..=most).contains(&opened),
            "{opened} of at most {most}"
        );
        // Only new sessions cost a transaction.
        Client::resume(scene.address, &session).unwrap();
        assert_eq!(scene.metric("limit_session_rate"), 1);
        eventually("the second goes by", || scene.connect().is_ok());
    }
}

#[test]
fn a_handshake_has_a_deadline() {
    let scene = Scene::start(|config| {
        config.limits.sessionless_timeout = Duration::from_millis(300);
    });
    let mut stream = scene.dial();
    stream.write_all(&[0, 0, 0, 45, 0]).unwrap();
    assert!(hangs_up(&mut stream));
    assert_eq!(scene.metric("limit_handshake_timeout"), 1);
    assert_eq!(scene.metric("sessionless_connections_expired"), 1);
    let mut quick = scene.connect().unwrap();
    eventually("a session outlives the deadline", || {
        quick.data("/").unwrap().unwrap();
        scene.metric("uptime") > 1000
    });
}

/// A handshake of that many bytes.
fn hello_of(size: usize) -> Vec<u8> {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: 10_000,
        session: SessionId::NONE,
        password: Some(vec![0; size - 29].into()),
        read_only: Some(false),
    };
    let mut payload = Vec::new();
    request.encode(&mut payload);
    assert_eq!(payload.len(), size);
    payload
}

/// Whether the server answers such a handshake.
fn hello(scene: &Scene, size: usize) -> bool {
    let mut stream = scene.dial();
    // The server may hang up before it has read everything.
    write_frame(&mut stream, &hello_of(size)).is_ok() && read_frame(&mut stream).is_ok()
}

#[test]
fn a_handshake_is_small() {
    let scene = Scene::start(|config| config.limits.handshake_buffer = 4096);
    assert!(hello(&scene, 4095));
    assert!(hello(&scene, 4096));
    assert!(!hello(&scene, 4097));
    assert_eq!(scene.metric("limit_connection_memory"), 1);
}

/// The kernel says of each socket whether a keep-alive timer runs.
#[test]
fn keep_alive_is_on_where_it_is_asked_for() {
    for wanted in [false, true] {
        let scene = Scene::start(|config| config.listen.tcp_keep_alive = wanted);
        let client = scene.dial();
        let (server, client) = (scene.address.port(), client.local_addr().unwrap().port());
        let timer = || {
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
            table.lines().find_map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let ours = fields.get(1)?.ends_with(&format!(":{server:04X}"))
                    && fields.get(2)?.ends_with(&format!(":{client:04X}"));
                ours.then(|| fields.get(5).map(|timer| timer.starts_with("02:")))?
            })
        };
        if !std::path::Path::new("/proc/net/tcp").exists() {
            return;
        }
        eventually("the connection is in the kernel's table", || {
            timer().is_some()
        });
        assert_eq!(timer(), Some(wanted));
    }
}
