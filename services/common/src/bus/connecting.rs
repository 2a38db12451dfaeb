//! How a process comes to nats-server: who it is, over which TLS, and how long it waits.
//!
//! Passwords, seeds and certificates are read at each connection, so that replaced ones are used at the next. It never logs
//! them.

use std::time::Duration;

use async_nats::{Auth, AuthError, ConnectErrorKind, ConnectOptions, Event};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::BusError;
use crate::config::{BusConfig, BusLogin};
use crate::nkey::{self, NkeyUser};

const CONNECT_DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

/// Connects, or says why not: at once where the server refuses us, else after the deadline.
pub(super) async fn connect_within_deadline(config: &BusConfig, process: &str) -> Result<async_nats::Client, BusError> {
    warn_of_clear_text(config);
    let deadline = Instant::now() + CONNECT_DEADLINE;
    let mut waiting = false;
    loop {
        let error = match options(config, process).connect(config.servers()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let url = config.url.clone();
        if matches!(
            error.kind(),
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
        ) {
            return Err(BusError::Refused {
                url,
                login: described(&config.login),
                problem: error.to_string(),
            });
        }
        if Instant::now() > deadline {
            return Err(BusError::Connect {
                url,
                problem: error.to_string(),
            });
        }
        // Once: the end of the waiting is logged, too.
        if !waiting {
            warn!(url, %error, "nats-server does not answer yet");
            waiting = true;
        }
        sleep(PAUSE).await;
    }
}

fn options(config: &BusConfig, process: &str) -> ConnectOptions {
    let login = config.login.clone();
    let mut options = match config.login {
        BusLogin::Anonymous => ConnectOptions::new(),
        _ => ConnectOptions::with_auth_callback(move |nonce| {
            let answer = answer(&login, &nonce).map_err(AuthError::new);
            async move { answer }
        }),
    };
    options = options
        .name(format!("broadsheet-{process}"))
        .custom_inbox_prefix(inbox_prefix(process))
        .event_callback(async |event| report(&event));
    if config.tls.is_required() {
        options = options.require_tls(true);
    }
    if let Some(ca_file) = &config.tls.ca_file {
        options = options.add_root_certificates(ca_file.clone());
    }
    if let Some((certificate, key)) = &config.tls.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options
}

/// What the answers to a process begin with: its own, so that no other user may listen to them.
pub(crate) fn inbox_prefix(process: &str) -> String {
    format!("_INBOX_{process}")
}

/// What the server is told about who we are.
fn answer(login: &BusLogin, nonce: &[u8]) -> Result<Auth, String> {
    let mut auth = Auth::new();
    match login {
        BusLogin::Anonymous => {}
        BusLogin::Password { user, password } => {
            auth.username = Some(user.clone());
            auth.password = Some(password.current().map_err(|error| error.to_string())?);
        }
        BusLogin::Token(token) => auth.token = Some(token.current().map_err(|error| error.to_string())?),
        BusLogin::Nkey(seed) => {
            let seed = seed.current().map_err(|error| error.to_string())?;
            let user = NkeyUser::from_seed(&seed).map_err(|error| format!("nats.nkey_seed {error}"))?;
            auth.nkey = Some(user.public_key());
            auth.signature = Some(user.sign(nonce).map_err(|error| error.to_string())?);
        }
        BusLogin::Credentials(credentials) => {
            let credentials = credentials.current().map_err(|error| error.to_string())?;
            let (jwt, user) =
                nkey::read_credentials(&credentials).map_err(|error| format!("nats.credentials {error}"))?;
            auth.jwt = Some(jwt);
            auth.signature = Some(user.sign(nonce).map_err(|error| error.to_string())?);
        }
    }
    Ok(auth)
}

/// As whom we come, without what proves it.
fn described(login: &BusLogin) -> String {
    match login {
        BusLogin::Anonymous => "a client without a user".to_owned(),
        BusLogin::Password { user, .. } => format!("user {user:?} with this password"),
        BusLogin::Token(_) => "this token".to_owned(),
        BusLogin::Nkey(_) => "this NKey".to_owned(),
        BusLogin::Credentials(_) => "these credentials".to_owned(),
    }
}

/// A password that anybody on the way can read is worth saying once; NKeys and credentials send a signature.
fn warn_of_clear_text(config: &BusConfig) {
    let sends_secret = matches!(config.login, BusLogin::Password { .. } | BusLogin::Token(_));
    if !sends_secret || config.tls.is_required() {
        return;
    }
    let local = |host: &str| {
        let host = host.trim_matches(['[', ']']);
        let is_loopback = |address: std::net::IpAddr| address.is_loopback();
        host == "localhost" || host.parse().is_ok_and(is_loopback)
    };
    for server in config.servers() {
        let in_the_clear =
            url::Url::parse(server).is_ok_and(|url| url.scheme() == "nats" && !url.host_str().is_some_and(local));
        if in_the_clear {
            warn!(
                server,
                "the password for nats-server is sent without TLS, unless the server asks for it; use a tls:// address, \
                 nats.ca_file or an NKey"
            );
        }
    }
}

/// What the connection tells of itself. A right that is missing is seen nowhere else: the request just goes unanswered.
fn report(event: &Event) {
    match event {
        Event::ServerError(error) => error!(%error, "nats-server refused something"),
        Event::ClientError(error) => warn!(%error, "the connection to nats-server has a problem"),
        Event::Disconnected => warn!("the connection to nats-server is lost; it is sought again"),
        Event::Connected => info!("connected to nats-server"),
        Event::SlowConsumer(subscription) => {
            warn!(subscription, "messages of nats-server came faster than they were read");
        }
        other => tracing::debug!(%other, "the connection to nats-server changed"),
    }
}
