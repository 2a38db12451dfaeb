//! SearchService and IndexAdminService: requests checked, answers from the store and the search.

use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::status;
use domain::{Paper, PaperId, text};
use futures::{Stream, StreamExt as _};
use proto::convert::from_wire_time;
use proto::index::v1::index_admin_service_server::IndexAdminService;
use proto::index::v1::{GetIndexStatusRequest, GetIndexStatusResponse};
use proto::search::v1::search_service_server::SearchService;
use proto::search::v1::{
    BatchGetPapersRequest, BatchGetPapersResponse, GetPaperRequest, GetPaperResponse, ListPapersRequest,
    ListPapersResponse, PaperFilter, ScorePart, SearchPapersRequest, SearchPapersResponse, SearchResult,
    WatchPapersRequest, WatchPapersResponse,
};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::search::SearchError;
use crate::store::{Filter, Position, StoreError};
use crate::{Catalogue, CatalogueCell};

const MAX_QUERY_CHARS: usize = 2_000;
const MAX_FILTER_VALUES: usize = 100;

/// SearchService.
pub struct Searching {
    pub catalogue: CatalogueCell,
    pub news: broadcast::Sender<Arc<Paper>>,
    pub stop: CancellationToken,
}

/// IndexAdminService.
pub struct Administration {
    pub catalogue: CatalogueCell,
}

#[tonic::async_trait]
impl SearchService for Searching {
    async fn search_papers(
        &self,
        request: Request<SearchPapersRequest>,
    ) -> Result<Response<SearchPapersResponse>, Status> {
        let request = request.into_inner();
        let query = text::one_line(&request.query);
        let length = query.chars().count();
        if !(1..=MAX_QUERY_CHARS).contains(&length) {
            let description = format!("has {length} characters; 1 to {MAX_QUERY_CHARS} are required");
            return Err(status::invalid("query", description));
        }
        let size = status::page_size(request.page_size, 20, 100)?;
        let offset = match request.page_token.as_str() {
            "" => 0,
            token => decode(token)
                .and_then(|text| text.parse().ok())
                .ok_or_else(bad_page_token)?,
        };
        let filter = filter(request.filter)?;
        let page = open(&self.catalogue)?
            .search
            .page(query, filter, offset, size)
            .await
            .map_err(search_failed)?;
        let results = page.results.into_iter().map(|(paper, fused)| SearchResult {
            paper: Some((&paper).into()),
            score: fused.score,
            parts: fused
                .parts
                .into_iter()
                .map(|part| ScorePart {
                    name: part.leg.to_owned(),
                    value: part.value,
                    rank: part.rank,
                    raw: part.raw,
                })
                .collect(),
        });
        Ok(Response::new(SearchPapersResponse {
            results: results.collect(),
            next_page_token: page.next.map(|offset| encode(&offset.to_string())).unwrap_or_default(),
        }))
    }

    async fn get_paper(&self, request: Request<GetPaperRequest>) -> Result<Response<GetPaperResponse>, Status> {
        let asked = request.into_inner().paper_id;
        let id = paper_id("paper_id", &asked)?;
        let found = open(&self.catalogue)?.store.get(&[id]).await.map_err(store_failed)?;
        let paper = found.first().ok_or_else(|| status::not_found("paper", &asked))?;
        Ok(Response::new(GetPaperResponse {
            paper: Some(paper.into()),
        }))
    }

    async fn batch_get_papers(
        &self,
        request: Request<BatchGetPapersRequest>,
    ) -> Result<Response<BatchGetPapersResponse>, Status> {
        let asked = request.into_inner().paper_ids;
        if !(1..=1_000).contains(&asked.len()) {
            return Err(status::invalid(
                "paper_ids",
                format!("has {} entries; 1 to 1000 are allowed", asked.len()),
            ));
        }
        let mut ids = Vec::with_capacity(asked.len());
        for (index, id) in asked.iter().enumerate() {
            ids.push(paper_id(&format!("paper_ids[{index}]"), id)?);
        }
        let papers = open(&self.catalogue)?.store.get(&ids).await.map_err(store_failed)?;
        Ok(Response::new(BatchGetPapersResponse {
            papers: papers.iter().map(Into::into).collect(),
        }))
    }

