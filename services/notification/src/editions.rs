//! Editions: chooses papers for subscribers, writes the mails, hands each over once, records what happened.
//!
//! One edition per subscriber and slot. The papers are fixed before the first attempt, so every attempt is the same mail
//! under the same Message-ID. A crash between the mail server's yes and our record leads to one more attempt, which is
//! counted: that is the one window SMTP leaves open.
//!
//! Work goes in chunks: [`composing`] makes the drafts of a chunk, [`planning`] takes them in hand, [`sending`] writes the
//! mails and hands them over, [`calling`] does the same for webhooks. What an operator asks for goes the same way.

mod calling;
mod choosing;
mod composing;
pub mod letters;
mod notices;
mod planning;
mod probes;
mod sending;
mod vectors;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::matching::DimensionError;
use domain::{DenseVector, EncoderId, Paper, Preferences};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

pub use self::choosing::Emptiness;
pub use self::composing::{Drafts, Occasion, Verdict};
pub use self::planning::Plan;
use self::probes::Probes;
use crate::editions::composing::Open;
use crate::editions::letters::{DigestLetter, Letters, Links, words};
use crate::interests::Interests;
use crate::mailer::{Mail, Outgoing, SendError, Transport, spans};
use crate::subscribers::deliveries::Record;
use crate::subscribers::failures::Patience;
use crate::subscribers::webhooks::Answered;
use crate::subscribers::{Channel, State, Subscriber, Subscribers, SubscribersError};
use crate::tokens::{Scope, Tokens};
use crate::webhook::Caller;
use crate::webhook::secrets::Secrets;
use crate::window::Window;
use domain::preferences::Channels;

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
    /// The papers, in order.
    pub papers: Vec<EditionPaper>,
    /// The mail.
    pub mail: Mail,
    /// Why there are no papers; none where there are some.
    pub emptiness: Option<Emptiness>,
}

/// A paper of an edition.
#[derive(Debug, Clone)]
pub struct EditionPaper {
    /// The paper.
    pub paper: Arc<Paper>,
    /// Its score for this subscriber.
    pub score: f32,
    /// Why it is there, in words.
    pub reason: String,
    /// Of its score, what trending adds; the rest is the match with the interest that brought it.
    pub trending: f32,
    /// The place of that interest among the subscriber's, where one brought it.
    pub interest: Option<u16>,
}

/// What became of an edition.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The slot.
    pub slot: Timestamp,
    /// The record.
    pub record: Record,
    /// True when it was sent before this call.
    pub before: bool,
}

/// What became of one subscriber's turn.
#[derive(Debug)]
pub struct Outcome {
    /// The address, where it could be read.
    pub email: String,
    /// On which way.
    pub channel: Channel,
    /// The edition.
    pub result: Result<Delivered, EditionError>,
}

