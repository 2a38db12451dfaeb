//! From settings to a source.

use std::sync::Arc;

use crate::acl::AclSource;
use crate::arxiv::ArxivSource;
use crate::arxiv::announced::ArxivAnnouncedSource;
use crate::config::{KindSettings, SourceConfig};
use crate::feed::FeedSource;
use crate::files::FilesSource;
use crate::http::SourceClient;
use crate::list_api::ListSource;
use crate::oai::OaiSource;
use crate::source::Source;

/// Makes the source of some settings. All sources of a process share one client, and with it the rate limits.
pub fn build(config: &SourceConfig, client: &SourceClient) -> Arc<dyn Source> {
    let name = config.name.as_str();
    match &config.settings {
        KindSettings::Arxiv(settings) => Arc::new(ArxivSource::new(name, settings, client)),
        KindSettings::ArxivAnnounced(settings) => Arc::new(ArxivAnnouncedSource::new(name, settings, client)),
        KindSettings::Biorxiv(settings) => Arc::new(ListSource::new(name, settings.clone(), client)),
        KindSettings::Openalex(settings) => Arc::new(ListSource::new(name, settings.clone(), client)),
        KindSettings::Crossref(settings) => Arc::new(ListSource::new(name, settings.clone(), client)),
        KindSettings::SemanticScholar(settings) => Arc::new(ListSource::new(name, settings.clone(), client)),
        KindSettings::Huggingface(settings) => Arc::new(ListSource::new(name, settings.clone(), client)),
        KindSettings::Acl(settings) => Arc::new(AclSource::new(name, settings, client)),
        KindSettings::Oai(settings) => Arc::new(OaiSource::new(name, settings, client)),
        KindSettings::Feed(settings) => Arc::new(FeedSource::new(name, settings, client)),
        KindSettings::Files(settings) => Arc::new(FilesSource::new(name, settings, client)),
    }
}
