//! Digests: one for each subscriber and slot, on each of the channels that the subscriber chose.
//!
//! | step | what it does |
//! |---|---|
//! | [`plan`] | reads who is to get a digest, and what is known of it |
//! | [`compose`] | chooses the papers, with [`choose`] |
//! | [`deliver`] | leases it, checks once more, and hands it over |
//! | [`settle`] | records how it ended, and when the reader is looked at next |
//!
//! The papers are fixed before the first attempt, so every attempt is the same mail under the same Message-ID. A crash
//! between the mail server's yes and our record leads to one more attempt, which is counted: that is the one window SMTP
//! leaves open. What an operator asks for goes the same way as what is due.

pub mod choose;
mod compose;
pub mod deliver;
mod lease;
mod plan;
mod settle;
mod webhook_notices;

use std::sync::Arc;
use std::time::Duration;

use common::calibration::Calibration;
use common::clock::Clock;
use common::tasks::{JobLost, Tasks};
use common::telemetry;
use domain::matching::DimensionError;
use domain::{Paper, PaperId, Preferences};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

pub use self::choose::EmptyReason;
pub use self::deliver::PreparedBatch;
pub use self::plan::{DigestTrigger, Draft, DraftDecision};

use self::compose::Composer;
use self::deliver::Deliverer;
use self::deliver::mail::MailChannel;
use self::deliver::webhook::WebhookChannel;
use self::plan::{OpenDigest, PlannedDigest, Planner};
use self::settle::{Settler, outcome};
use self::webhook_notices::WebhookNotices;
use crate::interests::InterestEmbedder;
use crate::mail_ids::MailIds;
use crate::mailer::{Mail, SendError, Transport};
use crate::mails::MailWriter;
use crate::ports::{DeliveryLedger, DueQueue, StoreError, SubscriberStore};
use crate::subscribers::deliveries::{DeliveryRecord, FencingToken, Pick};
use crate::subscribers::pending::PendingSubscription;
use crate::subscribers::webhook::{FailureTolerance, WebhookAnswer, WebhookRegistration};
use crate::subscribers::{Channel, Subscriber, Subscriptions};
use crate::tokens::Tokens;
use crate::webhooks::WebhookClient;
use crate::webhooks::secrets::WebhookSecrets;
use crate::window::SharedWindow;

/// A digest, written.
#[derive(Debug, Clone)]
pub struct Digest {
    /// The moment it is due.
    pub slot: Timestamp,
    /// The papers, in order.
    pub papers: Vec<DigestPaper>,
    /// The mail.
    pub mail: Mail,
    /// Why there are no papers; none where there are some.
    pub emptiness: Option<EmptyReason>,
}

/// A paper of a digest.
#[derive(Debug, Clone)]
pub struct DigestPaper {
    /// The paper.
    pub paper: Arc<Paper>,
    /// Its score for this subscriber.
    pub score: f32,
    /// Why it is there, in words.
    pub reason: String,
    /// Of its score, what trending adds; the rest is the match with the interest that brought it.
    pub trending: f32,
    /// The index of that interest among the subscriber's, where one brought it.
    pub interest: Option<u16>,
}

/// What became of a digest.
#[derive(Debug, Clone)]
pub struct SettledDigest {
    /// The slot.
    pub slot: Timestamp,
    /// The record.
    pub record: DeliveryRecord,
    /// True when it was sent before this call.
    pub before: bool,
}

/// What became of one subscriber's digest on a channel.
#[derive(Debug)]
pub struct DeliveryOutcome {
    /// The address, where it could be read.
    pub email: String,
    /// On which channel.
    pub channel: Channel,
    /// The digest.
    pub result: Result<SettledDigest, DigestError>,
}

