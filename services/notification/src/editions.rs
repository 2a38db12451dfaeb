//! Editions: chooses papers for a subscriber, writes the mail, hands it over once, records what happened.
//!
//! One edition per subscriber and slot. The papers are fixed before the first attempt, so every attempt is the same mail
//! under the same Message-ID. A crash between the mail server's yes and our record leads to one more attempt, which is
//! counted: that is the one window SMTP leaves open.

pub mod letters;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use common::telemetry;
use domain::{DenseVector, EncoderId, Paper, PaperId};
use jiff::{SignedDuration, Timestamp};
use tracing::{Instrument as _, Span, error, info, warn};

use crate::editions::letters::{Letters, Links};
use crate::interests::{Interests, InterestsError};
use crate::mailer::{Mail, SendError, Transport, spans};
use crate::metrics::{EDITIONS, RESENT};
use crate::subscribers::deliveries::{Attempt, Begin, Certainty, Claim, Pick, Record, Stage};
use crate::subscribers::{Subscriber, Subscribers, SubscribersError};
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
    /// The papers, in order.
    pub papers: Vec<EditionPaper>,
    /// The mail.
    pub mail: Mail,
}

/// A paper of an edition.
#[derive(Debug, Clone)]
pub struct EditionPaper {
    /// The paper.
    pub paper: Paper,
    /// Its score for this subscriber.
    pub score: f32,
    /// Why it is there, in words.
    pub reason: String,
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
    /// A confirmation was not taken by the mail server.
    #[error("confirmation is not mailed: {0}")]
    Confirmation(#[from] SendError),
    /// A template.
    #[error("template does not render: {0}")]
    Template(#[from] minijinja::Error),
    /// The process is ending.
    #[error("the attempt was cut off by the end of the process")]
    CutOff,
}

/// What [`Editions`] is made from.
pub struct Parts {
    /// Subscribers and deliveries.
    pub subscribers: Subscribers,
    /// The papers to choose from.
    pub window: Arc<RwLock<Window>>,
    /// Makes and keeps the vectors of interests.
    pub interests: Arc<Interests>,
    /// Takes mails.
    pub transport: Arc<dyn Transport>,
    /// Signs links.
    pub tokens: Arc<Tokens>,
    /// What links begin with.
    pub public_url: String,
    /// What Message-IDs end with.
    pub mail_domain: String,
    /// Before the second attempt; doubles after that.
    pub first_pause: SignedDuration,
}

/// Makes and delivers editions.
pub struct Editions {
    parts: Parts,
    letters: Letters,
}

/// No attempt at handing a mail over takes longer; the lease is longer still.
const SEND_TIMEOUT: Duration = Duration::from_secs(45);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Editions {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            letters: Letters::new(),
        }
    }

    /// Mails a confirmation.
    pub async fn ask_to_confirm(&self, subscriber: &Subscriber, now: Timestamp) -> Result<(), EditionError> {
        let token = self.parts.tokens.issue(Scope::Confirm, &subscriber.id, now);
        let url = format!("{}/confirm?token={token}", self.parts.public_url);
        let serial = format!("confirm.{}", now.as_millisecond());
        let mail = self
            .letters
            .confirmation(&subscriber.email, &url, self.message_id(&subscriber.id, &serial))?;
        Ok(self.hand_over(&mail, spans::sending("confirmation")).await?)
    }

    /// The edition a subscriber would get now. Records nothing but the vectors of the interests.
    pub async fn compose(&self, subscriber: &Subscriber, now: Timestamp) -> Result<Edition, EditionError> {
        let slot = slots(subscriber, now).0;
        let record = self.parts.subscribers.record(&subscriber.id, slot).await?;
        let papers = if record.picks.is_empty() || record.stage == Stage::Sent {
            self.choose(subscriber).await?
        } else {
            self.find(&record.picks)
        };
        let mail = self.write(subscriber, slot, &papers, now)?;
        Ok(Edition { slot, papers, mail })
    }

