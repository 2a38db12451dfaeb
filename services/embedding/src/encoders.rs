//! The encoders of this service: the one that papers are embedded with, and optionally the next one.
//!
//! The next one embeds texts on request, so that an index can be built for it while searches still use the first; papers
//! from the bus are never embedded with it. Each encoder has its own engine. The configuration decides when one replaces
//! the other, never this module.

use domain::EncoderId;

use crate::engine::Engine;

/// The encoders, each with its engine; clones share the engines.
#[derive(Clone)]
pub struct EncoderSet {
    papers: Engine,
    next: Option<Engine>,
}

/// The error when both models have the same encoder id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "embedding.next_model is the encoder {0}, the same as embedding.model; name a different model, or leave \
     embedding.next_model empty"
)]
pub struct DuplicateEncoder(pub EncoderId);

/// The error when a caller asks for an encoder that this service does not have.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownEncoder {
    /// The id that the caller asked for.
    pub requested: String,
    /// The ids of the encoders that this service has.
    pub offered: Vec<String>,
}

impl EncoderSet {
    /// The encoder for papers, and optionally the next one. Fails when both have the same id.
    pub fn new(papers: Engine, next: Option<Engine>) -> Result<Self, DuplicateEncoder> {
        match next {
            Some(next) if next.encoder() == papers.encoder() => Err(DuplicateEncoder(next.encoder().clone())),
            next => Ok(Self { papers, next }),
        }
    }

    /// The engine that papers are embedded with.
    pub fn papers(&self) -> &Engine {
        &self.papers
    }

    /// The engine of an encoder; an empty id means the one that papers are embedded with.
    pub fn find(&self, encoder_id: &str) -> Result<&Engine, UnknownEncoder> {
        if encoder_id.is_empty() {
            return Ok(&self.papers);
        }
        let found = self.all().find(|engine| engine.encoder().as_str() == encoder_id);
        found.ok_or_else(|| UnknownEncoder {
            requested: encoder_id.to_owned(),
            offered: self.ids(),
        })
    }

    /// The ids of all encoders; the one that papers are embedded with comes first.
    pub fn ids(&self) -> Vec<String> {
        self.all().map(|engine| engine.encoder().to_string()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Engine> {
        std::iter::once(&self.papers).chain(&self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::{FakeModel, config, engine, start_engine};

    fn named(name: &str) -> Engine {
        start_engine(Arc::new(FakeModel::named(name)), config(1))
    }

    #[tokio::test]
    async fn encoders_are_found_by_id_and_no_id_means_the_first() {
        let encoders = EncoderSet::new(engine(), Some(named("coming"))).expect("two encoders");
        assert_eq!(encoders.ids(), ["fake@0123456789ab", "coming@0123456789ab"]);
        let found = |id: &str| encoders.find(id).map(|engine| engine.encoder().to_string());
        assert_eq!(found("").as_deref(), Ok("fake@0123456789ab"));
        assert_eq!(found("coming@0123456789ab").as_deref(), Ok("coming@0123456789ab"));
        let unknown = found("coming").expect_err("no encoder");
        assert_eq!((unknown.requested.as_str(), unknown.offered.len()), ("coming", 2));
    }

    #[tokio::test]
    async fn the_same_encoder_twice_is_refused_with_both_settings() {
        let refusal = EncoderSet::new(engine(), Some(engine()))
            .err()
            .expect("a refusal")
            .to_string();
        assert!(
            refusal.contains("embedding.next_model is the encoder fake@0123456789ab"),
            "{refusal}"
        );
        assert!(refusal.contains("the same as embedding.model"), "{refusal}");
    }
}
