//! The encoders that are offered: the one that papers are embedded with, and perhaps the next one.
//!
//! The next one embeds whatever it is asked for, so that an index can be built for it while searches go on with the
//! first; no paper on its way is embedded with it. Each has an engine of its own. It never decides when one takes the
//! place of the other: the configuration does.

use domain::EncoderId;

use crate::engine::Engine;

/// The encoders, each with its engine; clones share them.
#[derive(Clone)]
pub struct Encoders {
    papers: Engine,
    next: Option<Engine>,
}

/// Two models that cannot be told apart.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "embedding.next_model is the encoder {0}, which embedding.model is already: name the model that is to come, or leave \
     embedding.next_model empty"
)]
pub struct SameEncoder(pub EncoderId);

/// An encoder that is not offered.
#[derive(Debug, PartialEq, Eq)]
pub struct NotOffered {
    /// The one asked for.
    pub asked: String,
    /// Those that are.
    pub offered: Vec<String>,
}

impl Encoders {
    /// One encoder for everything, and perhaps the next one.
    pub fn new(papers: Engine, next: Option<Engine>) -> Result<Self, SameEncoder> {
        match next {
            Some(next) if next.encoder() == papers.encoder() => Err(SameEncoder(next.encoder().clone())),
            next => Ok(Self { papers, next }),
        }
    }

    /// The engine that papers are embedded with.
    pub fn papers(&self) -> &Engine {
        &self.papers
    }

    /// The engine of an encoder; empty means the one that papers are embedded with.
    pub fn find(&self, encoder_id: &str) -> Result<&Engine, NotOffered> {
        if encoder_id.is_empty() {
            return Ok(&self.papers);
        }
        let found = self.all().find(|engine| engine.encoder().as_str() == encoder_id);
        found.ok_or_else(|| NotOffered {
            asked: encoder_id.to_owned(),
            offered: self.ids(),
        })
    }

    /// The ids of all, the one that papers are embedded with first.
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
    use crate::engine::fake::Fake;
    use crate::engine::tests::{config, engine};
    use crate::metrics::Families;

    fn named(name: &str) -> Engine {
        Engine::start(Arc::new(Fake::named(name)), config(1), &Families::unregistered()).expect("an engine")
    }

    #[tokio::test]
    async fn encoders_are_found_by_id_and_nothing_means_the_one_of_the_papers() {
        let encoders = Encoders::new(engine(), Some(named("coming"))).expect("two encoders");
        assert_eq!(encoders.ids(), ["fake@0123456789ab", "coming@0123456789ab"]);
        let found = |id: &str| encoders.find(id).map(|engine| engine.encoder().to_string());
        assert_eq!(found("").as_deref(), Ok("fake@0123456789ab"));
        assert_eq!(found("coming@0123456789ab").as_deref(), Ok("coming@0123456789ab"));
        let not_offered = found("coming").expect_err("no encoder");
        assert_eq!((not_offered.asked.as_str(), not_offered.offered.len()), ("coming", 2));
    }

    #[tokio::test]
    async fn the_same_encoder_twice_is_refused_with_both_settings() {
        let refusal = Encoders::new(engine(), Some(engine()))
            .err()
            .expect("a refusal")
            .to_string();
        assert!(
            refusal.contains("embedding.next_model is the encoder fake@0123456789ab"),
            "{refusal}"
        );
        assert!(refusal.contains("which embedding.model is already"), "{refusal}");
    }
}
