//! TLS against a server of rustls in this process: whom the client believes, what it shows, and that renewed files
//! are taken up. Apache's secure port is met in `apache_security.rs`.
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "support/certificates.rs"]
mod certificates;

use certificates::{Authority, Signed};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use zk_client::security::tls::{Connector, ExpectedName, Pem, Tls};

/// Answers one connection after the other with `hello`, and wants a certificate of `clients` if there is one.
async fn server(signed: &Signed, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let pem = CertificateDer::from_pem_slice(authority.pem.as_bytes());
            roots.add(pem.unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(signed.chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _gone = stream.write_all(b"hello").await;
                let _gone = stream.shutdown().await;
            }
        }
    });
    address
}

/// Connects and reads what the server says; with TLS 1.3 a refusal may only be heard then.
async fn greet(connector: &mut Connector, host: &str, address: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = connector.connect(host, stream).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    let mut heard = String::new();
    let read = stream.read_to_string(&mut heard).await;
    read.map_err(|error| error.to_string())?;
    assert_eq!(heard, "hello");
    Ok(())
}

fn refused(verdict: &Result<(), String>, why: &str) {
    let text = verdict.as_ref().expect_err(why);
    assert!(text.contains(why), "{text:?} does not say {why:?}");
}

#[tokio::test]
async fn a_server_has_to_be_signed_by_a_trusted_authority_for_the_name_we_asked_for() {
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let signed = trusted.sign("zk", &["zk.internal", "127.0.0.1"]);
    let address = server(&signed, None).await;
    let tls = |authority: &Authority| Tls::trusting(Pem::text(&authority.pem));
    let fixed = |name: &str| ExpectedName::Fixed(name.to_owned());

    let mut by_host = tls(&trusted).connector();
    assert_eq!(greet(&mut by_host, "zk.internal", address).await, Ok(()));
    assert_eq!(greet(&mut by_host, "127.0.0.1", address).await, Ok(()));
    refused(
        &greet(&mut by_host, "zk.elsewhere", address).await,
        "not valid for name",
    );
    refused(
        &greet(&mut by_host, "127.0.0.2", address).await,
        "not valid for name",
    );
    refused(
        &greet(&mut by_host, "not a name", address).await,
        "neither a DNS name nor an address",
    );

    let mut by_name = tls(&trusted).expecting(fixed("zk.internal")).connector();
    assert_eq!(greet(&mut by_name, "10.1.2.3", address).await, Ok(()));
    let mut wrong_name = tls(&trusted).expecting(fixed("zk")).connector();
    refused(
        &greet(&mut wrong_name, "zk.internal", address).await,
        "not valid for name",
    );

    let mut any = tls(&trusted)
        .expecting(ExpectedName::DangerouslyAny)
        .connector();
    assert_eq!(greet(&mut any, "zk.elsewhere", address).await, Ok(()));

    for name in [ExpectedName::Host, ExpectedName::DangerouslyAny] {
        let mut stranger = tls(&other).expecting(name).connector();
        refused(
            &greet(&mut stranger, "zk.internal", address).await,
            "UnknownIssuer",
        );
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate_to_whom_asks() {
    let authority = Authority::new("everybody's");
    let signed = authority.sign("zk", &["zk.internal"]);
    let address = server(&signed, Some(&authority)).await;
    let tls = Tls::trusting(Pem::text(&authority.pem));

    refused(
        &greet(&mut tls.clone().connector(), "zk.internal", address).await,
        "CertificateRequired",
    );
    let me = authority.sign("client", &[]);
    let shown = tls
        .clone()
        .identity(Pem::text(&me.chain), Pem::text(&me.key));
    assert_eq!(
        greet(&mut shown.connector(), "zk.internal", address).await,
        Ok(())
    );
    let other = authority.sign("other", &[]);
    let mixed = tls.identity(Pem::text(&me.chain), Pem::text(&other.key));
    refused(
        &greet(&mut mixed.connector(), "zk.internal", address).await,
        "cannot be used",
    );
}

#[tokio::test]
async fn renewed_files_are_taken_up_and_broken_ones_are_not() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let old_server = server(&old.sign("zk", &["zk.internal"]), None).await;
    let new_server = server(&new.sign("zk", &["zk.internal"]), None).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let mut connector = Tls::trusting(Pem::file(&file)).connector();
    refused(
        &greet(&mut connector, "zk.internal", old_server).await,
        "cannot be read",
    );

    std::fs::write(&file, &old.pem).unwrap();
    assert_eq!(
        greet(&mut connector, "zk.internal", old_server).await,
        Ok(())
    );
    refused(
        &greet(&mut connector, "zk.internal", new_server).await,
        "UnknownIssuer",
    );
    std::fs::write(&file, &new.pem).unwrap();
    assert_eq!(
        greet(&mut connector, "zk.internal", new_server).await,
        Ok(())
    );
    refused(
        &greet(&mut connector, "zk.internal", old_server).await,
        "UnknownIssuer",
    );
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nhalf").unwrap();
    assert_eq!(
        greet(&mut connector, "zk.internal", new_server).await,
        Ok(())
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        greet(&mut connector, "zk.internal", new_server).await,
        Ok(())
    );
}
