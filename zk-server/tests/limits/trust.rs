//! Who has proved what, and how often one may guess.

use super::*;
use std::borrow::Cow;
use support::{read_frame, write_frame};
use zk_proto::jute::Reader;
use zk_proto::{ErrorCode, ReplyHeader, Request, RequestHeader, Xid};
use zk_server::config::settings::Secret;

/// Sends one request and reads the header of its answer.
fn ask(client: &mut Client, xid: Xid, request: &Request<'_>) -> std::io::Result<ReplyHeader> {
    let mut payload = Vec::new();
    let op = request.op();
    RequestHeader { xid, op }.encode(&mut payload);
    request.encode(&mut payload);
    write_frame(client.stream(), &payload)?;
    let reply = read_frame(client.stream())?;
    Ok(ReplyHeader::decode(&mut Reader::new(&reply)).unwrap())
}

fn authenticate(client: &mut Client, scheme: &str, auth: &str) -> std::io::Result<i32> {
    let request = Request::Auth {
        kind: 0,
        scheme: Some(Cow::Borrowed(scheme)),
        auth: Some(auth.as_bytes()),
    };
    Ok(ask(client, Xid::AUTH, &request)?.err)
}

#[test]
fn enforced_schemes_come_before_anything_else() {
    let scene = Scene::start(|config| {
        config.security.enforced_schemes = Some(["digest".to_owned()].into());
    });
    let required = ErrorCode::SessionClosedRequireAuth.to_wire();
    let path = "/".into();
    let read = Request::GetData { path, watch: false };
    let asked = [
        (Xid::PING, Request::Ping),
        (Xid(1), read),
        (Xid(7), Request::CloseSession),
        (Xid(8), support::create("/x", b"", 0)),
    ];
    for (xid, request) in asked {
        let mut client = scene.connect().unwrap();
        let header = ask(&mut client, xid, &request).unwrap();
        assert_eq!(
            (header.xid, header.zxid.to_wire(), header.err),
            (xid, 0, required)
        );
        assert!(hangs_up(client.stream()), "{:?}", request.op());
    }
    let mut client = scene.connect().unwrap();
    assert_eq!(authenticate(&mut client, "ip", "").unwrap(), 0);
    assert_eq!(
        ask(&mut client, Xid::PING, &Request::Ping).unwrap().err,
        required
    );
    let mut client = scene.connect().unwrap();
    assert_eq!(authenticate(&mut client, "digest", "a:b").unwrap(), 0);
    assert_eq!(ask(&mut client, Xid::PING, &Request::Ping).unwrap().err, 0);
    client.create("/x", b"", 0).unwrap().unwrap();
}

#[test]
fn an_enforced_scheme_that_everyone_has_excludes_nobody() {
    let scene = Scene::start(|config| {
        config.security.enforced_schemes = Some(["ip".to_owned()].into());
    });
    scene.assert_polite_clients_are_served();
}

#[test]
fn guesses_wait_for_one_another_and_so_does_the_right_one() {
    let scene = Scene::start(|config| {
        config.limits.authentication_burst_per_ip = Some(2);
        let digest = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";
        config.security.super_digest = Some(Secret::new(digest));
    });
    let mut client = scene.connect().unwrap();
    let began = Instant::now();
    let mut guesses = 0;
    eventually("a guess has to wait", || {
        // Digest never fails: what is guessed at is who one is then.
        assert_eq!(
            authenticate(&mut client, "digest", "super:guess").unwrap(),
            0
        );
        guesses += 1;
        scene.metric("limit_authentication_rate") > 0
    });
    assert!(guesses > 2, "the burst is free");
    assert!(
        began.elapsed() + Duration::from_millis(10) >= Duration::from_secs(guesses - 2),
        "{guesses} guesses in {:?}",
        began.elapsed()
    );
    // Others of the same address authenticate as ever.
    let before = scene.metric("limit_authentication_rate");
    assert_eq!(
        authenticate(&mut client, "digest", "user:secret").unwrap(),
        0
    );
    assert_eq!(scene.metric("limit_authentication_rate"), before);
    assert_eq!(
        authenticate(&mut client, "digest", "super:admin").unwrap(),
        0
    );
    let identities = client.call(&Request::WhoAmI).unwrap().unwrap();
    assert!(
        format!("{identities:?}").contains("super"),
        "{identities:?}"
    );
}

#[test]
fn an_unknown_scheme_is_refused_and_counted() {
    let scene = Scene::start(|_| {});
    let mut client = scene.connect().unwrap();
    assert_eq!(authenticate(&mut client, "sesame", "open").unwrap(), -115);
    assert!(hangs_up(client.stream()));
    assert_eq!(scene.metric("auth_failed_count"), 1);
}
