//! The settings of the mailer, and the transport that they describe.

use std::path::PathBuf;
use std::sync::Arc;

use common::clock::Clock;
use common::config::Settings;
use common::tasks::Tasks;
use lettre::Address;
use lettre::message::Mailbox;
use tracing::warn;

use super::Transport;
use super::dkim::{DkimAlgorithm, DkimKey, DkimKeySettings, DkimSigner};
use super::domains::is_related;
use super::error_budget::ErrorBudget;
use super::maildir::MaildirTransport;
use super::message::{AnswerMailbox, MessageBuilder, ReturnPaths};
use super::rate_limit::SendRateLimiter;
use super::smtp::{SmtpPool, SmtpServer, SmtpTransport, SmtpUrl};
use crate::mail_ids::{MAX_BOUNCE_USER_CHARS, MailIds};
use crate::tokens::Tokens;
use crate::trust::TrustStore;

/// The settings. Not to be printed: the address of the mail server may hold a password.
#[derive(Clone)]
pub struct MailerConfig {
    smtp: Option<SmtpUrl>,
    maildir: PathBuf,
    from: Mailbox,
    bounce_address: Option<Address>,
    /// Whether what arrives at the bounce address is read.
    reads_answers: bool,
    connections: usize,
    mails_per_second: u32,
    domain_mails_per_second: u32,
    error_budget_percent: usize,
    /// At most one per algorithm.
    dkim: Vec<DkimKeySettings>,
    trust: TrustStore,
}

/// A sender as receivers see it.
#[derive(Debug, Clone)]
pub struct SenderIdentity {
    /// The address that readers see.
    pub from: Address,
    /// The return path.
    pub envelope: Address,
    /// The keys that sign.
    pub dkim: Vec<DkimKeySettings>,
    /// The mail server.
    pub smtp: Option<SmtpUrl>,
}

impl SenderIdentity {
    /// What the sending host is probably called: its name in our EHLO, the mail server's, or one within the sender's domain.
    pub fn host_name(&self) -> String {
        let url = self.smtp.as_ref();
        let named = url.and_then(|url| url.client_name.clone());
        let is_name = |url: &&SmtpUrl| !url.is_loopback && url.host.parse::<std::net::IpAddr>().is_err();
        named
            .or_else(|| url.filter(is_name).map(|url| url.host.clone()))
            .unwrap_or_else(|| format!("mail.{}", self.from.domain()))
    }
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
            smtp: smtp(settings),
            maildir: PathBuf::from(settings.text("notification.maildir")),
            bounce_address: bounce_address(&settings.get(
                "notification.bounce_address",
                "must be empty or an address such as bounces@example.org, of at most 10 characters before the @",
                |value| {
                    let text = value.as_str()?;
                    (text.is_empty() || bounce_address(text).is_some()).then(|| text.to_owned())
                },
            )),
            reads_answers: !settings.text("notification.bounce_maildir").is_empty(),
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

    /// The bounce address, where somebody reads what arrives there.
    fn answer_mailbox(&self, tokens: &Arc<Tokens>) -> Option<AnswerMailbox> {
        let address = self.bounce_address.clone().filter(|_| self.reads_answers)?;
        Some(AnswerMailbox {
            takes_complaints: self.may_take_complaints(&address),
            address,
            tokens: Arc::clone(tokens),
        })
    }

    /// Receivers send complaints to an address whose domain is related to the sender's, and only of mails that this domain has
    /// signed (RFC 9477, section 3.1).
    fn may_take_complaints(&self, address: &Address) -> bool {
        let from = self.from.email.domain();
        let signs = self.dkim.iter().any(|key| is_related(&key.domain, from));
        signs && is_related(address.domain(), from)
    }

