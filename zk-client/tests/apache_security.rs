//! TLS and SASL against Apache's own servers, 3.8 and 3.9, as far as they are on this machine: what our two ends
//! agree on could be wrong at both.
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "support/apache.rs"]
mod apache;
#[path = "support/certificates.rs"]
mod certificates;

use apache::Running;
use bytes::Bytes;
use certificates::{Authority, Signed};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use zk_client::hosts::resolve::fresh_chance;
use zk_client::security::sasl::{Login, Sasl, SaslError, Step};
use zk_client::security::tls::{ExpectedName, Pem, Tls};
use zk_client::testkit::{TestServer, Wire, WireError};
use zk_client::{Client, ConnectError};
use zk_proto::{Reply, Request};

const SECURE: &str = "\
ssl.keyStore.location=@DIR@/server.pem\nssl.keyStore.type=PEM\n\
ssl.trustStore.location=@DIR@/ca.pem\nssl.trustStore.type=PEM\n\
ssl.clientAuth=need\n\
authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n\
authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n";

/// A name and a password with everything that has to be escaped or encoded; JAAS has its own escapes.
const JAAS: &str = r#"Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_bob="secret"
    user_odd="pass, word=\"quoted\"";
};
"#;

async fn start(apache: &apache::Apache, authority: &Authority) -> Running {
    let server = authority.sign("server", &["localhost", "127.0.0.1"]);
    let files = [
        ("ca.pem", authority.pem.clone()),
        ("server.pem", format!("{}{}", server.key, server.chain)),
        ("jaas.conf", JAAS.to_owned()),
    ];
    apache.start(SECURE, &files).await
}

/// Who the server takes us for: pairs of scheme and identity.
async fn who_am_i<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Vec<(String, String)> {
    let reply = wire.call(&Request::WhoAmI).await.unwrap();
    let Reply::WhoAmI(infos) = reply else {
        panic!("not an answer to whoAmI: {reply:?}");
    };
    let pairs = infos.into_iter().map(|info| (info.scheme, info.user));
    pairs.collect()
}

/// One turn of an exchange: a token out, a token in.
async fn turn(wire: &mut Wire, token: Bytes) -> Result<Bytes, WireError> {
    let request = Request::Sasl {
        token: Some(&token),
    };
    let reply = wire.call(&request).await?;
    let Reply::Token(token) = reply else {
        panic!("not an answer to SASL: {reply:?}");
    };
    Ok(token.unwrap_or_default())
}

async fn log_in(wire: &mut Wire, login: &Login) -> Result<Result<(), SaslError>, WireError> {
    let mut chance = fresh_chance();
    let mut sasl: Sasl =
        login.begin(u128::from(chance.number()) << 64 | u128::from(chance.number()));
    let mut token = sasl.start();
    loop {
        let challenge = turn(wire, token).await?;
        match sasl.on_challenge(&challenge) {
            Ok(Step::Send(response)) => token = response,
            Ok(Step::Done) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

async fn tls_shakes_hands(running: &Running, authority: &Authority) {
    let Signed { chain, key } = authority.sign("a client", &[]);
    let tls = Tls::trusting(Pem::text(&authority.pem)).identity(Pem::text(chain), Pem::text(key));
    for expected in [
        ExpectedName::Host,
        ExpectedName::Fixed("localhost".to_owned()),
        ExpectedName::DangerouslyAny,
    ] {
        let mut connector = tls.clone().expecting(expected).connector();
        let stream = TcpStream::connect(running.secure).await.unwrap();
        let stream = connector.connect("127.0.0.1", stream).await.unwrap();
        let mut wire = Wire::over(stream);
        wire.handshake(10_000, None).await.unwrap();
        let identities = who_am_i(&mut wire).await;
        let ours = ("x509".to_owned(), "CN=a client".to_owned());
        assert!(identities.contains(&ours), "{identities:?}");
    }
    // Without a certificate we get nowhere, and with a stranger's we do not go there ourselves.
    let mut bare = Tls::trusting(Pem::text(&authority.pem)).connector();
    let stream = TcpStream::connect(running.secure).await.unwrap();
    if let Ok(stream) = bare.connect("127.0.0.1", stream).await {
        let refused = Wire::over(stream).handshake(10_000, None).await;
        assert!(matches!(refused, Err(WireError::Io(_))), "{refused:?}");
    }
    let mut stranger = Tls::trusting(Pem::text(Authority::new("other").pem)).connector();
    let stream = TcpStream::connect(running.secure).await.unwrap();
    let refused = stranger
        .connect("127.0.0.1", stream)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

async fn sasl_proves_both_sides(running: &Running) {
    for (user, password) in [("bob", "secret"), ("odd", "pass, word=\"quoted\"")] {
        let (mut wire, _) = Wire::open(running.plain).await.unwrap();
        log_in(&mut wire, &Login::new(user, password))
            .await
            .unwrap()
            .unwrap();
        let identities = who_am_i(&mut wire).await;
        let ours = ("sasl".to_owned(), user.to_owned());
        assert!(identities.contains(&ours), "{identities:?}");
    }
    // Not `secret`: 3.8 lets a user it does not know in with the password of whoever came before.
    for login in [Login::new("bob", "wrong"), Login::new("nobody", "nothing")] {
        let (mut wire, _) = Wire::open(running.plain).await.unwrap();
        let refused = log_in(&mut wire, &login).await;
        assert!(
            matches!(refused, Err(WireError::Refused(-115))),
            "{refused:?}"
        );
    }
}

/// The whole client, over TLS and with SASL, across a lost connection's worth of work.
async fn a_client_is_who_it_says(running: &Running, authority: &Authority) {
    let Signed { chain, key } = authority.sign("a client", &[]);
    let tls = Tls::trusting(Pem::text(&authority.pem)).identity(Pem::text(chain), Pem::text(key));
    let secured = Client::builder(running.secure.to_string()).tls(tls);
    let proved = Client::builder(running.plain.to_string()).sasl(Login::new("bob", "secret"));
    for (builder, scheme, user) in [(secured, "x509", "CN=a client"), (proved, "sasl", "bob")] {
        let client = builder.connect().await.unwrap();
        let infos = client.who_am_i().await.unwrap();
        let ours = |info: &zk_client::ClientInfo| info.scheme == scheme && info.user == user;
        assert!(infos.iter().any(ours), "{infos:?}");
        client.create("/mine", scheme).ephemeral().await.unwrap();
        assert_eq!(client.get("/mine").await.unwrap().0, scheme);
        client.close().await;
    }
    let wrong = Client::builder(running.plain.to_string()).sasl(Login::new("bob", "wrong"));
    assert_eq!(wrong.connect().await.unwrap_err(), ConnectError::AuthFailed);
}

#[tokio::test]
async fn apaches_servers_shake_hands_with_us_over_tls_and_sasl() {
    for apache in apache::versions("TLS and SASL against Apache") {
        let authority = Authority::new("ensemble");
        let running = start(&apache, &authority).await;
        tls_shakes_hands(&running, &authority).await;
        sasl_proves_both_sides(&running).await;
        a_client_is_who_it_says(&running, &authority).await;
        println!("{}: TLS and SASL", apache.name);
    }
}

#[tokio::test]
async fn a_server_without_sasl_is_told_from_a_wrong_password() {
    let server = TestServer::start().await.unwrap();
    let (mut wire, _) = Wire::open(server.address()).await.unwrap();
    let verdict = log_in(&mut wire, &Login::new("bob", "secret"))
        .await
        .unwrap();
    assert_eq!(verdict, Err(SaslError::NotOffered));
}
