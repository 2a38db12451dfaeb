//! What `notification.smtp_url` says of a mail server. Nothing is connected here.
//!
//! A password goes out encrypted, or to this machine: where TLS is not demanded, whoever is on the way can make the server
//! seem not to offer it, and read the password.

use std::borrow::Cow;
use std::fmt;

use lettre::transport::smtp::authentication::Credentials;
use url::{Host, Url};

/// Ports of RFC 5321, RFC 6409 and RFC 8314.
const RELAY_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

/// A mail server by its URL: `smtps://user:password@host`, or `smtp://…` with `?tls=required`, `?tls=opportunistic` or
/// neither. A path is the name in our EHLO.
#[derive(Clone)]
pub struct SmtpUrl {
    /// A name, or an address without brackets.
    pub host: String,
    /// Whether the host is this machine.
    pub is_loopback: bool,
    /// The one named, else the usual one.
    pub port: u16,
    /// When a session is encrypted.
    pub tls: TlsDemand,
    /// User and password.
    pub credentials: Option<Credentials>,
    /// The name in our EHLO, where the URL has one.
    pub client_name: Option<String>,
}

/// When a session is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsDemand {
    /// Never.
    None,
    /// By STARTTLS, where the server offers it.
    IfOffered,
    /// By STARTTLS, or there is no session.
    Required,
    /// Before the first word.
    FromTheStart,
}

impl SmtpUrl {
    /// Parses a URL; the error says what it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("must be a URL ({error})"))?;
        let requested = url.query_pairs().find(|(name, _)| name == "tls");
        let requested = requested.map(|(_, value)| value.into_owned());
        let (port, tls) = match (url.scheme(), requested.as_deref()) {
            ("smtps", None) => (SUBMISSIONS_PORT, TlsDemand::FromTheStart),
            ("smtp", None) => (RELAY_PORT, TlsDemand::None),
            ("smtp", Some("required")) => (SUBMISSION_PORT, TlsDemand::Required),
            ("smtp", Some("opportunistic")) => (SUBMISSION_PORT, TlsDemand::IfOffered),
            _ => {
                let allowed = "must be smtps://…, smtp://…, smtp://…?tls=required or smtp://…?tls=opportunistic";
                return Err(allowed.to_owned());
            }
        };
        let (host, is_loopback) = host(&url).ok_or("must name a host")?;
        let credentials = credentials(&url)?;
        if credentials.is_some() && !is_loopback && matches!(tls, TlsDemand::None | TlsDemand::IfOffered) {
            let expected = format!(
                "must not send its password to {host} in clear; use smtps://… or smtp://…?tls=required (without TLS, a \
                 password is only allowed to a mail server on this machine: localhost, 127.0.0.0/8, [::1])"
            );
            return Err(expected);
        }
        let name = url.path().trim_matches('/');
        Ok(Self {
            host,
            is_loopback,
            port: url.port().unwrap_or(port),
            tls,
            credentials,
            client_name: (!name.is_empty()).then(|| name.to_owned()),
        })
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({:?})", self.host, self.port, self.tls)
    }
}

/// The host, and whether it is this machine.
fn host(url: &Url) -> Option<(String, bool)> {
    // In a scheme that the URL standard does not know, an IPv4 address is read as a name.
    let address = |text: &str| text.parse::<std::net::Ipv4Addr>().ok();
    match url.host()? {
        Host::Domain(name) => {
            let lower = name.trim_end_matches('.').to_ascii_lowercase();
            let is_loopback = lower == "localhost"
                || lower.ends_with(".localhost")
                || address(name).is_some_and(|address| address.is_loopback());
            Some((name.to_owned(), is_loopback))
        }
        Host::Ipv4(address) => Some((address.to_string(), address.is_loopback())),
        Host::Ipv6(address) => Some((address.to_string(), address.to_canonical().is_loopback())),
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, String> {
    let decoded = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(Cow::into_owned);
        decoded.map_err(|_| "must have a user and a password in UTF-8".to_owned())
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err("must have both a user and a password before the @, or neither".to_owned()),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_port_tls_name_and_password() {
        let found = SmtpUrl::parse("smtps://ada%40example.org:p%2Fw@mail.example.org/client.example.org");
        let found = found.expect("a server");
        assert_eq!((found.host.as_str(), found.port), ("mail.example.org", 465));
        assert_eq!(found.tls, TlsDemand::FromTheStart);
        assert_eq!(found.client_name.as_deref(), Some("client.example.org"));
        assert_eq!(
            found.credentials,
            Some(Credentials::new("ada@example.org".into(), "p/w".into()))
        );
        let found = SmtpUrl::parse("smtp://mail.example.org?tls=required").expect("a server");
        assert_eq!((found.port, found.tls), (587, TlsDemand::Required));
        let found = SmtpUrl::parse("smtp://[::1]:2525").expect("a server");
        assert_eq!(
            (found.host.as_str(), found.port, found.is_loopback),
            ("::1", 2525, true)
        );
        for wrong in [
            "smtp://host?tls=maybe",
            "http://host",
            "smtp:",
            "smtps://host?tls=required",
            "smtps://ada@host",
            "smtps://:secret@host",
        ] {
            let error = SmtpUrl::parse(wrong).expect_err(wrong);
            assert!(error.starts_with("must "), "{error}");
        }
    }

    #[test]
    fn a_password_goes_out_encrypted_or_to_this_machine() {
        for (url, allowed) in [
            ("smtps://ada:secret@mail.example.org", true),
            ("smtp://ada:secret@mail.example.org?tls=required", true),
            ("smtp://ada:secret@127.0.0.1:2525", true),
            ("smtp://ada:secret@127.8.9.10:2525?tls=opportunistic", true),
            ("smtp://ada:secret@[::1]", true),
            ("smtp://ada:secret@localhost", true),
            ("smtp://mail.example.org", true),
            ("smtp://ada:secret@mail.example.org", false),
            ("smtp://ada:secret@mail.example.org?tls=opportunistic", false),
            ("smtp://ada:secret@10.0.0.1", false),
            ("smtp://ada:secret@localhost.example.org", false),
            ("smtp://ada:secret@127.0.0.1.example.org", false),
            ("smtp://ada:secret@[fd00::1]", false),
        ] {
            let found = SmtpUrl::parse(url);
            assert_eq!(found.is_ok(), allowed, "{url}: {found:?}");
            assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        }
    }
}