    /// Delivers as [`Self::deliver`] does, to its end even when nobody waits for it any more.
    pub async fn deliver_to_the_end(
        self: &Arc<Self>,
        subscriber: Subscriber,
        now: Timestamp,
    ) -> Result<Delivered, EditionError> {
        let this = Arc::clone(self);
        let delivery = async move { this.deliver(&subscriber, now).await };
        let delivery = tokio::spawn(delivery.instrument(Span::current()));
        delivery.await.map_err(|_| EditionError::CutOff)?
    }

    /// Delivers the edition of the current slot, once.
    pub async fn deliver(&self, subscriber: &Subscriber, now: Timestamp) -> Result<Delivered, EditionError> {
        let (slot, next) = slots(subscriber, now);
        let owner = uuid::Uuid::new_v4().simple().to_string();
        let attempt = Attempt {
            owner: &owner,
            id: &subscriber.id,
            slot,
        };
        let mut record = self.parts.subscribers.record(attempt.id, slot).await?;
        if record.stage.is_final() {
            return Ok(not_mine(slot, record));
        }
        record.message_id = self.message_id(attempt.id, &slot.as_millisecond().to_string());
        record.at = now;
        if record.picks.is_empty() {
            record.picks = match self.choose(subscriber).await {
                Ok(papers) => picks(&papers),
                Err(EditionError::Embedding(problem)) => {
                    let detail = format!("interests cannot be embedded: {problem}");
                    return self.put_off(attempt, record, next, detail, Certainty::Untaken).await;
                }
                Err(error) => return Err(error),
            };
        }
        if record.picks.is_empty() {
            let detail = "no paper in the window that this subscriber has not been sent";
            return self.end(attempt, record, Stage::Empty, detail).await;
        }
        let claim = self
            .parts
            .subscribers
            .intend(attempt, &record.picks, &record.message_id, now);
        record.picks = match claim.await? {
            Claim::Go(picks) => picks,
            Claim::Again(picks) => {
                RESENT.inc();
                warn!(subscriber = %attempt.id, %slot, "an earlier attempt ended without a word; sending the same mail again");
                picks
            }
            Claim::Busy | Claim::Done => return self.of_somebody_else(attempt).await,
        };
        self.send(subscriber, attempt, record, next).await
    }

    async fn send(
        &self,
        subscriber: &Subscriber,
        attempt: Attempt<'_>,
        mut record: Record,
        next: Timestamp,
    ) -> Result<Delivered, EditionError> {
        let papers = self.find(&record.picks);
        record.picks = picks(&papers);
        if papers.is_empty() {
            let detail = "the papers chosen for it were withdrawn";
            return self.end(attempt, record, Stage::Empty, detail).await;
        }
        let mail = self.write(subscriber, attempt.slot, &papers, record.at)?;
        match self.parts.subscribers.begin(attempt, Timestamp::now()).await? {
            Begin::Go => {}
            Begin::Lost => return self.of_somebody_else(attempt).await,
            Begin::Ended => {
                let detail = "the subscription is not active";
                return self.end(attempt, record, Stage::Empty, detail).await;
            }
        }
        let outcome = self.hand_over(&mail, self.sending(&papers)).await;
        record.at = Timestamp::now();
        match outcome {
            Ok(()) => self.end(attempt, record, Stage::Sent, "").await,
            Err(SendError::NoSuchAddress(problem)) => {
                self.parts.subscribers.suppress(attempt.id, record.at).await?;
                self.end(attempt, record, Stage::Failed, &problem).await
            }
            Err(SendError::Refused(problem)) => self.end(attempt, record, Stage::Failed, &problem).await,
            Err(SendError::Transient(problem)) => {
                self.put_off(attempt, record, next, problem, Certainty::Untaken).await
            }
            Err(SendError::Lost(problem)) => self.put_off(attempt, record, next, problem, Certainty::Unknown).await,
        }
    }

