//! The second step: papers for open digests. Interests without vectors are embedded together, and the papers are chosen on
//! a blocking thread for all readers of a batch at once.
//!
//! It records nothing but vectors, and sends nothing.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use common::calibration::Calibration;
use common::tasks;
use domain::{DenseVector, EncoderId, Int8Vector};
use futures::future::join_all;
use proto::embedding::v1::EmbedPriority;
use tracing::{error, warn};

use super::DigestError;
use super::choose::{self, DigestReader, EmptyReason};
use super::plan::{Draft, DraftDecision, OpenDigest};
use crate::interests::{EmbedFailure, InterestEmbedder};
use crate::ports::{InterestVectors, SubscriberProfile, SubscriberStore};
use crate::subscribers::Subscriber;
use crate::window::{SharedWindow, WindowSnapshot};

/// Most texts of one call to the embedding service, which takes no more.
const TEXTS_PER_CALL: usize = 256;

/// Composes digests.
pub struct Composer {
    pub store: Arc<dyn SubscriberStore>,
    pub window: SharedWindow,
    pub interests: Arc<InterestEmbedder>,
    pub calibration: Calibration,
}

/// The vectors of one reader's interests, or why there are none.
type ReaderVectors = Result<InterestVectors, String>;

/// Digests whose papers are chosen together, in their order.
struct DigestBatch {
    open: Vec<OpenDigest>,
    groups: Vec<EncoderGroup>,
    /// Those without vectors, and why.
    deferred: HashMap<usize, String>,
}

/// Those of a batch whose vectors are of one encoder: all of them, but for the days in which a new encoder comes in.
struct EncoderGroup {
    encoder: EncoderId,
    window: Option<Arc<WindowSnapshot>>,
    /// By its encoder.
    calibration: Arc<Vec<DenseVector>>,
    /// Places in the batch, each with vectors.
    readers: Vec<(usize, Vec<Int8Vector>)>,
}

impl Composer {
    /// Chooses the papers for all of them, in their order.
    pub async fn compose(&self, mut open: Vec<OpenDigest>) -> Result<Vec<Draft>, DigestError> {
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let mut profiles: Vec<&mut SubscriberProfile> = open.iter_mut().map(|one| &mut one.profile).collect();
        let Some(vectors) = self.vectors(&mut profiles).await else {
            let empty = |one: OpenDigest| one.decided(DraftDecision::Empty(EmptyReason::NoNewPaper));
            return Ok(open.into_iter().map(empty).collect());
        };
        let mut batch = DigestBatch::new(open, vectors);
        for group in &mut batch.groups {
            if group.readers.iter().any(|(_, vectors)| !vectors.is_empty()) {
                group.calibration = self.calibration_vectors(&group.encoder).await;
            }
            group.window = Some(self.window.write().snapshot(&group.encoder)?);
        }
        tasks::blocking(move || batch.choose()).await
    }

    async fn calibration_vectors(&self, encoder: &EncoderId) -> Arc<Vec<DenseVector>> {
        let embed = |texts: Vec<String>| async move {
            let answer = self.interests.encoder.embed(&texts, EmbedPriority::Bulk).await;
            match answer.map_err(|failure| failure.to_string())? {
                (other, _) if other != *encoder => Err(format!("embedding has {other} now")),
                (_, vectors) => Ok(vectors),
            }
        };
        self.calibration.vectors(encoder, embed).await
    }

    /// Embeds the interests of a digest that is only looked at, unless it has their vectors. Such a digest is not put off
    /// until the encoder has time: whoever looks at it is told when it will.
    pub async fn embed_sample(&self, open: &mut OpenDigest) -> Result<(), DigestError> {
        let reader = &open.profile.subscriber;
        let Some(wanted) = self.window.read().encoder().cloned() else {
            return Ok(());
        };
        if reader.preferences.interests.is_empty() {
            return Ok(());
        }
        match self.interests.embed(&[reader], &wanted).await {
            Ok(mut vectors) => open.profile.vectors = vectors.pop(),
            Err(EmbedFailure::Busy { retry_after }) => return Err(DigestError::Busy { retry_after }),
            Err(EmbedFailure::Failed(problem)) => return Err(DigestError::Embedding(problem)),
        }
        Ok(())
    }

    /// The vectors of the interests of each of these readers, in order; none where the window is empty.
    async fn vectors(&self, of: &mut [&mut SubscriberProfile]) -> Option<Vec<ReaderVectors>> {
        // Whose vectors the window's newest paper has.
        let wanted = self.window.read().encoder().cloned()?;
        let mut vectors: Vec<Option<ReaderVectors>> = of.iter_mut().map(|one| kept(one, &wanted)).collect();
        let missing: Vec<usize> = (0..of.len()).filter(|&index| vectors[index].is_none()).collect();
        for call in calls(&missing, of) {
            let subscribers: Vec<&Subscriber> = call.iter().map(|&index| &of[index].subscriber).collect();
            let made = self.embed(&subscribers, &wanted).await;
            for (&index, made) in call.iter().zip(made) {
                vectors[index] = Some(made);
            }
        }
        Some(vectors.into_iter().flatten().collect())
    }

