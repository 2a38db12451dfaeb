//! The settings of the mailer, and the transport that they describe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::clock::Clock;
use common::config::Settings;
use common::tasks::Tasks;
use lettre::Address;
use lettre::message::Mailbox;

use super::Transport;
use super::dkim::DkimSigner;
use super::error_budget::ErrorBudget;
use super::maildir::MaildirTransport;
use super::message::{MessageBuilder, ReturnPaths};
use super::rate_limit::SendRateLimiter;
use super::smtp::{SmtpPool, SmtpServer, SmtpTransport};
use crate::mail_ids::{MAX_BOUNCE_USER_CHARS, MailIds};
use crate::trust::TrustStore;

/// The settings.
#[derive(Debug, Clone)]
pub struct MailerConfig {
    smtp_url: Option<String>,
    maildir: PathBuf,
    from: Mailbox,
    bounce_address: Option<Address>,
    connections: usize,
    mails_per_second: u32,
    domain_mails_per_second: u32,
    error_budget_percent: usize,
    dkim: Option<DkimSettings>,
    trust: TrustStore,
}

#[derive(Debug, Clone)]
struct DkimSettings {
    selector: String,
    domain: String,
    key_file: PathBuf,
}

impl MailerConfig {
    /// Reads them. So many connections are so many mails that are handed over at a time.
    pub fn read(settings: &mut Settings, connections: usize, trust: TrustStore) -> Self {
        let from: Mailbox = settings.get(
            "notification.from",
            "must be a mailbox such as Broadsheet <digest@example.org>",
            |value| value.as_str()?.parse().ok(),
        );
        Self {
            smtp_url: settings.optional_url("notification.smtp_url", &["smtp://", "smtps://"]),
            maildir: PathBuf::from(settings.text("notification.maildir")),
            bounce_address: bounce_address(&settings.get(
                "notification.bounce_address",
                "must be empty or an address such as bounces@example.org, of at most 15 characters before the @",
                |value| {
                    let text = value.as_str()?;
                    (text.is_empty() || bounce_address(text).is_some()).then(|| text.to_owned())
                },
            )),
            dkim: dkim(settings, from.email.domain()),
            from,
            trust,
            connections,
            mails_per_second: settings.integer("notification.mails_per_second", 0..=100_000),
            domain_mails_per_second: settings.integer("notification.domain_mails_per_second", 0..=100_000),
            error_budget_percent: settings.integer("notification.error_budget_percent", 0..=100),
        }
    }

    /// Whether bounces have an address of their own.
    pub fn has_bounce_address(&self) -> bool {
        self.bounce_address.is_some()
    }

    /// The domain of the sender, which Message-IDs end with.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// A mail server where one is named, else a maildir. The tasks keep the connections to the mail server.
    pub fn transport(
        &self,
        mail_ids: &Arc<MailIds>,
        clock: &Clock,
        tasks: &Tasks,
    ) -> Result<Arc<dyn Transport>, String> {
        let dkim = self.dkim.as_ref();
        let dkim = dkim.map(|dkim| DkimSigner::read(&dkim.selector, &dkim.domain, &dkim.key_file));
        let builder = MessageBuilder::new(
            &self.from,
            self.bounce_address.clone().map(|address| ReturnPaths {
                address,
                ids: Arc::clone(mail_ids),
            }),
            dkim.transpose()?,
            clock.clone(),
        );
        if let Some(url) = &self.smtp_url {
            let server = SmtpServer::from_url(url, &self.trust.certificates()?)?;
            return Ok(Arc::new(SmtpTransport::new(
                builder,
                SmtpPool::new(server, self.connections, clock.clone(), tasks),
                SendRateLimiter::new(self.mails_per_second, self.domain_mails_per_second, clock.clone()),
                ErrorBudget::new(self.error_budget_percent, clock.clone()),
            )));
        }
        if self.maildir.as_os_str().is_empty() {
            return Err(
                "neither notification.smtp_url nor notification.maildir is set; mail has nowhere to go".to_owned(),
            );
        }
        Ok(Arc::new(MaildirTransport::new(&self.maildir, builder)?))
    }
}

/// With what names a mail appended, the local part of an address still has at most 64 characters (RFC 5321).
fn bounce_address(text: &str) -> Option<Address> {
    let address: Address = text.parse().ok()?;
    (address.user().len() <= MAX_BOUNCE_USER_CHARS).then_some(address)
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