    async fn hand_over(&self, mail: &Mail, span: Span) -> Result<(), SendError> {
        let sending = self.parts.transport.send(mail).instrument(span.clone());
        let outcome = tokio::time::timeout(SEND_TIMEOUT, sending).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let problem = format!("no answer within {} s", SEND_TIMEOUT.as_secs());
            Err(SendError::Lost(problem))
        });
        spans::ended(&span, &outcome);
        outcome
    }

    /// The span of sending a digest, which points at the traces of its papers.
    fn sending(&self, papers: &[EditionPaper]) -> Span {
        let span = spans::sending("digest");
        let window = self.parts.window.read().unwrap_or_else(PoisonError::into_inner);
        for trace in papers.iter().filter_map(|one| window.trace(&one.paper.id)) {
            telemetry::link(&span, trace);
        }
        span
    }

    async fn end(
        &self,
        attempt: Attempt<'_>,
        mut record: Record,
        stage: Stage,
        detail: &str,
    ) -> Result<Delivered, EditionError> {
        record.stage = stage;
        detail.clone_into(&mut record.detail);
        self.settle(attempt, record, None, Certainty::Untaken).await
    }

    /// Tries again after a pause that doubles, and at the next slot at the latest.
    async fn put_off(
        &self,
        attempt: Attempt<'_>,
        mut record: Record,
        next: Timestamp,
        detail: String,
        certainty: Certainty,
    ) -> Result<Delivered, EditionError> {
        record.stage = Stage::Deferred;
        record.detail = detail;
        let due = record
            .at
            .saturating_add(pause(self.parts.first_pause, record.attempts))
            .unwrap_or(next)
            .min(next);
        self.settle(attempt, record, Some(due), certainty).await
    }

    async fn settle(
        &self,
        attempt: Attempt<'_>,
        record: Record,
        due: Option<Timestamp>,
        certainty: Certainty,
    ) -> Result<Delivered, EditionError> {
        if !self.parts.subscribers.settle(attempt, &record, due, certainty).await? {
            return self.of_somebody_else(attempt).await;
        }
        let (slot, state, detail) = (attempt.slot, record.stage.name(), record.detail.as_str());
        EDITIONS.with_label_values(&[state]).inc();
        if record.stage == Stage::Failed {
            error!(subscriber = %attempt.id, %slot, detail, "edition failed");
        } else {
            info!(subscriber = %attempt.id, %slot, state, detail, papers = record.picks.len(), "edition settled");
        }
        Ok(Delivered {
            slot,
            record,
            before: false,
        })
    }

    async fn of_somebody_else(&self, attempt: Attempt<'_>) -> Result<Delivered, EditionError> {
        let record = self.parts.subscribers.record(attempt.id, attempt.slot).await?;
        Ok(not_mine(attempt.slot, record))
    }

    /// The papers an earlier step fixed; those withdrawn since are left out.
    fn find(&self, picks: &[Pick]) -> Vec<EditionPaper> {
        let window = self.parts.window.read().unwrap_or_else(PoisonError::into_inner);
        let found = picks.iter().filter_map(|pick| {
            let id = PaperId::parse(&pick.id).ok()?;
            Some(EditionPaper {
                paper: window.get(&id)?.clone(),
                score: pick.score,
                reason: pick.reason.clone(),
            })
        });
        found.collect()
    }

    async fn choose(&self, subscriber: &Subscriber) -> Result<Vec<EditionPaper>, EditionError> {
        let window = || self.parts.window.read().unwrap_or_else(PoisonError::into_inner);
        let Some(encoder) = window().encoder().cloned() else {
            return Ok(Vec::new());
        };
        let seen = self.parts.subscribers.sent_papers(&subscriber.id).await?;
        let (encoder, vectors) = self.interests(subscriber, encoder).await?;
        let chosen = window().choose(&encoder, &vectors, &seen, subscriber.preferences.paper_count);
        Ok(chosen.into_iter().map(|chosen| explained(subscriber, chosen)).collect())
    }

    /// The vectors of the interests, made anew when the window's papers come from another encoder than the kept ones.
    async fn interests(
        &self,
        subscriber: &Subscriber,
        encoder: EncoderId,
    ) -> Result<(EncoderId, Vec<DenseVector>), EditionError> {
        let (encoder, vectors) = match self.parts.interests.of(subscriber, &encoder).await {
            Ok(vectors) => vectors,
            Err(InterestsError::Subscribers(error)) => return Err(error.into()),
            Err(InterestsError::Embedding(problem)) => return Err(EditionError::Embedding(problem)),
        };
        let full = vectors.iter().map(|vector| DenseVector::new(vector.dequantise()));
        let full: Result<Vec<DenseVector>, _> = full.collect();
        Ok((encoder, full.map_err(|error| odd(subscriber, &error))?))
    }

    fn write(
        &self,
        subscriber: &Subscriber,
        slot: Timestamp,
        papers: &[EditionPaper],
        now: Timestamp,
    ) -> Result<Mail, EditionError> {
        let schedule = &subscriber.preferences.schedule;
        let zone = jiff::tz::TimeZone::get(schedule.zone()).map_err(|error| odd(subscriber, &error))?;
        let date = slot.to_zoned_datetime(zone).strftime("%A, %-d %B %Y").to_string();
        let token = self.parts.tokens.issue(Scope::Manage, &subscriber.id, now);
        let links = Links {
            preferences: format!("{}/preferences?token={token}", self.parts.public_url),
            unsubscribe: format!("{}/unsubscribe?token={token}", self.parts.public_url),
        };
        let message_id = self.message_id(&subscriber.id, &slot.as_millisecond().to_string());
        Ok(self
            .letters
            .digest(&subscriber.email, &date, papers, &links, message_id)?)
    }

    fn message_id(&self, id: &str, serial: &str) -> String {
        format!("<{id}.{serial}@{}>", self.parts.mail_domain)
    }
}

