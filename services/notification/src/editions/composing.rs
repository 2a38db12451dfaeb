//! A chunk of editions, composed: everything is read in two round trips, interests without vectors are embedded together,
//! and the papers are chosen on a thread of their own.
//!
//! It records nothing but vectors, and sends nothing.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use domain::preferences::Channels;
use domain::{DenseVector, EncoderId, Int8Vector, PaperId};
use jiff::Timestamp;

use super::choosing::{self, Emptiness, Reader};
use super::vectors::Vectors;
use super::{EditionError, EditionPaper, Editions};
use crate::subscribers::deliveries::{Pick, Record, Stage};
use crate::subscribers::reading::{Past, Standing};
use crate::subscribers::{Channel, State, Subscriber};
use crate::window::Snapshot;

/// Why editions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Their slots came.
    Due,
    /// An operator asked.
    Asked,
    /// To be looked at: what was sent or refused before does not matter.
    Preview,
}

/// An edition that is composed, or why there is none.
#[derive(Debug)]
pub struct Draft {
    /// Whom it is for.
    pub subscriber: Subscriber,
    /// The moment it is due.
    pub slot: Timestamp,
    /// The moment after that.
    pub next: Timestamp,
    /// What is known of it.
    pub record: Record,
    /// What is to become of it.
    pub verdict: Verdict,
}

/// What is to become of an edition.
#[derive(Debug)]
pub enum Verdict {
    /// To be sent with these papers.
    Send(Vec<EditionPaper>),
    /// There is nothing to send.
    Empty(Emptiness),
    /// Its turn came too late.
    Expired(String),
    /// Not now.
    PutOff(String),
    /// It ended before.
    Known,
}

/// An edition while it is composed.
pub(super) struct Open {
    pub standing: Standing,
    pub slot: Timestamp,
    pub next: Timestamp,
    pub past: Past,
}

/// Editions to choose for together, in their order.
struct Chunk {
    open: Vec<Open>,
    parts: Vec<Part>,
    /// Those without vectors, and why.
    put_off: HashMap<usize, String>,
}

/// Those of a chunk whose vectors are of one encoder: all of them, but for the days in which a new encoder comes in.
struct Part {
    encoder: EncoderId,
    window: Option<Arc<Snapshot>>,
    /// By its encoder.
    probes: Arc<Vec<DenseVector>>,
    /// Places in the chunk, each with vectors.
    readers: Vec<(usize, Vec<Int8Vector>)>,
}

/// Each id with its draft; none where there is no such subscriber.
pub type Drafts = Vec<(String, Result<Option<Draft>, EditionError>)>;

