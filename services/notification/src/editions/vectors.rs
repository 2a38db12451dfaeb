//! Vectors of a chunk's interests: the kept ones where they are of the window's encoder, the others made in as few calls
//! as possible and kept.

use std::sync::PoisonError;

use domain::{EncoderId, Int8Vector};
use futures::future::join_all;
use tracing::warn;

use super::Editions;
use crate::subscribers::Subscriber;
use crate::subscribers::reading::Standing;

/// Most texts of one call to the embedding service, which takes no more.
const TEXTS_PER_CALL: usize = 256;

/// Whose vectors, and one per interest; or why there are none.
pub type Vectors = Result<(EncoderId, Vec<Int8Vector>), String>;

impl Editions {
    /// The vectors of the interests of each of these subscribers, in order; none where the window is empty.
    pub(super) async fn vectors(&self, of: &mut [&mut Standing]) -> Option<Vec<Vectors>> {
        let wanted = self.encoder()?;
        let mut vectors: Vec<Option<Vectors>> = of.iter_mut().map(|one| known(one, &wanted)).collect();
        let missing: Vec<usize> = (0..of.len()).filter(|&index| vectors[index].is_none()).collect();
        for call in calls(&missing, of) {
            let subscribers: Vec<&Subscriber> = call.iter().map(|&index| &of[index].subscriber).collect();
            let made = self.make(&subscribers, &wanted).await;
            for (&index, made) in call.iter().zip(made) {
                vectors[index] = Some(made);
            }
        }
        Some(vectors.into_iter().flatten().collect())
    }

    /// Whose vectors the window's newest paper has.
    fn encoder(&self) -> Option<EncoderId> {
        let window = self.parts.window.read().unwrap_or_else(PoisonError::into_inner);
        window.encoder().cloned()
    }

    /// Embeds the interests of some subscribers together, and of each alone where that fails: one text that cannot be
    /// embedded takes nobody along.
    async fn make(&self, of: &[&Subscriber], wanted: &EncoderId) -> Vec<Vectors> {
        let interests = &self.parts.interests;
        let made = match interests.make(of, wanted).await {
            Ok(made) => made.into_iter().map(Ok).collect(),
            Err(problem) if of.len() == 1 => vec![Err(problem)],
            Err(_) => {
                let mut made = Vec::with_capacity(of.len());
                for one in of {
                    made.push(interests.make(&[*one], wanted).await.map(|mut all| all.remove(0)));
                }
                made
            }
        };
        let kept = of.iter().zip(&made).filter_map(|(one, made)| {
            let (encoder, vectors) = made.as_ref().ok()?;
            Some(self.parts.subscribers.keep_vectors(one, encoder, vectors))
        });
        for kept in join_all(kept).await {
            if let Err(error) = kept {
                warn!(%error, "vectors of interests are not kept, they are made again next time");
            }
        }
        made
    }
}

fn known(of: &mut Standing, wanted: &EncoderId) -> Option<Vectors> {
    if of.subscriber.preferences.interests.is_empty() {
        return Some(Ok((wanted.clone(), Vec::new())));
    }
    of.vectors.take_if(|(encoder, _)| encoder == wanted).map(Ok)
}

/// Groups of subscribers whose interests fit into one call each.
fn calls(missing: &[usize], of: &[&mut Standing]) -> Vec<Vec<usize>> {
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
