//! Settings of the way out, and the way out that they describe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::Settings;
use lettre::Address;
use lettre::message::Mailbox;

use super::Transport;
use super::budget::Budget;
use super::dkim::Dkim;
use super::maildir::Maildir;
use super::message::Writer;
use super::pace::Pace;
use super::smtp::{Server, Smtp};
use crate::trust::Trust;

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    smtp_url: Option<String>,
    maildir: PathBuf,
    from: Mailbox,
    bounces: Option<Address>,
    connections: usize,
    mails_per_second: u32,
    domain_mails_per_second: u32,
    error_budget_percent: usize,
    dkim: Option<DkimSettings>,
    trust: Trust,
}

#[derive(Debug, Clone)]
struct DkimSettings {
    selector: String,
    domain: String,
    key_file: PathBuf,
}

impl Config {
    /// Reads them; the number of connections is how many mails are handed over at a time.
    pub fn read(settings: &mut Settings, connections: usize, trust: Trust) -> Self {
        let mut number = |key: &str, allowed| u32::try_from(settings.number(key, allowed)).unwrap_or(u32::MAX);
        let mails_per_second = number("notification.mails_per_second", 0..=100_000);
        let domain_mails_per_second = number("notification.domain_mails_per_second", 0..=100_000);
        let error_budget_percent = number("notification.error_budget_percent", 0..=100) as usize;
        let from: Mailbox = settings.get(
            "notification.from",
            "must be a mailbox such as Broadsheet <digest@example.org>",
            |value| value.as_str()?.parse().ok(),
        );
        Self {
            smtp_url: settings.optional_url("notification.smtp_url", &["smtp://", "smtps://"]),
            maildir: PathBuf::from(settings.text("notification.maildir")),
            bounces: bounces(&settings.get(
                "notification.bounce_address",
                "must be empty or an address such as bounces@example.org, of at most 9 characters before the @",
                |value| {
                    let text = value.as_str()?;
                    (text.is_empty() || bounces(text).is_some()).then(|| text.to_owned())
                },
            )),
            dkim: dkim(settings, from.email.domain()),
            from,
            trust,
            connections,
            mails_per_second,
            domain_mails_per_second,
            error_budget_percent,
        }
    }

    /// The domain of the sender, which Message-IDs end with.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// A mail server where one is named, else a maildir.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        let dkim = self.dkim.as_ref();
        let dkim = dkim
            .map(|dkim| Dkim::read(&dkim.selector, &dkim.domain, &dkim.key_file))
            .transpose()?;
        let writer = Writer::new(&self.from, self.bounces.clone(), dkim);
        if let Some(url) = &self.smtp_url {
            let pace = Pace::new(self.mails_per_second, self.domain_mails_per_second);
            let budget = Budget::new(self.error_budget_percent);
            return Ok(Arc::new(Smtp::new(
                Server::from_url(url, &self.trust.certificates()?)?,
                self.connections,
                writer,
                pace,
                budget,
            )));
        }
        if self.maildir.as_os_str().is_empty() {
            return Err(
                "neither notification.smtp_url nor notification.maildir is set; mail has nowhere to go".to_owned(),
            );
        }
        Ok(Arc::new(Maildir::new(&self.maildir, writer)?))
    }
}

/// With `+<id>.<slot>` behind it, an address's left side has at most 64 characters (RFC 5321).
fn bounces(text: &str) -> Option<Address> {
    const ROOM: usize = 64 - "+0123456789abcdef0123456789abcdef.confirm.1234567890123".len();
    let address: Address = text.parse().ok()?;
    (address.user().len() <= ROOM).then_some(address)
}

/// Signs when a key is named; then the selector is needed, and the domain is the sender's where none is named.
fn dkim(settings: &mut Settings, sender: &str) -> Option<DkimSettings> {
    let selector = settings.text("notification.dkim_selector");
    let domain = settings.text("notification.dkim_domain");
    let key_file = settings.text("notification.dkim_key_file");
    if key_file.is_empty() {
        if !selector.is_empty() {
            settings.problem(
                "notification.dkim_key_file",
                "must name a file, because notification.dkim_selector is set",
            );
        }
        return None;
    }
    if selector.is_empty() {
        settings.problem(
            "notification.dkim_selector",
            "must name the key's DNS record, because notification.dkim_key_file is set",
        );
        return None;
    }
    Some(DkimSettings {
        selector,
        domain: if domain.is_empty() { sender.to_owned() } else { domain },
        key_file: Path::new(&key_file).to_owned(),
    })
}
