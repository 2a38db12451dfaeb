//! Settings of the adapter: how collections are laid out in the server, and how they are searched.
//!
//! What concerns the layout applies to new collections; an existing one keeps its own until it is rebuilt.

use std::time::Duration;

/// Settings of the adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct QdrantSettings {
    /// Longest wait for a read; writes take up to [`QdrantSettings::WRITES`] times as long.
    pub timeout: Duration,
    /// Rounding of dense vectors, in the collections that are made.
    pub quantization: Option<Quantization>,
    /// Candidates per wanted hit that are scored again with full vectors after the search over rounded ones.
    pub oversampling: f64,
    /// Links of the vector index, in the collections that are made.
    pub hnsw: Hnsw,
    /// Candidates that a search in the vector index keeps; 0 leaves it to the server.
    pub hnsw_ef: u64,
    /// Where full vectors and the indexes of terms and authors are, in the collections that are made.
    pub vectors: Residence,
    /// Where papers are, in the collections that are made.
    pub payload: Residence,
}

/// Rounding of dense vectors to eight bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// Share of the values that rounding keeps; outliers beyond are clipped.
    pub quantile: f64,
    /// Where rounded vectors are.
    pub residence: Residence,
}

/// The graph of the vector index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hnsw {
    /// Links of a vector to others.
    pub m: u64,
    /// Candidates considered for each vector while the index is built.
    pub ef_construct: u64,
}

/// Where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residence {
    /// In memory.
    Memory,
    /// On disk; what is used often is in memory too.
    Disk,
}

impl Residence {
    /// As the server's switches have it.
    pub(super) fn on_disk(self) -> bool {
        self == Self::Disk
    }

    fn read(settings: &mut common::config::Settings, key: &str) -> Self {
        settings.get(key, "must be \"memory\" or \"disk\"", |value| match value.as_str()? {
            "memory" => Some(Self::Memory),
            "disk" => Some(Self::Disk),
            _ => None,
        })
    }
}

impl QdrantSettings {
    /// Longest wait for a write, in longest waits for a read.
    pub const WRITES: u32 = 3;

    /// Reads the keys `indexing.qdrant_…`, without address and API key.
    pub fn read(settings: &mut common::config::Settings) -> Self {
        let residence = Residence::read(settings, "indexing.qdrant_quantized_in");
        let quantile = number(settings, "indexing.qdrant_quantile", 0.5, 1.0);
        let rounds = settings.get(
            "indexing.qdrant_quantization",
            "must be \"int8\" or \"none\"",
            |value| match value.as_str()? {
                "int8" => Some(true),
                "none" => Some(false),
                _ => None,
            },
        );
        Self {
            timeout: Duration::from_secs(settings.number("indexing.qdrant_timeout_seconds", 1..=600)),
            quantization: rounds.then_some(Quantization { quantile, residence }),
            oversampling: number(settings, "indexing.qdrant_oversampling", 1.0, 16.0),
            hnsw: Hnsw {
                m: settings.number("indexing.qdrant_hnsw_m", 0..=128),
                ef_construct: settings.number("indexing.qdrant_hnsw_ef_construct", 4..=4_096),
            },
            hnsw_ef: settings.number("indexing.qdrant_hnsw_ef", 0..=4_096),
            vectors: Residence::read(settings, "indexing.qdrant_vectors_in"),
            payload: Residence::read(settings, "indexing.qdrant_papers_in"),
        }
    }
}

fn number(settings: &mut common::config::Settings, key: &str, lowest: f64, highest: f64) -> f64 {
    let expected = format!("must be a number from {lowest} to {highest}");
    settings.get(key, &expected, |value| {
        let whole = value.as_integer().map(|n| n as f64);
        (value.as_float().or(whole)).filter(|n| (lowest..=highest).contains(n))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)]) -> (QdrantSettings, Result<(), common::config::ConfigError>) {
        let environment = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let defaults = include_str!("../../defaults.toml");
        let mut settings = common::config::Settings::load(&[defaults], None, environment);
        let read = QdrantSettings::read(&mut settings);
        (read, settings.finish())
    }

    #[test]
    fn the_defaults_round_and_score_again() {
        let (settings, mistakes) = read(&[]);
        mistakes.expect("no mistakes");
        let quantization = settings.quantization.expect("it rounds");
        assert_eq!(quantization.residence, Residence::Memory);
        assert!(
            settings.oversampling >= 2.0,
            "scoring again without more candidates finds nothing more"
        );
    }

    #[test]
    fn settings_are_checked() {
        let (settings, mistakes) = read(&[
            ("BROADSHEET_INDEXING__QDRANT_QUANTIZATION", "none"),
            ("BROADSHEET_INDEXING__QDRANT_OVERSAMPLING", "0.5"),
            ("BROADSHEET_INDEXING__QDRANT_VECTORS_IN", "cloud"),
        ]);
        assert_eq!(settings.quantization, None);
        let mistakes = mistakes.expect_err("two mistakes").to_string();
        assert!(mistakes.contains("qdrant_oversampling = 0.5"), "{mistakes}");
        assert!(mistakes.contains("must be \"memory\" or \"disk\""), "{mistakes}");
    }
}
