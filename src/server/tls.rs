//! [`Tls`]: a certificate and its key, for connections that are encrypted.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, Result};

/// A certificate and its private key, with which a server's connections are encrypted: TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads a certificate, after which those of its chain may stand, and its key, from files in PEM.
    ///
    /// # Errors
    /// A file can't be read, or has nothing of the kind; the key is not that of the certificate.
    pub fn from_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let failed = |fault| broken("a certificate in PEM", certificate, fault);
        let chain = CertificateDer::pem_file_iter(certificate).map_err(failed)?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if chain.is_empty() {
            return Err(failed(pem::Error::NoItemsFound));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|fault| broken("a private key in PEM", key, fault))?;
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .and_then(|it| it.with_no_client_auth().with_single_cert(chain, private));
        let config = config.map_err(|fault| {
            let expected = format!("a certificate, and its key in {}", key.display());
            wrong(expected, certificate, fault)
        })?;
        Ok(Self { config: config.into() })
    }

    /// What agrees with clients on one of these protocols, the first that both speak.
    pub(super) fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        Arc::new(config).into()
    }
}

fn broken(expected: &str, file: &Path, fault: pem::Error) -> Error {
    match fault {
        pem::Error::Io(fault) => Error::io("read", file, fault),
        pem::Error::NoItemsFound => wrong(expected.into(), file, "none"),
        fault => wrong(expected.into(), file, fault),
    }
}

fn wrong(expected: String, file: &Path, got: impl std::fmt::Display) -> Error {
    let error = Error::InvalidParameter { name: "the file", expected, got: got.to_string() };
    error.in_file(file)
}

/// Without the key.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