/// A digest that could not be made or recorded; tried again later.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Interests cannot be embedded.
    #[error("{0}")]
    Embedding(String),
    /// More is being embedded than fits now.
    #[error("more is being embedded than fits now; try again in {} s", retry_after.as_secs().max(1))]
    Busy {
        /// When it should fit.
        retry_after: Duration,
    },
    /// A mail that belongs to no digest, such as a confirmation, was not taken by the mail server.
    #[error("mail is not sent: {0}")]
    Mail(#[from] SendError),
    /// A template.
    #[error("template does not render: {0}")]
    Template(#[from] minijinja::Error),
    /// The window holds vectors that cannot be compared.
    #[error("papers and interests do not fit together: {0}")]
    Dimension(#[from] DimensionError),
    /// A mistake in this program; the log has it.
    #[error("the delivery panicked")]
    Panicked,
    /// There is nothing to show.
    #[error("no digest was composed")]
    NotComposed,
    /// It was started and gave no result.
    #[error(transparent)]
    Lost(#[from] JobLost),
}

/// Each id with its draft; none where there is no such subscriber.
pub type Drafts = Vec<(String, Result<Option<Draft>, DigestError>)>;

/// What [`Digests`] is made from.
#[derive(Clone)]
pub struct DigestDependencies {
    /// Changes subscribers.
    pub subscriptions: Subscriptions,
    /// Keeps subscribers.
    pub store: Arc<dyn SubscriberStore>,
    /// Records deliveries.
    pub ledger: Arc<dyn DeliveryLedger>,
    /// Says who is due.
    pub due_queue: Arc<dyn DueQueue>,
    /// The papers to choose from.
    pub window: SharedWindow,
    /// Makes the vectors of interests.
    pub interests: Arc<InterestEmbedder>,
    /// Takes mails.
    pub transport: Arc<dyn Transport>,
    /// Takes what goes to webhooks.
    pub webhook_client: Arc<dyn WebhookClient>,
    /// Writes mails.
    pub mail_writer: Arc<MailWriter>,
    /// Signs links.
    pub tokens: Arc<Tokens>,
    /// Signs requests to webhooks.
    pub secrets: Arc<WebhookSecrets>,
    /// Names mails.
    pub mail_ids: Arc<MailIds>,
    /// Tells the time.
    pub clock: Clock,
    /// Starts what goes on after a call.
    pub tasks: Tasks,
}

/// How digests are sent.
#[derive(Debug, Clone)]
pub struct DigestSettings {
    /// What links begin with.
    pub public_url: String,
    /// Before the second attempt; doubles after that.
    pub first_pause: SignedDuration,
    /// Digests whose turn comes later than this after their slot are not sent.
    pub expire: SignedDuration,
    /// Mails handed over at the same time.
    pub connections: usize,
    /// Requests to webhooks at the same time.
    pub calls_at_once: usize,
    /// No attempt at handing a digest over takes longer; leases are longer still.
    pub send_timeout: Duration,
    /// How long a webhook may fail before it is out of use.
    pub tolerance: FailureTolerance,
}

/// Makes and delivers digests.
pub struct Digests {
    planner: Planner,
    composer: Composer,
    deliverer: Deliverer,
    clock: Clock,
    tasks: Tasks,
}

impl Digests {
    /// From what it needs.
    pub fn new(needed: DigestDependencies, settings: DigestSettings) -> Self {
        let DigestDependencies {
            window, clock, tasks, ..
        } = needed.clone();
        let settler = Settler {
            ledger: Arc::clone(&needed.ledger),
            clock: clock.clone(),
            first_pause: settings.first_pause,
            send_timeout: settings.send_timeout,
        };
        Self {
            planner: Planner {
                store: Arc::clone(&needed.store),
                ledger: Arc::clone(&needed.ledger),
                window: window.clone(),
                expire: settings.expire,
            },
            composer: Composer {
                store: Arc::clone(&needed.store),
                window,
                interests: Arc::clone(&needed.interests),
                calibration: Calibration::new(clock.clone()),
            },
            deliverer: deliverer(needed, settings, settler),
            clock,
            tasks,
        }
    }

    /// Plans and composes the digests of the current slots for a channel.
    pub async fn drafts(
        &self,
        channel: Channel,
        ids: Vec<String>,
        trigger: DigestTrigger,
        now: Timestamp,
    ) -> Result<Drafts, DigestError> {
        let planned = self.planner.plan(channel, &ids, trigger, now).await?;
        let mut drafts: Drafts = Vec::with_capacity(ids.len());
        let (mut open, mut places) = (Vec::new(), Vec::new());
        for (id, planned) in ids.into_iter().zip(planned) {
            let draft = match planned {
                PlannedDigest::Decided(draft) => Ok(Some(*draft)),
                PlannedDigest::NoSubscriber => Ok(None),
                PlannedDigest::Failed(error) => Err(error),
                PlannedDigest::Open(one) => {
                    places.push(drafts.len());
                    open.push(*one);
                    Ok(None)
                }
            };
            drafts.push((id, draft));
        }
        for (place, draft) in places.into_iter().zip(self.composer.compose(open).await?) {
            drafts[place].1 = Ok(Some(draft));
        }
        Ok(drafts)
    }

    /// Plans, composes and leases the digests of subscribers for a channel.
    pub async fn prepare(
        &self,
        channel: Channel,
        ids: Vec<String>,
        token: &FencingToken,
        trigger: DigestTrigger,
        now: Timestamp,
    ) -> Result<PreparedBatch, DigestError> {
        let (mut drafts, mut failed) = (Vec::new(), Vec::new());
        for (id, draft) in self.drafts(channel, ids, trigger, now).await? {
            match draft {
                Ok(draft) => drafts.extend(draft),
                Err(error) => failed.push(outcome(channel, &id, String::new(), Err(error))),
            }
        }
        let mut batch = self.deliverer.prepare(channel, drafts, token, now).await?;
        batch.outcomes.extend(failed);
        Ok(batch)
    }

    /// Sends what is leased, and says what became of everything.
    pub async fn deliver(
        &self,
        channel: Channel,
        batch: PreparedBatch,
        stop: &CancellationToken,
    ) -> Vec<DeliveryOutcome> {
        self.deliverer.deliver(channel, batch, stop).await
    }

    /// Delivers the current digests of subscribers on a channel, each once, to their ends even when nobody waits for it any
    /// more.
    pub async fn deliver_now(
        self: &Arc<Self>,
        channel: Channel,
        ids: Vec<String>,
    ) -> Result<Vec<DeliveryOutcome>, DigestError> {
        let this = Arc::clone(self);
        let delivery = async move {
            let token = this.deliverer.due_queue.token().await?;
            let now = this.clock.now();
            let batch = this.prepare(channel, ids, &token, DigestTrigger::Operator, now).await?;
            Ok(this.deliver(channel, batch, &CancellationToken::new()).await)
        };
        let delivery = self
            .tasks
            .job("delivery on request", delivery.instrument(Span::current()));
        delivery.result().await?
    }

    /// Mails a confirmation.
    pub async fn send_confirmation(&self, request: &PendingSubscription) -> Result<(), DigestError> {
        self.deliverer.mail.send_confirmation(request).await
    }

    /// Asks a webhook whether it agrees.
    pub async fn challenge(&self, of: &Subscriber, webhook: &WebhookRegistration) -> WebhookAnswer {
        self.deliverer.webhook.challenge(of, webhook).await
    }

    /// Mails a link to the account of a subscriber.
    pub async fn send_account_link(&self, subscriber: &Subscriber) -> Result<(), DigestError> {
        self.deliverer.mail.send_account_link(subscriber).await
    }

    /// What tells readers whose webhook went out of use.
    pub fn webhook_notices(&self) -> &WebhookNotices {
        &self.deliverer.webhook.notices
    }

    /// The digest a subscriber would get now; none where there is no such subscriber. Records nothing but the vectors of
    /// the interests.
    pub async fn preview(&self, id: &str) -> Result<Option<Digest>, DigestError> {
        let ids = vec![id.to_owned()];
        let drafts = self.drafts(Channel::Mail, ids, DigestTrigger::Preview, self.clock.now());
        match drafts.await?.pop() {
            Some((_, draft)) => draft?.map(|draft| self.written(draft)).transpose(),
            None => Ok(None),
        }
    }

    /// The digest that somebody with these preferences would get now; a subscriber, where one is given. Records nothing.
    /// [`DigestError::Busy`] when the encoder has no time for it.
    pub async fn sample(&self, known: Option<&Subscriber>, preferences: Preferences) -> Result<Digest, DigestError> {
        let mut open = self.planner.plan_sample(known, preferences, self.clock.now()).await?;
        self.composer.embed_sample(&mut open).await?;
        self.composed(open).await
    }

    async fn composed(&self, open: OpenDigest) -> Result<Digest, DigestError> {
        let drafts = self.composer.compose(vec![open]).await?;
        let draft = drafts.into_iter().next().ok_or(DigestError::NotComposed)?;
        self.written(draft)
    }

    /// Mails a preview to its subscriber, marked as a test. Records nothing but the vectors of the interests.
    pub async fn send_test(&self, subscriber: &Subscriber) -> Result<Digest, DigestError> {
        let mail = &self.deliverer.mail;
        let mut digest = self.preview(&subscriber.id).await?.ok_or(DigestError::NotComposed)?;
        digest.mail.subject = format!("[Test] {}", digest.mail.subject);
        let serial = format!("test.{}", self.clock.now().as_millisecond());
        digest.mail.message_id = mail.message_id(&subscriber.id, &serial);
        let span = mail.digest_span(&digest.papers);
        mail.hand_over(&digest.mail.clone().into(), span).await?;
        Ok(digest)
    }

    /// The papers of a record, without those that are no longer in the window.
    pub fn find(&self, picks: &[Pick]) -> Vec<DigestPaper> {
        self.planner.window.find(picks)
    }

    fn written(&self, draft: Draft) -> Result<Digest, DigestError> {
        let (papers, emptiness) = match draft.decision {
            DraftDecision::Send(papers) => (papers, None),
            DraftDecision::Defer(problem) => return Err(DigestError::Embedding(problem)),
            DraftDecision::Empty(reason) => (Vec::new(), Some(reason)),
            DraftDecision::Expired(_) | DraftDecision::Ended => (Vec::new(), None),
        };
        let mail = self.deliverer.mail.written(&draft.subscriber, draft.slot, &papers)?;
        Ok(Digest {
            slot: draft.slot,
            papers,
            mail,
            emptiness,
        })
    }
}

fn deliverer(needed: DigestDependencies, settings: DigestSettings, settler: Settler) -> Deliverer {
    let mail = Arc::new(MailChannel {
        subscriptions: needed.subscriptions.clone(),
        settler: settler.clone(),
        window: needed.window.clone(),
        transport: needed.transport,
        writer: needed.mail_writer,
        tokens: Arc::clone(&needed.tokens),
        public_url: settings.public_url.clone(),
        mail_ids: needed.mail_ids,
        send_timeout: settings.send_timeout,
        permits: Arc::new(Semaphore::new(settings.connections)),
    });
    let webhook = Arc::new(WebhookChannel {
        subscriptions: needed.subscriptions,
        settler: settler.clone(),
        window: needed.window.clone(),
        client: needed.webhook_client,
        tokens: needed.tokens,
        secrets: needed.secrets,
        public_url: settings.public_url,
        send_timeout: settings.send_timeout,
        expire: settings.expire,
        tolerance: settings.tolerance,
        permits: Arc::new(Semaphore::new(settings.calls_at_once)),
        notices: WebhookNotices {
            mail: Arc::clone(&mail),
            tasks: needed.tasks,
        },
    });
    Deliverer {
        due_queue: needed.due_queue,
        window: needed.window,
        settler,
        mail,
        webhook,
    }
}

impl SharedWindow {
    /// The papers that an earlier attempt fixed; those withdrawn since are left out.
    pub fn find(&self, picks: &[Pick]) -> Vec<DigestPaper> {
        let window = self.read();
        let found = picks.iter().filter_map(|pick| {
            let id = PaperId::parse(&pick.id).ok()?;
            Some(DigestPaper {
                paper: Arc::clone(window.get(&id)?),
                score: pick.score,
                reason: pick.reason.clone(),
                trending: pick.trending,
                interest: pick.interest,
            })
        });
        found.collect()
    }

    /// Points from a span at the traces of papers.
    pub fn link_traces(&self, span: &Span, papers: &[DigestPaper]) {
        let window = self.read();
        for trace in papers.iter().filter_map(|one| window.trace(&one.paper.id)) {
            telemetry::link(span, trace);
        }
    }
}

#[cfg(test)]
mod tests;
