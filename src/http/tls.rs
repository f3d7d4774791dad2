//! TLS with rustls and ring, and the trusted certificate authorities.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, Kind, Result};

/// Creates a client configuration. With `http1`, HTTP/2 is not offered. Without `authorities`, no server is trusted.
pub(super) fn config(authorities: Option<Arc<Authorities>>, http1: bool) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::failed("cannot initialize TLS").caused_by(error))?;
    let builder = match authorities {
        // "Dangerous" because a verifier could accept anything; `Authorities` leaves the decision to rustls.
        Some(authorities) => builder.dangerous().with_custom_certificate_verifier(authorities),
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = builder.with_no_client_auth();
    if !http1 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

/// Set explicitly, because another crate could change the process-wide default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

type Verifier = Arc<WebPkiServerVerifier>;

/// The certificate authorities that this machine trusts.
///
/// Most systems have one file with all authorities and a folder with a file for each. Reading the folder takes longer
/// than the rest of a short command, so it is read only if the authorities of the one file do not suffice.
#[derive(Debug)]
pub(super) struct Authorities {
    first: Verifier,
    all: LazyLock<Option<Verifier>, Box<dyn FnOnce() -> Option<Verifier> + Send>>,
}

impl Authorities {
    /// The system's authorities, of which `bundle` is the one file, and those in another PEM file.
    pub(super) fn load(bundle: Option<&Path>, cacert: Option<&Path>) -> Result<Self> {
        let mut own = RootCertStore::empty();
        if let Some(path) = cacert {
            for authority in read_pem(path)? {
                own.add(authority).map_err(|error| not_authorities(path).caused_by(error))?;
            }
        }
        let bundled = bundle.map(|path| rustls_native_certs::load_certs_from_paths(Some(path), None).certs);
        let bundled = bundled.filter(|certificates| !certificates.is_empty());
        if let Some(first) = bundled.and_then(|certificates| verifier(certificates, own.clone())) {
            return Ok(Self::new(first, || verifier(rustls_native_certs::load_native_certs().certs, own)));
        }
        let system = rustls_native_certs::load_native_certs();
        let why = system.errors.into_iter().next();
        Ok(Self::new(verifier(system.certs, own).ok_or_else(|| none_installed(why))?, || None))
    }

    fn new(first: Verifier, all: impl FnOnce() -> Option<Verifier> + Send + 'static) -> Self {
        Self { first, all: LazyLock::new(Box::new(all)) }
    }
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verify = |by: &Verifier| by.verify_server_cert(certificate, intermediates, host, ocsp, now);
        verify(&self.first).or_else(|error| self.all.as_ref().map_or(Err(error), verify))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
    }
}

/// Verifies servers with the system's authorities and `own` ones. Returns `None` if there are no authorities.
fn verifier(system: Vec<CertificateDer<'static>>, own: RootCertStore) -> Option<Verifier> {
    let mut roots = own;
    roots.add_parsable_certificates(system);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
}

fn none_installed(why: Option<impl std::error::Error + Send + Sync + 'static>) -> Error {
    let mut error = Error::new(
        Kind::Unreachable,
        "no certificate authorities are installed, so no https server can be verified",
    );
    if let Some(why) = why {
        error = error.caused_by(why);
    }
    error.hint("`apt-get install ca-certificates`").hint("or use your own file: `--cacert FILE`")
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
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    #[test]
    fn http_2_is_offered_unless_disabled() {
        let offered = |http1| config(None, http1).unwrap().alpn_protocols;
        assert_eq!(offered(false), [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(offered(true), [b"http/1.1".to_vec()]);
    }

    #[test]
    fn all_authorities_are_read_only_if_the_first_ones_do_not_suffice() {
        let [first, second, other] = [(); 3].map(|()| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        });
        let authority =
            |of: &CertifiedIssuer<'_, KeyPair>| verifier(vec![of.der().clone()], RootCertStore::empty());
        let accepts = |authorities: &Authorities, issuer: &CertifiedIssuer<'_, KeyPair>, host: &str| {
            let params = CertificateParams::new(vec!["files.example".to_owned()]).unwrap();
            let certificate = params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap();
            let host = ServerName::try_from(host.to_owned()).unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_secs(2_000_000_000));
            authorities.verify_server_cert(certificate.der(), &[], &host, &[], now)
        };
        let unread =
            Authorities::new(authority(&first).unwrap(), || panic!("the other authorities were read"));
        accepts(&unread, &first, "files.example").unwrap();

        let all = authority(&second);
        let both = Authorities::new(authority(&first).unwrap(), move || all);
        accepts(&both, &first, "files.example").unwrap();
        accepts(&both, &second, "files.example").unwrap();
        for (issuer, host) in
            [(&other, "files.example"), (&first, "other.example"), (&second, "other.example")]
        {
            let refused = accepts(&both, issuer, host).unwrap_err();
            assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{host}: {refused}");
        }
        let alone = Authorities::new(authority(&first).unwrap(), || None);
        accepts(&alone, &second, "files.example").unwrap_err();
    }

    #[test]
    fn without_authorities_a_hint_names_the_package() {
        assert!(verifier(Vec::new(), RootCertStore::empty()).is_none());
        let error = none_installed(Some(io::Error::other("no such directory")));
        assert_eq!(error.kind(), Kind::Unreachable);
        assert_eq!(error.causes(), ["no such directory"]);
        assert!(error.hints()[0].contains("apt-get install ca-certificates"));
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        let load = |path: &Path| Authorities::load(None, Some(path)).unwrap_err();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"hello").unwrap();
        let error = load(file.path());
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().contains(&file.path().display().to_string()));
        file.write_all(b"\n-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n").unwrap();
        assert_eq!(load(file.path()).kind(), Kind::Usage);
        assert_eq!(load(Path::new("/nonexistent/ca.pem")).kind(), Kind::NotFound);
    }
}
