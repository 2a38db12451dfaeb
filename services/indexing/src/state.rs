//! What the calls of the service work on, once the catalogue is open.

use std::sync::{Arc, OnceLock};

use crate::catalogue::Catalogue;
use crate::rebuild::RebuildRunner;
use crate::search::HybridSearch;
use crate::trending::TrendingPapers;
use crate::verify::RegistryClient;

/// The parts that calls use.
pub struct IndexingState {
    /// The collections.
    pub catalogue: Arc<Catalogue>,
    /// Searches them.
    pub search: HybridSearch,
    /// Says what is trending in them.
    pub trending: Arc<TrendingPapers>,
    /// Rebuilds them.
    pub rebuilds: Arc<RebuildRunner>,
    /// Says which papers they should hold.
    pub registry: RegistryClient,
}

/// Empty until the embedding service has said which encoders it offers and the catalogue is open.
pub type IndexingCell = Arc<OnceLock<IndexingState>>;