    async fn list_papers(&self, request: Request<ListPapersRequest>) -> Result<Response<ListPapersResponse>, Status> {
        let request = request.into_inner();
        let size = status::page_size(request.page_size, 50, 1_000)?;
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(position(token).ok_or_else(bad_page_token)?),
        };
        let mut papers = open(&self.catalogue)?
            .store
            .list(filter(request.filter)?, after, size + 1)
            .await
            .map_err(store_failed)?;
        let more = papers.len() > size;
        papers.truncate(size);
        let next_page_token = match papers.last() {
            Some(last) if more => encode(&format!("{} {}", last.published.as_millisecond(), last.id)),
            _ => String::new(),
        };
        Ok(Response::new(ListPapersResponse {
            papers: papers.iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    type WatchPapersStream = Pin<Box<dyn Stream<Item = Result<WatchPapersResponse, Status>> + Send>>;

    async fn watch_papers(&self, _: Request<WatchPapersRequest>) -> Result<Response<Self::WatchPapersStream>, Status> {
        let news = BroadcastStream::new(self.news.subscribe()).map(|item| match item {
            Ok(paper) => Ok(WatchPapersResponse {
                paper: Some(paper.as_ref().into()),
            }),
            Err(lagged) => Err(Status::data_loss(format!(
                "the watcher fell behind ({lagged}); look papers up and watch again"
            ))),
        });
        Ok(Response::new(
            news.take_until(self.stop.clone().cancelled_owned()).boxed(),
        ))
    }
}

#[tonic::async_trait]
impl IndexAdminService for Administration {
    async fn get_index_status(
        &self,
        _: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        let description = open(&self.catalogue)?.store.describe().await.map_err(store_failed)?;
        Ok(Response::new(GetIndexStatusResponse {
            store: description.store.to_owned(),
            collection: description.collection,
            encoder_id: description.encoder.to_string(),
            dimension: u32::try_from(description.dimension).unwrap_or(u32::MAX),
            papers: description.papers,
            withdrawn: description.withdrawn,
        }))
    }
}

fn open(catalogue: &CatalogueCell) -> Result<&Catalogue, Status> {
    catalogue
        .get()
        .ok_or_else(|| status::unavailable("the catalogue is not open yet"))
}

fn filter(filter: Option<PaperFilter>) -> Result<Filter, Status> {
    let filter = filter.unwrap_or_default();
    for (field, values) in [
        ("categories", &filter.categories),
        ("sources", &filter.sources),
        ("authors", &filter.authors),
    ] {
        if values.len() > MAX_FILTER_VALUES {
            let description = format!("has {} entries; at most {MAX_FILTER_VALUES} are allowed", values.len());
            return Err(status::invalid(format!("filter.{field}"), description));
        }
    }
    let time = |field: &'static str, time: Option<_>| {
        time.map(|time| from_wire_time(field, time))
            .transpose()
            .map_err(|error| status::invalid(field, error.to_string()))
    };
    Ok(Filter {
        authors: filter.authors.iter().map(|author| text::fold(author)).collect(),
        categories: filter.categories,
        sources: filter.sources,
        published_after: time("filter.published_after", filter.published_after)?,
        published_before: time("filter.published_before", filter.published_before)?,
    })
}

fn paper_id(field: &str, id: &str) -> Result<PaperId, Status> {
    PaperId::parse(id).map_err(|error| status::invalid(field, error.to_string()))
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn position(token: &str) -> Option<Position> {
    let text = decode(token)?;
    let (published_ms, id) = text.split_once(' ')?;
    Some(Position {
        published_ms: published_ms.parse().ok()?,
        id: id.to_owned(),
    })
}

fn bad_page_token() -> Status {
    status::invalid("page_token", "is not one that a response to this request gave")
}

fn search_failed(error: SearchError) -> Status {
    match error {
        SearchError::Store(error) => store_failed(error),
        SearchError::Embedding(_) => status::unavailable(error),
        SearchError::OtherEncoder { .. } | SearchError::Unsound(_) => status::internal(error),
    }
}

fn store_failed(error: StoreError) -> Status {
    if error.is_transient() {
        status::unavailable(error)
    } else {
        status::internal(error)
    }
}