/// The slot an edition sent now belongs to, and the one after it.
fn slots(subscriber: &Subscriber, now: Timestamp) -> (Timestamp, Timestamp) {
    let schedule = &subscriber.preferences.schedule;
    (schedule.current_slot(now), schedule.next_slot(now))
}

fn odd(subscriber: &Subscriber, problem: &dyn std::fmt::Display) -> EditionError {
    EditionError::Subscriber {
        id: subscriber.id.clone(),
        problem: problem.to_string(),
    }
}

fn pause(first: SignedDuration, attempts: u32) -> SignedDuration {
    first.saturating_mul(2_i32.saturating_pow(attempts)).min(LONGEST_PAUSE)
}

fn picks(papers: &[EditionPaper]) -> Vec<Pick> {
    let pick = |one: &EditionPaper| Pick {
        id: one.paper.id.to_string(),
        score: one.score,
        reason: one.reason.clone(),
    };
    papers.iter().map(pick).collect()
}

fn not_mine(slot: Timestamp, record: Record) -> Delivered {
    let before = record.stage == Stage::Sent;
    let outcome = if record.stage.is_final() {
        "already_delivered"
    } else {
        "busy"
    };
    EDITIONS.with_label_values(&[outcome]).inc();
    Delivered { slot, record, before }
}

fn explained(subscriber: &Subscriber, chosen: Chosen) -> EditionPaper {
    let interest = chosen
        .interest
        .and_then(|index| subscriber.preferences.interests.get(index));
    // An interest without a word the encoder knows is near nothing; the papers are then the newest ones.
    let reason = match interest {
        Some(interest) if chosen.score > 0.0 => {
            format!("because you follow “{}” (match {:.2})", interest.name(), chosen.score)
        }
        _ => "new today".to_owned(),
    };
    EditionPaper {
        paper: chosen.paper,
        score: chosen.score,
        reason,
    }
}

#[cfg(test)]
mod tests;
