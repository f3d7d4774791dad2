//! TLS with rustls and ring, and the trusted certificate authorities.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::error::{Error, Kind, Result};

/// Creates a client configuration. With `http1`, HTTP/2 is not offered.
pub(super) fn config(roots: Arc<RootCertStore>, http1: bool) -> Result<ClientConfig> {
    // Set explicitly, because another crate could change the process-wide default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::failed("cannot initialize TLS").caused_by(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !http1 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

/// The system's certificate authorities and those in a PEM file.
pub(super) fn roots(cacert: Option<&Path>) -> Result<RootCertStore> {
    let system = rustls_native_certs::load_native_certs();
    gather(system.certs, system.errors.into_iter().next(), cacert)
}

fn gather(
    system: Vec<CertificateDer<'static>>,
    why: Option<impl std::error::Error + Send + Sync + 'static>,
    cacert: Option<&Path>,
) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system);
    if let Some(path) = cacert {
        for authority in read_pem(path)? {
            roots.add(authority).map_err(|error| not_authorities(path).caused_by(error))?;
        }
    }
    if roots.is_empty() {
        let mut error = Error::new(
            Kind::Unreachable,
            "no certificate authorities are installed, so no https server can be verified",
        );
        if let Some(why) = why {
            error = error.caused_by(why);
        }
        return Err(error
            .hint("`apt-get install ca-certificates`")
            .hint("or use your own file: `--cacert FILE`"));
    }
    Ok(roots)
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(not_authorities(path).cause("it contains no certificate")),
        Err(error) => Err(not_authorities(path).caused_by(error)),
    }
}

fn not_authorities(path: &Path) -> Error {
    Error::usage(format!("{}: not a PEM file of certificate authorities", path.display()))
}

/// The reason for a failed handshake, and whether trusting another authority would help.
pub(super) fn explain(error: &rustls::Error) -> (String, bool) {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) => ("the server does not speak TLS".to_owned(), false),
            other => (other.to_string(), false),
        };
    };
    match bad {
        Bad::UnknownIssuer => {
            ("the certificate was issued by an authority that this machine does not trust".to_owned(), true)
        }
        Bad::BadSignature => {
            ("the certificate was not signed by the trusted authority that it names".to_owned(), true)
        }
        Bad::Expired | Bad::ExpiredContext { .. } => ("the certificate has expired".to_owned(), false),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            ("the certificate is not valid yet; check the clock of this machine".to_owned(), false)
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            ("the certificate is for a different host".to_owned(), false)
        }
        Bad::Revoked => ("the certificate has been revoked".to_owned(), false),
        other => (other.to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    #[test]
    fn http_2_is_offered_unless_disabled() {
        let offered = |http1| config(Arc::new(RootCertStore::empty()), http1).unwrap().alpn_protocols;
        assert_eq!(offered(false), [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(offered(true), [b"http/1.1".to_vec()]);
    }

    #[test]
    fn without_authorities_a_hint_names_the_package() {
        let error = gather(Vec::new(), Some(io::Error::other("no such directory")), None).unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable);
        assert_eq!(error.causes(), ["no such directory"]);
        assert!(error.hints()[0].contains("apt-get install ca-certificates"));
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"hello").unwrap();
        let error = gather(Vec::new(), None::<io::Error>, Some(file.path())).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().contains(&file.path().display().to_string()));
        file.write_all(b"\n-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n").unwrap();
        assert_eq!(gather(Vec::new(), None::<io::Error>, Some(file.path())).unwrap_err().kind(), Kind::Usage);
        let gone = gather(Vec::new(), None::<io::Error>, Some(Path::new("/nonexistent/ca.pem"))).unwrap_err();
        assert_eq!(gone.kind(), Kind::NotFound);
    }
}