    /// Embeds the interests of some subscribers together, and of each alone where that fails: one text that cannot be
    /// embedded takes nobody along.
    async fn embed(&self, of: &[&Subscriber], wanted: &EncoderId) -> Vec<ReaderVectors> {
        let made = match self.interests.embed(of, wanted).await {
            Ok(made) => made.into_iter().map(Ok).collect(),
            Err(failure) if of.len() == 1 => vec![Err(failure.to_string())],
            Err(_) => {
                let mut made = Vec::with_capacity(of.len());
                for one in of {
                    let vectors = self.interests.embed(&[*one], wanted).await;
                    let vectors = vectors.map(|mut all| all.remove(0));
                    made.push(vectors.map_err(|failure| failure.to_string()));
                }
                made
            }
        };
        let keeping = of.iter().zip(&made).filter_map(|(one, made)| {
            let vectors = made.as_ref().ok()?;
            Some(self.store.keep_vectors(one, vectors))
        });
        for result in join_all(keeping).await {
            if let Err(error) = result {
                warn!(%error, "vectors of interests are not kept, they are made again next time");
            }
        }
        made
    }
}

fn kept(of: &mut SubscriberProfile, wanted: &EncoderId) -> Option<ReaderVectors> {
    if of.subscriber.preferences.interests.is_empty() {
        return Some(Ok((wanted.clone(), Vec::new())));
    }
    of.vectors.take_if(|(encoder, _)| encoder == wanted).map(Ok)
}

/// Groups of subscribers whose interests fit into one call each.
fn calls(missing: &[usize], of: &[&mut SubscriberProfile]) -> Vec<Vec<usize>> {
    let mut calls: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for &index in missing {
        let count = of[index].subscriber.preferences.interests.len();
        if count > room {
            calls.push(Vec::new());
            room = TEXTS_PER_CALL;
        }
        room = room.saturating_sub(count);
        if let Some(last) = calls.last_mut() {
            last.push(index);
        }
    }
    calls
}

impl DigestBatch {
    fn new(open: Vec<OpenDigest>, vectors: Vec<ReaderVectors>) -> Self {
        let mut batch = Self {
            open,
            groups: Vec::new(),
            deferred: HashMap::new(),
        };
        for (place, vectors) in vectors.into_iter().enumerate() {
            match vectors {
                Ok((encoder, vectors)) => batch.add(encoder, place, vectors),
                Err(problem) => {
                    batch
                        .deferred
                        .insert(place, format!("interests cannot be embedded: {problem}"));
                }
            }
        }
        batch
    }

    fn add(&mut self, encoder: EncoderId, place: usize, vectors: Vec<Int8Vector>) {
        let reader = (place, vectors);
        match self.groups.iter_mut().find(|group| group.encoder == encoder) {
            Some(group) => group.readers.push(reader),
            None => self.groups.push(EncoderGroup {
                encoder,
                window: None,
                calibration: Arc::default(),
                readers: vec![reader],
            }),
        }
    }

    fn choose(self) -> Result<Vec<Draft>, DigestError> {
        let mut decisions: HashMap<usize, DraftDecision> = HashMap::with_capacity(self.open.len());
        for group in &self.groups {
            let Some(window) = &group.window else { continue };
            let floor = window.floor(&group.encoder, &group.calibration);
            let readers: Vec<DigestReader<'_>> = group
                .readers
                .iter()
                .map(|(place, vectors)| self.reader(*place, vectors))
                .collect();
            for ((place, _), decision) in group.readers.iter().zip(decide(window, floor, &readers)?) {
                decisions.insert(*place, decision);
            }
        }
        for (place, detail) in self.deferred {
            decisions.insert(place, DraftDecision::Defer(detail));
        }
        let drafts = self.open.into_iter().enumerate().filter_map(|(place, one)| {
            let decision = decisions.remove(&place)?;
            Some(one.decided(decision))
        });
        Ok(drafts.collect())
    }

    fn reader<'a>(&'a self, place: usize, vectors: &'a [Int8Vector]) -> DigestReader<'a> {
        let OpenDigest { profile, history, .. } = &self.open[place];
        DigestReader {
            preferences: &profile.subscriber.preferences,
            vectors,
            seen: &history.seen,
            unwanted: &profile.subscriber.unwanted,
        }
    }
}

/// Chooses for all readers together. Where that panics each is chosen for alone, so that the one at fault takes nobody
/// along.
fn decide(
    window: &WindowSnapshot,
    floor: f32,
    readers: &[DigestReader<'_>],
) -> Result<Vec<DraftDecision>, DigestError> {
    let choose =
        |readers: &[DigestReader<'_>]| catch_unwind(AssertUnwindSafe(|| choose::choose(window, floor, readers)));
    if let Ok(chosen) = choose(readers) {
        let decision = |chosen: Result<_, _>| chosen.map_or_else(DraftDecision::Empty, DraftDecision::Send);
        return Ok(chosen?.into_iter().map(decision).collect());
    }
    if readers.len() == 1 {
        error!("choosing the papers of one reader panicked; the digest is deferred");
        let detail = "its papers could not be chosen because of a problem here; the log of notification says which";
        return Ok(vec![DraftDecision::Defer(detail.to_owned())]);
    }
    let mut decisions = Vec::with_capacity(readers.len());
    for reader in readers {
        decisions.extend(decide(window, floor, std::slice::from_ref(reader))?);
    }
    Ok(decisions)
}
