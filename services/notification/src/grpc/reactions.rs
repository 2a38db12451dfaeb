//! What readers say to papers of their digests.

use domain::preferences::MOST_EXAMPLES;
use domain::{DenseVector, PaperId, Preferences};
use tonic::Status;

use super::{Notification, unavailable};
use crate::subscribers::Subscriber;

/// An interest matched a paper from this cosine on; the best one did in any case.
const MATCHED: f32 = 0.3;

impl Notification {
    /// Turns the interests that matched a paper away from it. Of a reader without interests the paper itself is kept as
    /// unwanted. The oldest example makes room where there are too many. Answers the reader's pseudonym.
    pub(super) async fn not_interested(&self, of: &Subscriber, paper: &PaperId) -> Result<Option<String>, Status> {
        let matched = self.matched(of, paper).await?;
        let interests = of.preferences.interests.clone();
        let turn = |known: &mut Subscriber, _| {
            if known.preferences.interests.is_empty() {
                add(&mut known.unwanted, paper);
            } else if known.preferences.interests == interests {
                turn_away(&mut known.preferences, &matched, paper);
            } else {
                // Changed meanwhile: which of the new ones matched is not known.
                let all: Vec<usize> = (0..known.preferences.interests.len()).collect();
                turn_away(&mut known.preferences, &all, paper);
            }
        };
        let pseudonym = self.subscriptions.under_pseudonym(&of.id, turn).await;
        let pseudonym = pseudonym.map_err(unavailable)?;
        if let Some(changed) = self.subscriptions.get(&of.id).await.map_err(unavailable)? {
            self.interests.prepare(&changed).await;
        }
        Ok(pseudonym)
    }

    /// The places of the interests that matched a paper: all, where that cannot be known.
    async fn matched(&self, of: &Subscriber, paper: &PaperId) -> Result<Vec<usize>, Status> {
        let all: Vec<usize> = (0..of.preferences.interests.len()).collect();
        let Some((encoder, kept)) = self.interests.stored(of).await.map_err(unavailable)? else {
            return Ok(all);
        };
        let vector: Option<DenseVector> = {
            let window = self.interests.window.read();
            window.vector(paper, &encoder).cloned()
        };
        let Some(vector) = vector else {
            return Ok(all);
        };
        let cosine = |values: Vec<f32>| values.iter().zip(vector.as_slice()).map(|(a, b)| a * b).sum::<f32>();
        let scores: Vec<f32> = kept.iter().map(|interest| cosine(interest.dequantise())).collect();
        let best = scores.iter().copied().fold(f32::MIN, f32::max);
        let matched = |score: f32| score >= MATCHED || score >= best;
        Ok(all
            .into_iter()
            .filter(|place| scores.get(*place).is_some_and(|score| matched(*score)))
            .collect())
    }
}

fn turn_away(preferences: &mut Preferences, places: &[usize], paper: &PaperId) {
    for place in places {
        if let Some(interest) = preferences.interests.get_mut(*place) {
            // Else an interest in papers like this one alone would have nothing left.
            if interest.like.len() > 1 || !interest.words.is_empty() {
                interest.like.retain(|id| id != paper);
            }
            add(&mut interest.unlike, paper);
        }
    }
}

fn add(papers: &mut Vec<PaperId>, paper: &PaperId) {
    if papers.contains(paper) {
        return;
    }
    if papers.len() >= MOST_EXAMPLES {
        papers.remove(0);
    }
    papers.push(paper.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::tests::front_door;
    use crate::testing::TestService;

    const ADA: &str = "ada@example.org";

    async fn dismiss(service: &TestService, paper: &PaperId) {
        let (door, reader) = (front_door(service), service.again(ADA).await);
        door.not_interested(&reader, paper).await.expect("taken");
    }

    #[tokio::test]
    async fn only_the_interests_that_matched_turn_away() {
        let service = TestService::build();
        service.add_paper("x:a", "on cats", "test@1");
        let reader = service.reader(ADA, &["cats", "dogs"]).await;
        service.interests.prepare(&reader).await;
        let paper = PaperId::parse("x:a").expect("an id");
        for _ in 0..2 {
            dismiss(&service, &paper).await;
        }
        let unlike = |reader: &Subscriber, place: usize| reader.preferences.interests[place].unlike.clone();
        let after = service.again(ADA).await;
        assert_eq!((unlike(&after, 0), unlike(&after, 1)), (vec![paper.clone()], vec![]));

        let elsewhere = PaperId::parse("x:elsewhere").expect("an id");
        dismiss(&service, &elsewhere).await;
        let after = service.again(ADA).await;
        assert_eq!(unlike(&after, 0), [paper, elsewhere.clone()]);
        assert_eq!(unlike(&after, 1), [elsewhere], "which one matched cannot be known");
    }

    #[tokio::test]
    async fn without_interests_the_paper_itself_is_unwanted() {
        let service = TestService::build();
        service.reader(ADA, &[]).await;
        for number in 0..=MOST_EXAMPLES {
            let paper = PaperId::parse(&format!("x:{number}")).expect("an id");
            dismiss(&service, &paper).await;
        }
        let unwanted = service.again(ADA).await.unwanted;
        assert_eq!(unwanted.len(), MOST_EXAMPLES);
        assert_eq!(unwanted[0].to_string(), "x:1");
    }
}
