//! The section `[nats]`: where the bus is, who we are there, and how much it keeps.
//!
//! A user and password may also stand in the URL. They are taken out of it when it is read, so that nothing that shows the
//! address shows them.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use super::secret::Secret;
use super::settings::Settings;
use crate::nkey::{self, NkeyUser};
use crate::storage::StreamLimits;

const SCHEMES: [&str; 2] = ["nats://", "tls://"];
/// The highest limit of a stream, in megabytes: a petabyte.
const MOST_MEGABYTES: u64 = 1 << 30;

/// Where the bus is and how much it keeps.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// `nats://host:port`, several with commas between; never with a user or password.
    pub url: String,
    /// Who we are.
    pub login: BusLogin,
    /// What is needed for TLS.
    pub tls: BusTls,
    /// Copies of each stream; 1 or 3 on a cluster of that many servers.
    pub replicas: usize,
    /// How long messages are kept.
    pub max_age: Duration,
    /// How many bytes each stream may take.
    pub limits: StreamLimits,
}

/// Who a process is for nats-server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BusLogin {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user with a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token, as a URL may hold.
    Token(Secret),
    /// The seed of an NKey: the server knows its public half.
    Nkey(Secret),
    /// The content of a credentials file: a JWT and the seed of its NKey.
    Credentials(Secret),
}

/// What is needed for TLS to nats-server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusTls {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of our certificate chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl BusTls {
    /// Whether a connection without TLS is refused, also where the URL does not ask for it.
    pub fn is_required(&self) -> bool {
        self.ca_file.is_some() || self.identity.is_some()
    }
}

impl BusConfig {
    /// With the user and password that the URL names.
    ///
    /// # Errors
    /// What is wrong with the URL, without the URL.
    pub fn new(url: &str, replicas: usize, max_age: Duration, limits: StreamLimits) -> Result<Self, String> {
        let (url, login) = take_userinfo(url)?;
        Ok(Self {
            url,
            login,
            tls: BusTls::default(),
            replicas,
            max_age,
            limits,
        })
    }

    /// Reads the section.
    pub(super) fn read(settings: &mut Settings) -> Self {
        let url = settings.url("nats.url", &SCHEMES);
        let (url, in_url) = take_userinfo(&url).unwrap_or_else(|problem| {
            settings.problem("nats.url", &problem);
            (String::new(), BusLogin::Anonymous)
        });
        Self {
            url,
            login: read_login(settings, in_url),
            tls: read_tls(settings),
            replicas: settings.integer("nats.replicas", 1..=5),
            max_age: Duration::from_hours(24 * settings.number("nats.max_age_days", 1..=3650)),
            limits: StreamLimits::from_settings(|setting| settings.number(setting, 1..=MOST_MEGABYTES)),
        }
    }

    /// The addresses one by one.
    pub fn servers(&self) -> Vec<&str> {
        self.url.split(',').map(str::trim).collect()
    }
}

/// The addresses without userinfo, and the user it names: the same in every address that has one.
fn take_userinfo(text: &str) -> Result<(String, BusLogin), String> {
    let mut login = BusLogin::Anonymous;
    let mut servers = Vec::new();
    for server in text.split(',') {
        let mut url = Url::parse(server.trim()).map_err(|error| format!("must be URLs: {error}"))?;
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8().map(String::from);
            decoded.map_err(|_| "must have UTF-8 behind the percent signs of its user and password".to_owned())
        };
        let of_server = match (decoded(url.username())?, url.password().map(decoded).transpose()?) {
            (user, None) if user.is_empty() => None,
            (token, None) => Some(BusLogin::Token(Secret::new(token))),
            (user, Some(password)) => Some(BusLogin::Password {
                user,
                password: Secret::new(password),
            }),
        };
        if let Some(of_server) = of_server {
            if login != BusLogin::Anonymous && login != of_server {
                return Err("must name the same user and password in each of its addresses".to_owned());
            }
            login = of_server;
            let taken = url.set_username("").and_then(|()| url.set_password(None));
            taken.map_err(|()| "must have a host".to_owned())?;
        }
        servers.push(url.to_string());
    }
    Ok((servers.join(","), login))
}

fn read_login(settings: &mut Settings, in_url: BusLogin) -> BusLogin {
    let user = settings.text("nats.user");
    let password = settings.optional_secret("nats.password");
    let seed = settings.optional_secret("nats.nkey_seed");
    let credentials = settings.optional_secret("nats.credentials");
    if user.is_empty() && password.is_some() {
        settings.problem("nats.user", "must be set because nats.password is");
    }
    if !user.is_empty() && password.is_none() {
        settings.problem("nats.password", "must be set because nats.user is");
    }
    if let Some(seed) = &seed
        && let Err(problem) = NkeyUser::from_seed(seed.expose())
    {
        settings.problem("nats.nkey_seed", &problem.to_string());
    }
    if let Some(credentials) = &credentials
        && let Err(problem) = nkey::read_credentials(credentials.expose())
    {
        settings.problem("nats.credentials", &problem.to_string());
    }
    let ways = [
        password.map(|password| ("nats.user", BusLogin::Password { user, password })),
        seed.map(|seed| ("nats.nkey_seed", BusLogin::Nkey(seed))),
        credentials.map(|credentials| ("nats.credentials", BusLogin::Credentials(credentials))),
        (in_url != BusLogin::Anonymous).then_some(("nats.url", in_url)),
    ];
    let mut given = ways.into_iter().flatten();
    let first = given.next();
    for (key, _) in given {
        settings.problem(
            key,
            "is one way too many to log in; set one of nats.user with nats.password, nats.nkey_seed, nats.credentials, or a \
             user in nats.url",
        );
    }
    first.map_or(BusLogin::Anonymous, |(_, login)| login)
}

