//! Editions: chooses papers for a subscriber, writes the mail, hands it over once, records what happened.
//!
//! One edition per subscriber and slot. The papers are fixed before the first attempt, so every attempt is the same mail
//! under the same Message-ID. A crash between the mail server's yes and our record leads to one more attempt, which is
//! counted: that is the one window SMTP leaves open.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use domain::{DenseVector, EncoderId, LinkKind, Paper};
use jiff::{SignedDuration, Timestamp};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use tracing::{error, info, warn};

use crate::mailer::{Mail, SendError, Transport};
use crate::metrics::{EDITIONS, RESENT};
use crate::subscribers::{Claim, Record, State, Subscriber, Subscribers, SubscribersError};
use crate::tokens::{Scope, Tokens};
use crate::window::{Chosen, Window};

/// Turns interests into vectors.
#[async_trait]
pub trait InterestEncoder: Send + Sync {
    /// One vector per text, and whose they are.
    async fn embed(&self, texts: &[String]) -> Result<(EncoderId, Vec<DenseVector>), String>;
}

/// An edition, written.
#[derive(Debug, Clone)]
pub struct Edition {
    /// The moment it is due.
    pub slot: Timestamp,
    /// The papers, in order, each with its reason.
    pub papers: Vec<(Chosen, String)>,
    /// The mail.
    pub mail: Mail,
}

/// What became of an edition.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The slot.
    pub slot: Timestamp,
    /// The record.
    pub record: Record,
    /// True when it was done before this call.
    pub before: bool,
}