/// An edition that could not be made or recorded; tried again later.
#[derive(Debug, thiserror::Error)]
pub enum EditionError {
    /// Redis.
    #[error(transparent)]
    Subscribers(#[from] SubscribersError),
    /// Interests cannot be embedded.
    #[error("{0}")]
    Embedding(String),
    /// A mail that belongs to no edition, such as a confirmation, was not taken by the mail server.
    #[error("mail is not sent: {0}")]
    Mail(#[from] SendError),
    /// A template.
    #[error("template does not render: {0}")]
    Template(#[from] minijinja::Error),
    /// The window holds vectors that cannot be compared.
    #[error("papers and interests do not fit together: {0}")]
    Dimension(#[from] DimensionError),
    /// The process is ending.
    #[error("the attempt was cut off by the end of the process")]
    CutOff,
}

/// What [`Editions`] is made from.
#[derive(Clone)]
pub struct Parts {
    /// Subscribers and deliveries.
    pub subscribers: Subscribers,
    /// The papers to choose from.
    pub window: Arc<RwLock<Window>>,
    /// Makes the vectors of interests.
    pub interests: Arc<Interests>,
    /// Takes mails.
    pub transport: Arc<dyn Transport>,
    /// Takes what goes to webhooks.
    pub caller: Arc<dyn Caller>,
    /// How long a webhook may fail before it is out of use.
    pub patience: Patience,
    /// Requests to webhooks at the same time.
    pub calls_at_once: usize,
    /// Signs links.
    pub tokens: Arc<Tokens>,
    /// Signs requests to webhooks.
    pub secrets: Arc<Secrets>,
    /// What links begin with.
    pub public_url: String,
    /// What Message-IDs end with.
    pub mail_domain: String,
    /// Before the second attempt; doubles after that.
    pub first_pause: SignedDuration,
    /// Writes mails.
    pub letters: Arc<Letters>,
    /// Editions whose turn comes later than this after their slot are not sent.
    pub expire: SignedDuration,
    /// Mails handed over at the same time.
    pub connections: usize,
    /// No attempt at handing a mail over takes longer; leases are longer still.
    pub send_timeout: Duration,
}

/// Makes and delivers editions.
pub struct Editions {
    parts: Parts,
    /// One permit per mail that may be with the mail server.
    connections: Arc<Semaphore>,
    /// One permit per request that may be with a webhook.
    calls: Arc<Semaphore>,
    probes: Probes,
}

impl Editions {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(parts.connections)),
            calls: Arc::new(Semaphore::new(parts.calls_at_once)),
            probes: Probes::new(Arc::clone(&parts.interests.encoder)),
            parts,
        }
    }

    /// Mails a confirmation.
    pub async fn ask_to_confirm(&self, subscriber: &Subscriber, now: Timestamp) -> Result<(), EditionError> {
        let token = self.parts.tokens.issue(Scope::Confirm, &subscriber.id, now);
        let url = format!("{}/confirm?token={token}", self.parts.public_url);
        let serial = format!("confirm.{}", now.as_millisecond());
        let mail = self.parts.letters.confirmation(
            &subscriber.email,
            &subscriber.preferences.language,
            &url,
            self.message_id(&subscriber.id, &serial),
        )?;
        Ok(self.hand_over(&mail.into(), spans::sending("confirmation")).await?)
    }

    /// The edition a subscriber would get now; none where there is no such subscriber. Records nothing but the vectors of
    /// the interests.
    pub async fn preview(&self, id: &str, now: Timestamp) -> Result<Option<Edition>, EditionError> {
        let mut drafts = self
            .drafts(Channel::Mail, vec![id.to_owned()], Occasion::Preview, now)
            .await?;
        match drafts.pop() {
            Some((_, draft)) => draft?.map(|draft| self.written(draft)).transpose(),
            None => Ok(None),
        }
    }

    /// The edition that somebody with these preferences would get now. Records nothing.
    pub async fn sample(&self, preferences: Preferences, now: Timestamp) -> Result<Edition, EditionError> {
        let nobody = Subscriber {
            id: "nobody".to_owned(),
            email: "reader@example.org".to_owned(),
            state: State::Pending,
            preferences,
            unwanted: Vec::new(),
            created: now,
            confirmed: None,
            ended: None,
            paused_until: None,
            asked: None,
            due_since: None,
            consent: None,
            webhook: None,
            pause_reason: String::new(),
            version: 0,
        };
        self.chosen(Open::first(nobody, now)).await
    }

    /// The edition that a subscriber would get now with these preferences instead. Records nothing.
    pub async fn sample_for(
        &self,
        subscriber: &Subscriber,
        preferences: Preferences,
        now: Timestamp,
    ) -> Result<Edition, EditionError> {
        let reader = Subscriber {
            preferences,
            // No version is kept as 0, so vectors of interests that nobody saved are not kept either.
            version: 0,
            ..subscriber.clone()
        };
        let mut open = Open::first(reader, now);
        // What was seen is the same on every way.
        let asked = [(subscriber.id.as_str(), open.slot, Channels::Mail)];
        for past in self.parts.subscribers.pasts(Channel::Mail, &asked).await? {
            open.past.seen = past?.seen;
        }
        self.chosen(open).await
    }

    async fn chosen(&self, open: Open) -> Result<Edition, EditionError> {
        let drafts = self.choose(vec![open]).await?;
        let draft = drafts.into_iter().next().ok_or(EditionError::CutOff)?;
        self.written(draft)
    }

    /// Mails a preview to its subscriber, marked as a test. Records nothing but the vectors of the interests.
    pub async fn send_test(&self, subscriber: &Subscriber, now: Timestamp) -> Result<Edition, EditionError> {
        let mut edition = self.preview(&subscriber.id, now).await?.ok_or(EditionError::CutOff)?;
        edition.mail.subject = format!("[Test] {}", edition.mail.subject);
        edition.mail.message_id = self.message_id(&subscriber.id, &format!("test.{}", now.as_millisecond()));
        let span = self.sending(&edition.papers);
        self.hand_over(&edition.mail.clone().into(), span).await?;
        Ok(edition)
    }

    /// Delivers the current editions of subscribers on a way, each once, to their ends even when nobody waits for it any
    /// more.
    pub async fn deliver(
        self: &Arc<Self>,
        channel: Channel,
        ids: Vec<String>,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, EditionError> {
        let this = Arc::clone(self);
        let delivery = async move {
            let fence = this.parts.subscribers.fence().await?;
            let plan = this.plan(channel, ids, fence, Occasion::Asked, now).await?;
            Ok(this.carry_out_on(channel, plan, &CancellationToken::new()).await)
        };
        let delivery = tokio::spawn(delivery.instrument(Span::current()));
        delivery.await.map_err(|_| EditionError::CutOff)?
    }

    /// Does what is planned for a way, and says what became of everything.
    pub async fn carry_out_on(
        self: &Arc<Self>,
        channel: Channel,
        plan: Plan,
        stop: &CancellationToken,
    ) -> Vec<Outcome> {
        match channel {
            Channel::Mail => self.carry_out(plan, stop).await,
            Channel::Webhook => self.call_out(plan, stop).await,
        }
    }

    fn written(&self, draft: composing::Draft) -> Result<Edition, EditionError> {
        let (papers, emptiness) = match draft.verdict {
            Verdict::Send(papers) => (papers, None),
            Verdict::PutOff(problem) => return Err(EditionError::Embedding(problem)),
            Verdict::Empty(why) => (Vec::new(), Some(why)),
            Verdict::Expired(_) | Verdict::Known => (Vec::new(), None),
        };
        let mail = self.write(&draft.subscriber, draft.slot, &papers)?;
        Ok(Edition {
            slot: draft.slot,
            papers,
            mail,
            emptiness,
        })
    }

    fn write(&self, subscriber: &Subscriber, slot: Timestamp, papers: &[EditionPaper]) -> Result<Mail, EditionError> {
        self.letter(subscriber, slot, papers, |letter| self.parts.letters.digest(letter))
    }

    fn outgoing(
        &self,
        subscriber: &Subscriber,
        slot: Timestamp,
        papers: &[EditionPaper],
    ) -> Result<Outgoing, EditionError> {
        self.letter(subscriber, slot, papers, |letter| self.parts.letters.outgoing(letter))
    }

    fn letter<T>(
        &self,
        subscriber: &Subscriber,
        slot: Timestamp,
        papers: &[EditionPaper],
        write: impl FnOnce(&DigestLetter<'_>) -> Result<T, minijinja::Error>,
    ) -> Result<T, EditionError> {
        let preferences = &subscriber.preferences;
        let date = words::of(&preferences.language).date(preferences.schedule.local_date(slot));
        let links = Links::new(&self.parts.public_url, &self.parts.tokens, &subscriber.id, slot);
        Ok(write(&DigestLetter {
            subscriber,
            date: &date,
            papers,
            links: &links,
            message_id: self.message_id(&subscriber.id, &slot.as_millisecond().to_string()),
        })?)
    }

    fn message_id(&self, id: &str, serial: &str) -> String {
        format!("<{id}.{serial}@{}>", self.parts.mail_domain)
    }
}

#[cfg(test)]
mod tests;
