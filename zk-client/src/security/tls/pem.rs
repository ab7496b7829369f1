//! PEM, from a file or from memory: authorities, certificate chains, keys.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Far above any chain or bundle; a path to the wrong file shall not fill the memory.
const MAX_FILE: u64 = 16 << 20;

/// Where PEM text is. Its `Debug` shows a path, never a text.
#[derive(Clone)]
pub struct Pem(Place);

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Text(Arc<[u8]>),
}

/// What is wrong with PEM, and where.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct PemError {
    place: String,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("is longer than {MAX_FILE} bytes, so that it is something else than PEM")]
    TooLong,
    #[error("has no {0}; expected PEM with {0} between BEGIN and END lines")]
    Missing(&'static str),
    #[error("is not PEM: {0}")]
    Syntax(pem::Error),
    #[error("has a certificate that no authority can have: {0}")]
    Authority(tokio_rustls::rustls::Error),
}

impl Pem {
    /// A file, read again for every connection.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into()))
    }

    /// The text itself.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self(Place::Text(text.as_ref().into()))
    }

    pub(super) fn read(&self) -> Result<Vec<u8>, PemError> {
        match &self.0 {
            Place::Text(text) => Ok(text.to_vec()),
            Place::File(path) => {
                let length =
                    std::fs::metadata(path).map_err(|error| self.wrong(Fault::Read(error)))?;
                if length.len() > MAX_FILE {
                    return Err(self.wrong(Fault::TooLong));
                }
                std::fs::read(path).map_err(|error| self.wrong(Fault::Read(error)))
            }
        }
    }

    pub(super) fn authorities(&self, text: &[u8]) -> Result<RootCertStore, PemError> {
        let mut store = RootCertStore::empty();
        for certificate in self.chain(text)? {
            store
                .add(certificate)
                .map_err(|error| self.wrong(Fault::Authority(error)))?;
        }
        Ok(store)
    }

    pub(super) fn chain(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let found = found.map_err(|error| self.wrong(Fault::Syntax(error)))?;
        if found.is_empty() {
            return Err(self.wrong(Fault::Missing("CERTIFICATE")));
        }
        Ok(found)
    }

    pub(super) fn key(&self, text: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
        let found = PrivateKeyDer::pem_slice_iter(text).next();
        let found = found.ok_or_else(|| self.wrong(Fault::Missing("PRIVATE KEY")))?;
        found.map_err(|error| self.wrong(Fault::Syntax(error)))
    }

    fn wrong(&self, fault: Fault) -> PemError {
        PemError {
            place: self.to_string(),
            fault,
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => path.display().fmt(f),
            Place::Text(_) => f.write_str("the given PEM"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_place() {
        let pem = Pem::text("nothing here");
        let text = pem.read().unwrap();
        assert_eq!(
            pem.chain(&text).unwrap_err().to_string(),
            "the given PEM: has no CERTIFICATE; expected PEM with CERTIFICATE between BEGIN and END lines"
        );
        assert_eq!(
            pem.key(&text).unwrap_err().to_string(),
            "the given PEM: has no PRIVATE KEY; expected PEM with PRIVATE KEY between BEGIN and END lines"
        );
        let error = Pem::file("/no/such/ca.pem").read().unwrap_err().to_string();
        assert!(
            error.starts_with("/no/such/ca.pem: cannot be read: "),
            "{error}"
        );
    }

    #[test]
    fn a_text_that_breaks_off_is_refused() {
        let pem = Pem::text("-----BEGIN CERTIFICATE-----\nAAAA\n");
        let error = pem.chain(&pem.read().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("the given PEM: is not PEM: "), "{error}");
    }

    #[test]
    fn debug_does_not_show_keys() {
        assert_eq!(format!("{:?}", Pem::text("secret")), "Pem(the given PEM)");
    }
}
