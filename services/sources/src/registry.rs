//! From settings to a source, by the name of its kind.

use std::sync::Arc;

use crate::acl::Acl;
use crate::arxiv::Arxiv;
use crate::arxiv::announced::Announced;
use crate::biorxiv::Biorxiv;
use crate::config::{Settings, SourceConfig};
use crate::crossref::Crossref;
use crate::feed::Feed;
use crate::files::Files;
use crate::http::Client;
use crate::huggingface::HuggingFace;
use crate::oai::Oai;
use crate::openalex::OpenAlex;
use crate::semantic_scholar::SemanticScholar;
use crate::source::Source;

/// Makes the source of some settings. All sources of a process share one client, so that they share its allowances.
pub fn build(config: &SourceConfig, client: &Client) -> Arc<dyn Source> {
    let name = config.name.as_str();
    match &config.settings {
        Settings::Arxiv(settings) => Arc::new(Arxiv::new(name, settings, client)),
        Settings::ArxivAnnounced(settings) => Arc::new(Announced::new(name, settings, client)),
        Settings::Biorxiv(settings) => Arc::new(Biorxiv::new(name, settings, client)),
        Settings::Openalex(settings) => Arc::new(OpenAlex::new(name, settings, client)),
        Settings::Crossref(settings) => Arc::new(Crossref::new(name, settings, client)),
        Settings::SemanticScholar(settings) => Arc::new(SemanticScholar::new(name, settings, client)),
        Settings::Huggingface(settings) => Arc::new(HuggingFace::new(name, settings, client)),
        Settings::Acl(settings) => Arc::new(Acl::new(name, settings, client)),
        Settings::Oai(settings) => Arc::new(Oai::new(name, settings, client)),
        Settings::Feed(settings) => Arc::new(Feed::new(name, settings, client)),
        Settings::Files(settings) => Arc::new(Files::new(name, settings)),
    }
}