fn read_tls(settings: &mut Settings) -> BusTls {
    let mut path = |key: &str| {
        Some(settings.text(key))
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let ca_file = path("nats.ca_file");
    let certificate = path("nats.tls_certificate");
    let key = path("nats.tls_key");
    for (name, file) in [("nats.ca_file", &ca_file), ("nats.tls_certificate", &certificate)] {
        if let Some(file) = file
            && let Err(problem) = certificates(file)
        {
            settings.problem(name, &problem);
        }
    }
    if let Some(key) = &key
        && let Err(error) = PrivateKeyDer::from_pem_file(key)
    {
        settings.problem(
            "nats.tls_key",
            &format!("must be a PEM file with a private key: {error}"),
        );
    }
    if certificate.is_some() != key.is_some() {
        settings.problem(
            "nats.tls_key",
            "must be set together with nats.tls_certificate, or neither",
        );
    }
    BusTls {
        ca_file,
        identity: certificate.zip(key),
    }
}

fn certificates(file: &std::path::Path) -> Result<(), String> {
    let wrong = |error: &dyn std::fmt::Display| format!("must be a PEM file with certificates: {error}");
    let mut count = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        certificate.map_err(|error| wrong(&error))?;
        count += 1;
    }
    if count == 0 {
        return Err(wrong(&"it holds none"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{COMMON_DEFAULTS, CommonConfig};

    fn read(environment: &[(&str, &str)]) -> Result<BusConfig, String> {
        let variables = environment
            .iter()
            .map(|(key, value)| (format!("BROADSHEET_NATS__{key}"), (*value).to_owned()));
        let mut settings = Settings::load(&[COMMON_DEFAULTS], None, variables);
        let config = CommonConfig::read(&mut settings);
        settings.finish().map_err(|error| error.to_string())?;
        Ok(config.bus)
    }

    #[test]
    fn a_user_in_the_url_is_honoured_and_taken_out_of_it() {
        let config = read(&[("URL", "nats://ingest:p%40ss@one:4222, tls://two:4222")]).expect("a configuration");
        assert_eq!(config.servers(), ["nats://one:4222", "tls://two:4222"]);
        let expected = BusLogin::Password {
            user: "ingest".to_owned(),
            password: Secret::new("p@ss"),
        };
        assert_eq!(config.login, expected);
        let shown = format!("{config:?}");
        assert!(!shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
        let token = BusConfig::new("nats://t0ken@host", 1, Duration::ZERO, StreamLimits::uniform(1)).expect("a URL");
        assert_eq!(token.login, BusLogin::Token(Secret::new("t0ken")));
        let differing = read(&[("URL", "nats://a:hunter2@one,nats://b:hunter3@two")]).expect_err("two users");
        assert!(differing.contains("must name the same user"), "{differing}");
        assert!(!differing.contains("hunter"), "{differing}");
    }

    #[test]
    fn one_way_to_log_in_is_allowed_and_it_must_be_whole() {
        let both =
            read(&[("URL", "nats://a:hunter2@one"), ("USER", "b"), ("PASSWORD", "hunter3")]).expect_err("two ways");
        assert!(
            both.contains("nats.url = \"nats://***@one\"") && both.contains("one way too many"),
            "{both}"
        );
        assert!(!both.contains("hunter"), "{both}");
        for (given, missing) in [("USER", "nats.password"), ("PASSWORD", "nats.user")] {
            let half = read(&[(given, "x")]).expect_err("half a login");
            assert!(half.contains(&format!("{missing} = ")), "{half}");
        }
        let seed = read(&[("NKEY_SEED", "SUhunter2")]).expect_err("no seed");
        assert!(
            seed.contains("nats.nkey_seed = (not shown)") && !seed.contains("hunter2"),
            "{seed}"
        );
    }

    #[test]
    fn tls_files_that_cannot_work_are_refused() {
        let wrong =
            read(&[("CA_FILE", "/nowhere/ca.pem"), ("TLS_CERTIFICATE", "/nowhere/own.pem")]).expect_err("no files");
        assert!(wrong.contains("3 mistakes"), "{wrong}");
        assert!(
            wrong.contains("nats.tls_key") && wrong.contains("/nowhere/ca.pem"),
            "{wrong}"
        );
    }
}
