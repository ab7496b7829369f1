//! TLS by rustls: whom to trust, who we are, and which name a server has to prove.
//!
//! Certificates and keys are PEM, from files or from memory. Files are read again for every connection, so that
//! renewed certificates are taken up at the next reconnect; if they cannot be read just then, the last good ones
//! serve on, and the log says so. There is no trust by default: an ensemble's authority is its owner's, not one
//! of the web's. A server's certificate must not be marked as an authority itself, as those are that
//! `openssl req -x509` makes; sign one with it instead.
//!
//! The provider of the mathematics is ring, which needs no more than a C compiler to build.

mod pem;
mod verify;

pub use pem::{Pem, PemError};

use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use tokio_rustls::{TlsConnector, rustls::crypto::ring};

/// Which name a server's certificate has to carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExpectedName {
    /// The host or the address of the connection string.
    #[default]
    Host,
    /// This one, whichever server it is.
    Fixed(String),
    /// Any. Whoever holds a certificate of a trusted authority, for whatever purpose, can pose as the server;
    /// that is tolerable only where the authority signs nothing but servers of the ensemble.
    DangerouslyAny,
}

/// What connections are secured with.
///
/// ```
/// use zk_client::security::tls::{ExpectedName, Pem, Tls};
///
/// let tls = Tls::trusting(Pem::file("/etc/zk/ca.pem"))
///     .identity(Pem::file("/etc/zk/client.pem"), Pem::file("/etc/zk/client.key"))
///     .expecting(ExpectedName::Fixed("zookeeper.internal".into()));
/// # let _ = tls;
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    roots: Pem,
    identity: Option<(Pem, Pem)>,
    expected_name: ExpectedName,
}

/// Why a connection is not secured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// They can be read, yet not used together.
    #[error("the client's certificate and key, or the roots, cannot be used: {0}")]
    Config(rustls::Error),
    /// What a server is called cannot be the name of a certificate.
    #[error("{found:?} is neither a DNS name nor an address, so that no certificate can carry it")]
    Name {
        /// The name.
        found: String,
    },
    /// The server and we did not come to terms: whoever is at fault, the text says which.
    #[error("TLS with {name}: {error}")]
    Handshake {
        /// Whom we spoke to.
        name: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The task that reads files was taken down with its runtime.
    #[error("the runtime is shutting down")]
    ShuttingDown,
}

impl Tls {
    /// Trusts the servers whose certificates these authorities have signed, and no others.
    pub const fn trusting(roots: Pem) -> Self {
        Self {
            roots,
            identity: None,
            expected_name: ExpectedName::Host,
        }
    }

    /// Shows servers a certificate: the chain, our own first, and its key.
    #[must_use]
    pub fn identity(mut self, chain: Pem, key: Pem) -> Self {
        self.identity = Some((chain, key));
        self
    }

    /// Which name servers have to prove; without this, their own.
    #[must_use]
    pub fn expecting(mut self, name: ExpectedName) -> Self {
        self.expected_name = name;
        self
    }

    /// What a driver keeps to secure one connection after the other.
    pub const fn connector(self) -> Connector {
        Connector {
            tls: self,
            last_good: None,
        }
    }
}

/// The bytes a configuration was made of, for telling whether files have changed.
#[derive(Clone, PartialEq, Eq)]
struct Material {
    roots: Vec<u8>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Material {
    fn read(tls: &Tls) -> Result<Self, PemError> {
        let identity = match &tls.identity {
            Some((chain, key)) => Some((chain.read()?, key.read()?)),
            None => None,
        };
        Ok(Self {
            roots: tls.roots.read()?,
            identity,
        })
    }
}

/// Secures connections, with files as they are at that moment.
pub struct Connector {
    tls: Tls,
    last_good: Option<(Material, Arc<ClientConfig>)>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the files if need be, and shakes hands. Has no timeout of its own. Dropping the future drops the
    /// stream.
    pub async fn connect<S>(&mut self, host: &str, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.name(host)?;
        let config = self.current().await?;
        let connecting = TlsConnector::from(config).connect(name, stream);
        connecting.await.map_err(|error| TlsError::Handshake {
            name: host.to_owned(),
            error,
        })
    }

    fn name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = match &self.tls.expected_name {
            ExpectedName::Fixed(name) => name,
            // A zone is this machine's business; no certificate knows it.
            ExpectedName::Host | ExpectedName::DangerouslyAny => {
                host.split('%').next().unwrap_or(host)
            }
        };
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name {
            found: name.to_owned(),
        })
    }

    /// The configuration that the files make now, or the last good one.
    async fn current(&mut self) -> Result<Arc<ClientConfig>, TlsError> {
        let tls = self.tls.clone();
        let last_good = self.last_good.clone();
        let load = move || load(&tls, last_good.as_ref());
        let loaded = tokio::task::spawn_blocking(load).await;
        match (loaded.map_err(|_| TlsError::ShuttingDown)?, &self.last_good) {
            (Ok(loaded), _) => {
                let config = Arc::clone(&loaded.1);
                self.last_good = Some(loaded);
                Ok(config)
            }
            (Err(error), Some((_, config))) => {
                tracing::warn!(%error, "TLS files cannot be read again; the last good ones serve on");
                Ok(Arc::clone(config))
            }
            (Err(error), None) => Err(error),
        }
    }
}

fn load(
    tls: &Tls,
    last_good: Option<&(Material, Arc<ClientConfig>)>,
) -> Result<(Material, Arc<ClientConfig>), TlsError> {
    let material = Material::read(tls)?;
    if let Some((known, config)) = last_good
        && *known == material
    {
        return Ok((material, Arc::clone(config)));
    }
    let config = configure(tls, &material)?;
    Ok((material, Arc::new(config)))
}

fn configure(tls: &Tls, material: &Material) -> Result<ClientConfig, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let roots = tls.roots.authorities(&material.roots)?;
    let any_name = tls.expected_name == ExpectedName::DangerouslyAny;
    let verifier = verify::verifier(roots, Arc::clone(&provider), any_name)
        .map_err(|error| TlsError::Config(rustls::Error::General(error.to_string())))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (&tls.identity, &material.identity) {
        (Some((chain, key)), Some((chain_bytes, key_bytes))) => builder
            .with_client_auth_cert(chain.chain(chain_bytes)?, key.key(key_bytes)?)
            .map_err(TlsError::Config),
        _ => Ok(builder.with_no_client_auth()),
    }
}
