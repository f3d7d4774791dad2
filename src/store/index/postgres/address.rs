//! The address of an index: `postgres://USER@HOST:PORT/DATABASE?sslmode=…`, its password and its TLS settings.

use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use url::form_urlencoded;

use crate::error::{Error, Result, word};
use crate::secret::Secret;

/// The default schema for the tables.
const SCHEMA: &str = "haul";
/// How long connecting to one address of the server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long data may stay unacknowledged before a connection counts as broken.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Where the password of an index comes from.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Passwords<'a> {
    /// Whether the URL may contain a password. A command-line argument may not, because other users can read it.
    pub(in crate::store) in_url: bool,
    /// The value of `PGPASSWORD`.
    pub(in crate::store) variable: Option<&'a Secret>,
    /// The file that `PGPASSFILE` names, or `~/.pgpass`.
    pub(in crate::store) file: Option<&'a Path>,
}

/// An index to connect to.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: ClientConfig,
    /// The schema that contains the tables.
    pub(super) schema: String,
    /// The address without a password, for messages.
    pub(super) shown: String,
    /// The command that creates the database.
    pub(super) create: String,
}

/// How the server's certificate is verified, as determined by `sslmode`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verify {
    Nothing,
    Authority,
    Full,
}

impl Address {
    pub(super) fn parse(url: &str, passwords: &Passwords) -> Result<Self> {
        let invalid = |why: &str| {
            Error::usage(format!("--index: {why}")).hint("`--index postgres://USER@HOST:5432/DATABASE`")
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(invalid("the address must start with `postgres://`"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut authority, mut schema) = (None, None, SCHEMA.to_owned());
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => authority = Some(value.into_owned()),
                "schema" => schema = value.into_owned(),
                "sslcert" | "sslkey" => return Err(invalid("client certificates are not supported")),
                _ => drop(rest.append_pair(&key, &value)),
            }
        }
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if schema.is_empty()
            || !schema.chars().all(is_name)
            || schema.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(invalid(
                "the schema name must consist of lowercase letters, digits and `_`, and must not start with a digit",
            ));
        }
        // `tokio_postgres` does not decode `+` as a space.
        let text = format!("{base}?{}", rest.finish().replace('+', "%20"));
        // The URL may contain the password, so the message does not quote it.
        let mut config = Config::from_str(&text).map_err(|error| invalid(&reason(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(invalid("the address has no host"));
        }
        if config.get_password().is_some() && !passwords.in_url {
            return Err(Error::usage(
                "--index: a password in an argument can be read by all users of this machine",
            )
            .hint("set PGPASSWORD, or add a line to ~/.pgpass")
            .hint("or set HAUL_SERVE_INDEX to the address instead of using `--index`"));
        }
        let verify = match mode.as_deref() {
            Some("disable") => {
                config.ssl_mode(SslMode::Disable);
                Verify::Nothing
            }
            None | Some("allow" | "prefer") => {
                config.ssl_mode(SslMode::Prefer);
                Verify::Nothing
            }
            Some(mode @ ("require" | "verify-ca" | "verify-full")) => {
                config.ssl_mode(SslMode::Require);
                match mode {
                    "verify-full" => Verify::Full,
                    // As in libpq, `require` verifies the certificate if an authority is given.
                    "require" if authority.is_none() => Verify::Nothing,
                    _ => Verify::Authority,
                }
            }
            Some(_) => {
                return Err(invalid(
                    "sslmode must be `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`",
                ));
            }
        };
        let host = match &config.get_hosts()[0] {
            Host::Tcp(host) => host.clone(),
            #[cfg(unix)]
            Host::Unix(_) => "localhost".to_owned(),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let user = config.get_user().map(str::to_owned);
        let database = config.get_dbname().or(user.as_deref()).unwrap_or_default().to_owned();
        if config.get_password().is_none() {
            let from_file =
                || password_in(passwords.file?, &[&host, &port.to_string(), &database, user.as_deref()?]);
            if let Some(password) =
                passwords.variable.map(|secret| secret.expose().to_owned()).or_else(from_file)
            {
                config.password(password);
            }
        }
        let owner = user.as_ref().map(|user| format!(" -U {}", word(user))).unwrap_or_default();
        let create = format!("createdb -h {} -p {port}{owner} {}", word(&host), word(&database));
        let shown = match &user {
            Some(user) => format!("postgres://{user}@{host}:{port}/{database}"),
            None => format!("postgres://{host}:{port}/{database}"),
        };
        let options = format!(
            "-c search_path={schema} -c lock_timeout=60s -c idle_in_transaction_session_timeout=120s {}",
            config.get_options().unwrap_or_default()
        );
        config
            .options(options.trim_end())
            .application_name("haul")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(UNACKNOWLEDGED)
            .keepalives_idle(UNACKNOWLEDGED);
        Ok(Self { config, tls: tls(verify, authority.as_deref())?, schema, shown, create })
    }
}

/// Why an address is invalid. Does not quote the address.
fn reason(error: &tokio_postgres::Error) -> String {
    let mut reason = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        reason = format!("{reason}: {source}");
    }
    reason
}

/// The password in a file with lines `HOST:PORT:DATABASE:USER:PASSWORD`, in which `*` matches anything.
fn password_in(path: &Path, wanted: &[&str; 4]) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    // As in libpq, a file that others can read is ignored.
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).ok()?) & 0o077 != 0 {
        return None;
    }
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![String::new()];
        let mut characters = line.chars();
        while let Some(c) = characters.next() {
            match c {
                ':' if fields.len() < 5 => fields.push(String::new()),
                '\\' => fields.last_mut()?.extend(characters.next()),
                _ => fields.last_mut()?.push(c),
            }
        }
        let password = fields.pop()?;
        let matches = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
        (fields.len() == 4 && fields.iter().zip(wanted).all(matches)).then_some(password)
    })
}