/// An edition that could not be made or recorded; tried again later.
#[derive(Debug, thiserror::Error)]
pub enum EditionError {
    /// Redis.
    #[error(transparent)]
    Subscribers(#[from] SubscribersError),
    /// Interests cannot be embedded.
    #[error("interests cannot be embedded: {0}")]
    Embedding(String),
    /// The subscriber's data makes no sense.
    #[error("subscriber {id}: {problem}")]
    Subscriber {
        /// Which.
        id: String,
        /// Why.
        problem: String,
    },
    /// A template.
    #[error("template does not render: {0}")]
    Template(#[from] minijinja::Error),
}

/// Makes and delivers editions.
pub struct Editions {
    subscribers: Subscribers,
    window: Arc<RwLock<Window>>,
    encoder: Arc<dyn InterestEncoder>,
    transport: Arc<dyn Transport>,
    tokens: Arc<Tokens>,
    templates: Environment<'static>,
    public_url: String,
    mail_domain: String,
}

/// What [`Editions`] is made from.
pub struct Parts {
    /// Subscribers and deliveries.
    pub subscribers: Subscribers,
    /// The papers to choose from.
    pub window: Arc<RwLock<Window>>,
    /// Embeds interests.
    pub encoder: Arc<dyn InterestEncoder>,
    /// Takes mails.
    pub transport: Arc<dyn Transport>,
    /// Signs links.
    pub tokens: Arc<Tokens>,
    /// What links begin with.
    pub public_url: String,
    /// What Message-IDs end with.
    pub mail_domain: String,
}

#[derive(Debug, Clone, Serialize)]
struct Shown {
    title: String,
    authors: String,
    reason: String,
    url: Option<String>,
    abstract_text: String,
}

impl Editions {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        let mut templates = Environment::new();
        let sources = [
            ("digest.txt", include_str!("templates/digest.txt")),
            ("digest.html", include_str!("templates/digest.html")),
            ("confirm.txt", include_str!("templates/confirm.txt")),
            ("confirm.html", include_str!("templates/confirm.html")),
        ];
        for (name, source) in sources {
            templates
                .add_template(name, source)
                .unwrap_or_else(|error| panic!("template {name}: {error}"));
        }
        Self {
            subscribers: parts.subscribers,
            window: parts.window,
            encoder: parts.encoder,
            transport: parts.transport,
            tokens: parts.tokens,
            templates,
            public_url: parts.public_url,
            mail_domain: parts.mail_domain,
        }
    }

    /// Mails a confirmation.
    pub async fn ask_to_confirm(&self, subscriber: &Subscriber, now: Timestamp) -> Result<(), EditionError> {
        let token = self.tokens.issue(Scope::Confirm, &subscriber.id, now);
        let confirm_url = format!("{}/confirm?token={token}", self.public_url);
        let subject = "Confirm your subscription to Broadsheet";
        let context = context! { email => subscriber.email.clone(), confirm_url, subject };
        let mail = Mail {
            to: subscriber.email.clone(),
            subject: subject.to_owned(),
            text: self.render("confirm.txt", &context)?,
            html: self.render("confirm.html", &context)?,
            message_id: format!(
                "<{}.confirm.{}@{}>",
                subscriber.id,
                now.as_millisecond(),
                self.mail_domain
            ),
            unsubscribe_url: self.manage_url("unsubscribe", subscriber, now),
        };
        let sent = self.transport.send(&mail).await;
        sent.map_err(|error| EditionError::Subscriber {
            id: subscriber.id.clone(),
            problem: error.to_string(),
        })
    }

    /// The edition a subscriber would get now.
    pub async fn compose(&self, subscriber: &Subscriber, now: Timestamp) -> Result<Edition, EditionError> {
        let schedule = subscriber.schedule().map_err(|error| EditionError::Subscriber {
            id: subscriber.id.clone(),
            problem: error.to_string(),
        })?;
        let slot = schedule.current_slot(now);
        let chosen = match self.subscribers.record(&subscriber.id, slot).await? {
            Some(record) if !record.papers.is_empty() && record.state != "sent" => self.fixed(&record),
            _ => self.choose(subscriber).await?,
        };
        self.write(subscriber, slot, chosen, now)
    }

    /// Delivers the edition of the current slot, once.
    pub async fn deliver(&self, subscriber: &Subscriber, now: Timestamp) -> Result<Delivered, EditionError> {
        let edition = self.compose(subscriber, now).await?;
        let (id, slot) = (&subscriber.id, edition.slot);
        let known = self.subscribers.record(id, slot).await?;
        if let Some(record) = known.filter(|record| matches!(record.state.as_str(), "sent" | "failed")) {
            return Ok(already(slot, record));
        }
        let papers: Vec<_> = edition
            .papers
            .iter()
            .map(|(chosen, _)| chosen.paper.id.clone())
            .collect();
        let mut record = Record {
            papers,
            message_id: edition.mail.message_id.clone(),
            at: now,
            ..Record::default()
        };
        if record.papers.is_empty() {
            let detail = "no paper in the window that this subscriber has not been sent";
            return self.settle(subscriber, slot, record, "empty", detail).await;
        }
        match self
            .subscribers
            .claim(id, slot, &record.papers, &record.message_id, now)
            .await?
        {
            Claim::Go => {}
            Claim::Again => {
                RESENT.inc();
                warn!(subscriber = %id, %slot, "an earlier attempt ended without a word; sending the same mail again");
            }
            Claim::Busy | Claim::Done => {
                let record = self.subscribers.record(id, slot).await?.unwrap_or_default();
                return Ok(already(slot, record));
            }
        }
        let current = self.subscribers.get(id).await?;
        if current.is_none_or(|current| current.state != State::Active) {
            return self
                .settle(subscriber, slot, record, "failed", "the subscription ended")
                .await;
        }
        match self.transport.send(&edition.mail).await {
            Ok(()) => {
                record.at = Timestamp::now();
                self.settle(subscriber, slot, record, "sent", "").await
            }
            Err(SendError::Transient(problem)) => self.settle(subscriber, slot, record, "deferred", &problem).await,
            Err(SendError::Permanent(problem)) => {
                let suppressed = Subscriber {
                    state: State::Suppressed,
                    ..subscriber.clone()
                };
                self.subscribers.put(&suppressed, None).await?;
                self.settle(subscriber, slot, record, "failed", &problem).await
            }
        }
    }

    async fn settle(
        &self,
        subscriber: &Subscriber,
        slot: Timestamp,
        mut record: Record,
        state: &str,
        detail: &str,
    ) -> Result<Delivered, EditionError> {
        state.clone_into(&mut record.state);
        detail.clone_into(&mut record.detail);
        self.subscribers.settle(&subscriber.id, slot, &record).await?;
        EDITIONS.with_label_values(&[state]).inc();
        if state == "failed" {
            error!(subscriber = %subscriber.id, %slot, detail, "edition failed");
        } else {
            info!(subscriber = %subscriber.id, %slot, state, detail, papers = record.papers.len(), "edition settled");
        }
        Ok(Delivered {
            slot,
            record,
            before: false,
        })
    }

    /// The papers an earlier attempt fixed; those withdrawn since are left out.
    fn fixed(&self, record: &Record) -> Vec<Chosen> {
        let window = self.window.read().unwrap_or_else(PoisonError::into_inner);
        let papers = record.papers.iter().filter_map(|id| window.get(id).cloned());
        papers
            .map(|paper| Chosen {
                paper,
                score: 0.0,
                interest: None,
            })
            .collect()
    }

    async fn choose(&self, subscriber: &Subscriber) -> Result<Vec<Chosen>, EditionError> {
        let seen = self.subscribers.sent_papers(&subscriber.id).await?;
        let interests = if subscriber.interests.is_empty() {
            None
        } else {
            Some(
                self.encoder
                    .embed(&subscriber.interests)
                    .await
                    .map_err(EditionError::Embedding)?,
            )
        };
        let window = self.window.read().unwrap_or_else(PoisonError::into_inner);
        let (encoder, vectors) = match interests {
            Some(interests) => interests,
            None => match window.encoder() {
                Some(encoder) => (encoder.clone(), Vec::new()),
                None => return Ok(Vec::new()),
            },
        };
        Ok(window.choose(&encoder, &vectors, &seen, subscriber.paper_count))
    }

    fn write(
        &self,
        subscriber: &Subscriber,
        slot: Timestamp,
        chosen: Vec<Chosen>,
        now: Timestamp,
    ) -> Result<Edition, EditionError> {
        let papers: Vec<(Chosen, String)> = chosen
            .into_iter()
            .map(|one| {
                let reason = reason(subscriber, &one);
                (one, reason)
            })
            .collect();
        let shown: Vec<Shown> = papers
            .iter()
            .map(|(chosen, reason)| shown(&chosen.paper, reason))
            .collect();
        let subject = match papers.first() {
            Some((first, _)) if papers.len() > 1 => format!("{} and {} more", first.paper.title, papers.len() - 1),
            Some((first, _)) => first.paper.title.clone(),
            None => "No new papers today".to_owned(),
        };
        let unsubscribe_url = self.manage_url("unsubscribe", subscriber, now);
        let context = context! {
            subject => subject.clone(),
            date => slot.strftime("%A, %-d %B %Y").to_string(),
            papers => Serde(shown),
            email => subscriber.email.clone(),
            preferences_url => self.manage_url("preferences", subscriber, now),
            unsubscribe_url => unsubscribe_url.clone(),
        };
        let mail = Mail {
            to: subscriber.email.clone(),
            subject,
            text: self.render("digest.txt", &context)?,
            html: self.render("digest.html", &context)?,
            message_id: format!("<{}.{}@{}>", subscriber.id, slot.as_millisecond(), self.mail_domain),
            unsubscribe_url,
        };
        Ok(Edition { slot, papers, mail })
    }

    fn render(&self, template: &str, context: &Value) -> Result<String, EditionError> {
        Ok(self.templates.get_template(template)?.render(context.clone())?)
    }

    fn manage_url(&self, page: &str, subscriber: &Subscriber, now: Timestamp) -> String {
        let token = self.tokens.issue(Scope::Manage, &subscriber.id, now);
        format!("{}/{page}?token={token}", self.public_url)
    }
}

/// How long a refused or unmade edition waits before the next attempt.
pub const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(5);

fn already(slot: Timestamp, record: Record) -> Delivered {
    EDITIONS.with_label_values(&["already_delivered"]).inc();
    Delivered {
        slot,
        record,
        before: true,
    }
}

fn reason(subscriber: &Subscriber, chosen: &Chosen) -> String {
    match chosen.interest.and_then(|index| subscriber.interests.get(index)) {
        Some(interest) => format!("Because you follow “{interest}” (match {:.2})", chosen.score),
        None => "New in the catalogue".to_owned(),
    }
}

fn shown(paper: &Paper, reason: &str) -> Shown {
    Shown {
        title: paper.title.clone(),
        authors: paper.authors.join(", "),
        reason: reason.to_owned(),
        url: paper
            .link(LinkKind::Abstract)
            .or_else(|| paper.link(LinkKind::Pdf))
            .map(str::to_owned),
        abstract_text: paper.abstract_text.clone(),
    }
}
