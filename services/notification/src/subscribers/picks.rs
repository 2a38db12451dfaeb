//! The papers of an edition as its record holds them: what each is there for, and what its score is made of.
//!
//! It chooses nothing and knows no store.

use serde::{Deserialize, Serialize};

/// A paper of an edition, with what the reader is told about it. The same at every attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// The paper's id.
    pub id: String,
    /// Its score for this subscriber.
    pub score: f32,
    /// Why it is there, in words.
    pub reason: String,
    /// Of its score, what trending adds; the rest is the match with the interest that brought it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub trending: f32,
    /// The place of that interest among the subscriber's, where one brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<u16>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_nothing(value: &f32) -> bool {
    value.to_bits() == 0
}

impl Pick {
    /// One of which the log knows no more than the paper.
    pub(super) fn known_only(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            score: 0.0,
            reason: String::new(),
            trending: 0.0,
            interest: None,
        }
    }

    /// What the score is made of; the parts add up to it.
    pub fn parts(&self) -> impl Iterator<Item = ScorePart> {
        let interest = self.interest.map(|place| ScorePart {
            name: "interest",
            value: self.score - self.trending,
            interest: 1 + u32::from(place),
        });
        let trending = (self.trending > 0.0).then_some(ScorePart {
            name: "trending",
            value: self.trending,
            interest: 0,
        });
        interest.into_iter().chain(trending)
    }
}

/// A part of the score of a paper, as interfaces call it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScorePart {
    /// What gave it: `interest` or `trending`.
    pub name: &'static str,
    /// What it adds.
    pub value: f32,
    /// Which of the subscriber's interests it was, counted from 1; else 0.
    pub interest: u32,
}