/// The TLS configuration. `authority` is a PEM file, or `system` (the default).
fn tls(verify: Verify, authority: Option<&str>) -> Result<ClientConfig> {
    let failed = |error: rustls::Error| Error::failed("cannot initialize TLS").caused_by(error);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let roots = if verify == Verify::Nothing { None } else { Some(Arc::new(roots(authority)?)) };
    let verifier = match &roots {
        None => None,
        Some(roots) => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider));
            Some(verifier.build().map_err(|error| Error::failed("cannot initialize TLS").caused_by(error))?)
        }
    };
    Ok(match verifier {
        Some(verifier) if verify == Verify::Full => {
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
        authority => {
            let lenient = Lenient { authority, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(lenient)).with_no_client_auth()
        }
    })
}

fn roots(authority: Option<&str>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match authority {
        None | Some("system") => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let path = Path::new(path);
            let text = fs::read(path).map_err(|error| Error::io("read", path, error))?;
            for authority in CertificateDer::pem_slice_iter(&text) {
                let invalid =
                    || Error::usage(format!("{}: not a PEM file of certificate authorities", path.display()));
                roots
                    .add(authority.map_err(|error| invalid().caused_by(error))?)
                    .map_err(|error| invalid().caused_by(error))?;
            }
        }
    }
    if roots.is_empty() {
        return Err(Error::failed(
            "no certificate authorities are installed, so the PostgreSQL server cannot be verified",
        )
        .hint("add a PEM file to the address: `sslrootcert=FILE`"));
    }
    Ok(roots)
}

/// Accepts a certificate for any host name and, without an authority, any certificate, as the weaker `sslmode`s do.
#[derive(Debug)]
struct Lenient {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn parse(url: &str, passwords: &Passwords) -> Result<Address> {
        Address::parse(url, passwords)
    }

    #[test]
    fn an_address_never_shows_its_password() {
        let url = "postgres://user:secret@db.example:6543/files?schema=team_1&sslmode=disable";
        let error = parse(url, &Passwords::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        let address = parse(url, &Passwords { in_url: true, ..Passwords::default() }).unwrap();
        assert_eq!(address.shown, "postgres://user@db.example:6543/files");
        assert_eq!(address.schema, "team_1");
        assert_eq!(address.config.get_password(), Some(&b"secret"[..]));
        assert!(address.config.get_options().unwrap().starts_with("-c search_path=team_1 "));
        for wrong in [
            "mysql://host/db",
            "postgres:///db",
            "postgres://host/db?sslmode=maybe",
            "postgres://host/db?schema=A",
            "postgres://host/db?schema=1a",
            "postgres://host/db?colour=red",
            "postgres://host/db?sslkey=x",
        ] {
            let error = parse(wrong, &Passwords::default()).err().unwrap();
            assert_eq!(error.kind(), Kind::Usage, "{wrong}");
            assert!(!error.hints().is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_password_comes_from_the_variable_before_the_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pgpass");
        fs::write(&path, "# comment\nother:*:*:*:wrong\ndb:5432:*:user:a\\:b\\\\c:d\n*:*:*:*:any\n").unwrap();
        let found = |url: &str, variable: Option<&Secret>| {
            let address = parse(url, &Passwords { in_url: false, variable, file: Some(&path) }).unwrap();
            address.config.get_password().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert_eq!(found("postgres://user@db/x", None), None);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(found("postgres://user@db/x", None).as_deref(), Some("a:b\\c:d"));
        assert_eq!(found("postgres://user@db:5433/x", None).as_deref(), Some("any"));
        assert_eq!(found("postgres://user@db/x", Some(&Secret::new("v"))).as_deref(), Some("v"));
    }
}