impl Editions {
    /// Composes the editions of the current slots for a way.
    pub async fn drafts(
        &self,
        channel: Channel,
        ids: Vec<String>,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Drafts, EditionError> {
        let mut drafts: Drafts = Vec::with_capacity(ids.len());
        let mut open = Vec::new();
        let read = self.open(channel, &ids, now).await?;
        let mut to_choose = Vec::new();
        for (id, one) in ids.into_iter().zip(read) {
            let draft = match one {
                Ok(Some(one)) => {
                    if let Some(verdict) = self.verdict(channel, &one, occasion, now) {
                        Ok(Some(one.with(verdict)))
                    } else {
                        to_choose.push(drafts.len());
                        open.push(one);
                        Ok(None)
                    }
                }
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            drafts.push((id, draft));
        }
        for (place, draft) in to_choose.into_iter().zip(self.choose(open).await?) {
            drafts[place].1 = Ok(Some(draft));
        }
        Ok(drafts)
    }

    async fn open(
        &self,
        channel: Channel,
        ids: &[String],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<Open>, EditionError>>, EditionError> {
        let standing = self.parts.subscribers.standing(ids).await?;
        let there = standing.iter().filter_map(|one| one.as_ref().ok()?.as_ref());
        let slots: Vec<(&str, Timestamp, Channels)> = there
            .map(|one| &one.subscriber)
            .map(|one| (one.id.as_str(), slots(one, now).0, one.preferences.channels))
            .collect();
        let mut pasts = self.parts.subscribers.pasts(channel, &slots).await?.into_iter();
        let mut opened = Vec::with_capacity(ids.len());
        for one in standing {
            opened.push(match one {
                Ok(Some(standing)) => {
                    let past = pasts.next();
                    past.map(|past| Ok(Open::new(standing, past?, now))).transpose()
                }
                Ok(None) => Ok(None),
                Err(error) => Err(error.into()),
            });
        }
        Ok(opened)
    }

    /// What is to become of an edition for which nothing has to be chosen.
    fn verdict(&self, channel: Channel, one: &Open, occasion: Occasion, now: Timestamp) -> Option<Verdict> {
        let record = &one.past.record;
        if occasion != Occasion::Preview {
            if record.stage.is_final() {
                return Some(Verdict::Known);
            }
            if one.standing.subscriber.state != State::Active {
                return Some(Verdict::Empty(Emptiness::NotActive));
            }
            if !one.standing.subscriber.takes(channel) {
                return Some(Verdict::Empty(Emptiness::OtherChannel));
            }
        }
        if occasion == Occasion::Due
            && let Some(detail) = self.too_late(one, now)
        {
            return Some(Verdict::Expired(detail));
        }
        if record.picks.is_empty() || record.stage == Stage::Sent {
            return None;
        }
        let papers = self.find(&record.picks);
        Some(if papers.is_empty() {
            Verdict::Empty(Emptiness::Withdrawn)
        } else {
            Verdict::Send(papers)
        })
    }

    /// An operator may ask for an edition long after its slot; the first attempt counts then.
    fn too_late(&self, one: &Open, now: Timestamp) -> Option<String> {
        let record = &one.past.record;
        let age = now.duration_since(record.begun.map_or(one.slot, |begun| begun.max(one.slot)));
        if age <= self.parts.expire {
            return None;
        }
        let detail = format!(
            "its turn came {} hours after its slot; notification.expire_hours is {}",
            now.duration_since(one.slot).as_hours(),
            self.parts.expire.as_hours()
        );
        Some(match record.detail.as_str() {
            "" => detail,
            last => format!("{detail}; last said: {last}"),
        })
    }

    /// Chooses the papers for all of them.
    pub(super) async fn choose(&self, mut open: Vec<Open>) -> Result<Vec<Draft>, EditionError> {
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let mut standing: Vec<&mut Standing> = open.iter_mut().map(|one| &mut one.standing).collect();
        let Some(vectors) = self.vectors(&mut standing).await else {
            let empty = |one: Open| one.with(Verdict::Empty(Emptiness::NoNewPaper));
            return Ok(open.into_iter().map(empty).collect());
        };
        let mut chunk = Chunk::new(open, vectors);
        for part in &mut chunk.parts {
            if part.readers.iter().any(|(_, vectors)| !vectors.is_empty()) {
                part.probes = self.probes.of(&part.encoder).await;
            }
            let mut window = self.parts.window.write().unwrap_or_else(PoisonError::into_inner);
            part.window = Some(window.snapshot(&part.encoder)?);
        }
        let choosing = tokio::task::spawn_blocking(move || chunk.choose());
        choosing.await.map_err(|_| EditionError::CutOff)?
    }

    /// The papers an earlier step fixed; those withdrawn since are left out.
    pub fn find(&self, picks: &[Pick]) -> Vec<EditionPaper> {
        let window = self.parts.window.read().unwrap_or_else(PoisonError::into_inner);
        let found = picks.iter().filter_map(|pick| {
            let id = PaperId::parse(&pick.id).ok()?;
            Some(EditionPaper {
                paper: Arc::clone(window.get(&id)?),
                score: pick.score,
                reason: pick.reason.clone(),
                trending: pick.trending,
                interest: pick.interest,
            })
        });
        found.collect()
    }
}

impl Open {
    fn new(standing: Standing, past: Past, now: Timestamp) -> Self {
        let (slot, next) = slots(&standing.subscriber, now);
        Self {
            standing,
            slot,
            next,
            past,
        }
    }

    /// Of somebody who was never sent anything.
    pub(super) fn first(subscriber: Subscriber, now: Timestamp) -> Self {
        let standing = Standing {
            subscriber,
            vectors: None,
        };
        Self::new(standing, Past::default(), now)
    }

    fn reader<'a>(&'a self, vectors: &'a [Int8Vector]) -> Reader<'a> {
        Reader {
            preferences: &self.standing.subscriber.preferences,
            vectors,
            seen: &self.past.seen,
            unwanted: &self.standing.subscriber.unwanted,
        }
    }

    fn with(self, verdict: Verdict) -> Draft {
        Draft {
            subscriber: self.standing.subscriber,
            slot: self.slot,
            next: self.next,
            record: self.past.record,
            verdict,
        }
    }
}

impl Chunk {
    fn new(open: Vec<Open>, vectors: Vec<Vectors>) -> Self {
        let mut chunk = Self {
            open,
            parts: Vec::new(),
            put_off: HashMap::new(),
        };
        for (place, vectors) in vectors.into_iter().enumerate() {
            match vectors {
                Ok((encoder, vectors)) => chunk.add(encoder, place, vectors),
                Err(problem) => {
                    chunk.put_off.insert(place, problem);
                }
            }
        }
        chunk
    }

    fn add(&mut self, encoder: EncoderId, place: usize, vectors: Vec<Int8Vector>) {
        let reader = (place, vectors);
        match self.parts.iter_mut().find(|part| part.encoder == encoder) {
            Some(part) => part.readers.push(reader),
            None => self.parts.push(Part {
                encoder,
                window: None,
                probes: Arc::default(),
                readers: vec![reader],
            }),
        }
    }

    fn choose(self) -> Result<Vec<Draft>, EditionError> {
        let mut verdicts: HashMap<usize, Verdict> = HashMap::with_capacity(self.open.len());
        for part in &self.parts {
            let Some(window) = &part.window else { continue };
            let floor = window.floor(&part.encoder, &part.probes);
            let readers: Vec<Reader<'_>> = part
                .readers
                .iter()
                .map(|(place, vectors)| self.open[*place].reader(vectors))
                .collect();
            for ((place, _), chosen) in part.readers.iter().zip(choosing::choose(window, floor, &readers)?) {
                verdicts.insert(*place, chosen.map_or_else(Verdict::Empty, Verdict::Send));
            }
        }
        for (place, problem) in self.put_off {
            let detail = format!("interests cannot be embedded: {problem}");
            verdicts.insert(place, Verdict::PutOff(detail));
        }
        let drafts = self.open.into_iter().enumerate().filter_map(|(place, one)| {
            let verdict = verdicts.remove(&place)?;
            Some(one.with(verdict))
        });
        Ok(drafts.collect())
    }
}

/// The slot an edition sent now belongs to, and the one after it.
fn slots(subscriber: &Subscriber, now: Timestamp) -> (Timestamp, Timestamp) {
    let schedule = &subscriber.preferences.schedule;
    (schedule.current_slot(now), schedule.next_slot(now))
}