    fn signer(&self) -> Result<Option<DkimSigner>, String> {
        let keys: Vec<DkimKey> = self.dkim.iter().map(DkimKey::read).collect::<Result<_, _>>()?;
        if let [
            DkimKeySettings {
                algorithm: DkimAlgorithm::Ed25519,
                ..
            },
        ] = self.dkim.as_slice()
        {
            warn!(
                "mails are signed with Ed25519 alone, which Gmail, Microsoft and Yahoo may take for no signature; set \
                 notification.dkim_rsa_key_file and notification.dkim_rsa_selector too"
            );
        }
        Ok(DkimSigner::new(keys))
    }

    /// The sender as receivers see it.
    pub fn identity(&self) -> SenderIdentity {
        SenderIdentity {
            from: self.from.email.clone(),
            envelope: self.bounce_address.clone().unwrap_or_else(|| self.from.email.clone()),
            dkim: self.dkim.clone(),
            smtp: self.smtp.clone(),
        }
    }

    /// The mail server, where one is named.
    pub fn server(&self) -> Result<Option<SmtpServer>, String> {
        let url = self.smtp.as_ref();
        url.map(|url| SmtpServer::new(url, &self.trust.certificates()?))
            .transpose()
    }

    /// A mail server where one is named, else a maildir. The tasks keep the connections to the mail server.
    pub fn transport(
        &self,
        tokens: &Arc<Tokens>,
        mail_ids: &Arc<MailIds>,
        clock: &Clock,
        tasks: &Tasks,
    ) -> Result<Arc<dyn Transport>, String> {
        let builder = MessageBuilder::new(
            &self.from,
            self.bounce_address.clone().map(|address| ReturnPaths {
                address,
                ids: Arc::clone(mail_ids),
            }),
            self.answer_mailbox(tokens),
            self.signer()?,
            clock.clone(),
        );
        if let Some(server) = self.server()? {
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

/// The mail server. Mistakes in its URL are found here and not at the first mail.
fn smtp(settings: &mut Settings) -> Option<SmtpUrl> {
    const KEY: &str = "notification.smtp_url";
    let url = settings.optional_url(KEY, &["smtp://", "smtps://"])?;
    match SmtpUrl::parse(&url) {
        Ok(server) => Some(server),
        Err(expected) => {
            settings.problem(KEY, &expected);
            None
        }
    }
}

/// The keys that sign, RSA first: of several signatures some receivers look at the first alone. The domain is the sender's
/// where none is named.
fn dkim(settings: &mut Settings, sender: &str) -> Vec<DkimKeySettings> {
    let domain = Some(settings.text("notification.dkim_domain")).filter(|domain| !domain.is_empty());
    let domain = domain.unwrap_or_else(|| sender.to_owned());
    let algorithms = [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519];
    let keys = algorithms.map(|algorithm| dkim_key(settings, algorithm, &domain));
    if let [Some(rsa), Some(ed25519)] = &keys
        && rsa.selector == ed25519.selector
    {
        settings.problem(
            ed25519.algorithm.selector_setting(),
            "must differ from notification.dkim_rsa_selector: a DNS record holds one key",
        );
    }
    keys.into_iter().flatten().collect()
}

/// Signs when a key is named; then the selector is needed.
fn dkim_key(settings: &mut Settings, algorithm: DkimAlgorithm, domain: &str) -> Option<DkimKeySettings> {
    let (key_file, selector) = (algorithm.key_file_setting(), algorithm.selector_setting());
    let key = DkimKeySettings {
        algorithm,
        selector: settings.text(selector),
        domain: domain.to_owned(),
        file: PathBuf::from(settings.text(key_file)),
    };
    match (key.file.as_os_str().is_empty(), key.selector.is_empty()) {
        (true, true) => None,
        (false, false) => Some(key),
        (true, false) => {
            settings.problem(key_file, &format!("must name a file, because {selector} is set"));
            None
        }
        (false, true) => {
            settings.problem(
                selector,
                &format!("must name the key's DNS record, because {key_file} is set"),
            );
            None
        }
    }
}
