//! SearchService.

use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::bus::{Bus, BusError};
use common::status;
use domain::trending::Scored;
use domain::{Paper, PaperId};
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use prost::Message as _;
use proto::papers::v1::PaperIndexed;
use proto::search::v1::search_service_server::SearchService;
use proto::search::v1::{
    BatchGetPapersRequest, BatchGetPapersResponse, CountFacetsRequest, CountFacetsResponse, FacetCounts, FacetField,
    FacetValue, GetPaperRequest, GetPaperResponse, ListPapersRequest, ListPapersResponse, ListSimilarPapersRequest,
    ListSimilarPapersResponse, ListTrendingPapersRequest, ListTrendingPapersResponse, SearchPapersRequest,
    SearchPapersResponse, SearchResult, WatchPapersRequest, WatchPapersResponse,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{answer, bad_page_token, open, search_failed, store_failed, trending};
use crate::search::Terms;
use crate::search::pages::{List, Page, Pages, Token, fingerprint};
use crate::search::plan::{Plan, Scope, paper_id, parse};
use crate::store::{Facet, Position};
use crate::{Indexing, IndexingCell};

/// SearchService.
pub struct Searching {
    pub indexing: IndexingCell,
    pub bus: Bus,
    pub stop: CancellationToken,
    pub pages: Pages,
    pub trending_pages: Pages<Scored>,
}

impl Searching {
    /// A page of what a plan finds: of the list its token names, while that is kept, or else of one made now.
    async fn page(
        &self,
        indexing: &Indexing,
        plan: &Plan,
        request: u64,
        token: &str,
        size: usize,
    ) -> Result<(Page, Arc<List>), Status> {
        let token = match token {
            "" => None,
            token => Some(Token::parse(token, request).map_err(|_| bad_page_token())?),
        };
        let failed = |error| search_failed(error, &plan.origin);
        let list = match token.as_ref().and_then(|token| self.pages.get(token)) {
            Some(kept) => kept,
            None => Arc::new(indexing.search.list(plan).await.map_err(failed)?),
        };
        Ok((self.pages.cut(&list, request, token.as_ref(), size), list))
    }

    /// The papers of a page with all that is said about them.
    async fn results(
        &self,
        indexing: &Indexing,
        plan: &Plan,
        page: &Page,
        explain: bool,
    ) -> Result<Vec<SearchResult>, Status> {
        let ids: Vec<PaperId> = page.entries.iter().map(|fused| fused.id.clone()).collect();
        let store = &indexing.catalogue.view().current.store;
        let papers = store.get(&ids).await.map_err(store_failed)?;
        let terms = match &plan.meaning {
            Some(meaning) if explain => {
                let explained = indexing.search.terms(meaning, &ids).await;
                explained.map_err(|error| search_failed(error, &plan.origin))?
            }
            _ => Terms::new(),
        };
        let words = answer::terms_of(plan.meaning.as_ref());
        Ok(answer::results(page.entries.clone(), papers, &words, &terms))
    }
}

#[tonic::async_trait]
impl SearchService for Searching {
    async fn search_papers(
        &self,
        request: Request<SearchPapersRequest>,
    ) -> Result<Response<SearchPapersResponse>, Status> {
        let request = request.into_inner();
        let plan = Plan::search(&request, Timestamp::now())?;
        let size = status::page_size(request.page_size, 20, 100)?;
        let (token, explain) = (request.page_token.clone(), request.explain);
        let asked = fingerprint(&without_page(request).encode_to_vec());
        let indexing = open(&self.indexing)?;
        let store = Arc::clone(&indexing.catalogue.view().current.store);
        let counting = async { store.count(plan.scope.filter.clone()).await.map_err(store_failed) };
        let finding = self.page(indexing, &plan, asked, &token, size);
        let (count, (page, list)) = tokio::try_join!(counting, finding)?;
        Ok(Response::new(SearchPapersResponse {
            results: self.results(indexing, &plan, &page, explain).await?,
            next_page_token: page.next.map(|token| token.encode()).unwrap_or_default(),
            total_size: count.papers,
            // The text of every paper is not looked at to count them.
            total_is_estimate: !count.exact || !plan.scope.checks.is_empty(),
            notice: list.notice.to_owned(),
        }))
    }

    async fn list_similar_papers(
        &self,
        request: Request<ListSimilarPapersRequest>,
    ) -> Result<Response<ListSimilarPapersResponse>, Status> {
        let mut request = request.into_inner();
        let plan = Plan::similar(&request)?;
        let size = status::page_size(request.page_size, 20, 100)?;
        let token = std::mem::take(&mut request.page_token);
        request.page_size = 0;
        let asked = fingerprint(&request.encode_to_vec());
        let indexing = open(&self.indexing)?;
        let (page, _) = self.page(indexing, &plan, asked, &token, size).await?;
        Ok(Response::new(ListSimilarPapersResponse {
            results: self.results(indexing, &plan, &page, false).await?,
            next_page_token: page.next.map(|token| token.encode()).unwrap_or_default(),
        }))
    }

    async fn get_paper(&self, request: Request<GetPaperRequest>) -> Result<Response<GetPaperResponse>, Status> {
        let asked = request.into_inner().paper_id;
        let id = paper_id("paper_id", &asked)?;
        let store = Arc::clone(&open(&self.indexing)?.catalogue.view().current.store);
        let found = store.get(&[id]).await.map_err(store_failed)?;
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
        let store = Arc::clone(&open(&self.indexing)?.catalogue.view().current.store);
        let papers = store.get(&ids).await.map_err(store_failed)?;
        Ok(Response::new(BatchGetPapersResponse {
            papers: papers.iter().map(Into::into).collect(),
        }))
    }

    async fn list_papers(&self, request: Request<ListPapersRequest>) -> Result<Response<ListPapersResponse>, Status> {
        let mut request = request.into_inner();
        let size = status::page_size(request.page_size, 50, 1_000)?;
        let token = std::mem::take(&mut request.page_token);
        request.page_size = 0;
        let asked = fingerprint(&request.encode_to_vec());
        let mut after = match token.as_str() {
            "" => None,
            token => Some(position(token, asked).ok_or_else(bad_page_token)?),
        };
        let scope = Scope::read(request.filter)?;
        let store = Arc::clone(&open(&self.indexing)?.catalogue.view().current.store);
        let mut papers: Vec<Paper> = Vec::new();
        // What the text must hold is checked here, so several reads may be needed for a page.
        loop {
            let read = store
                .list(scope.filter.clone(), after, size + 1)
                .await
                .map_err(store_failed)?;
            let (full, last) = (read.len() > size, read.last().map(Position::of));
            let passes =
                |paper: &Paper| scope.checks.is_empty() || scope.checks.pass(&paper.title, &paper.abstract_text);
            papers.extend(read.into_iter().filter(passes));
            if !full || papers.len() > size {
                break;
            }
            after = last;
        }
        let more = papers.len() > size;
        papers.truncate(size);
        let next_page_token = match papers.last() {
            Some(last) if more => {
                let Position { published_ms, id } = Position::of(last);
                URL_SAFE_NO_PAD.encode(format!("{asked:x} {published_ms} {id}"))
            }
            _ => String::new(),
        };
        Ok(Response::new(ListPapersResponse {
            papers: papers.iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn list_trending_papers(
        &self,
        request: Request<ListTrendingPapersRequest>,
    ) -> Result<Response<ListTrendingPapersResponse>, Status> {
        let answer = trending::list(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn count_facets(
        &self,
        request: Request<CountFacetsRequest>,
    ) -> Result<Response<CountFacetsResponse>, Status> {
        let request = request.into_inner();
        let limit = status::count("limit", request.limit, 20, 1_000)?;
        let fields = facets(&request.fields)?;
        let mut scope = Scope::read(request.filter)?;
        scope.narrow(parse("query", &request.query)?.restrictions)?;
        let store = Arc::clone(&open(&self.indexing)?.catalogue.view().current.store);
        let count = store.count(scope.filter.clone()).await.map_err(store_failed)?;
        let mut counted = Vec::with_capacity(fields.len());
        for (field, facet) in fields {
            let values = store
                .facet(scope.filter.clone(), facet, limit)
                .await
                .map_err(store_failed)?;
            let value = |one: crate::store::FacetCount| FacetValue {
                value: one.value,
                papers: one.papers,
            };
            counted.push(FacetCounts {
                field: field.into(),
                values: values.into_iter().map(value).collect(),
            });
        }
        Ok(Response::new(CountFacetsResponse {
            facets: counted,
            total_size: count.papers,
            total_is_estimate: !count.exact || !scope.checks.is_empty(),
        }))
    }

    type WatchPapersStream = Pin<Box<dyn Stream<Item = Result<WatchPapersResponse, Status>> + Send>>;

    async fn watch_papers(
        &self,
        request: Request<WatchPapersRequest>,
    ) -> Result<Response<Self::WatchPapersStream>, Status> {
        let request = request.into_inner();
        let after = match request.resume_token.as_str() {
            "" => None,
            token => Some(
                place(token)
                    .ok_or_else(|| status::invalid("resume_token", "is not one that a response to WatchPapers gave"))?,
            ),
        };
        let scope = Scope::read(request.filter)?;
        let followed = self
            .bus
            .follow::<PaperIndexed>(after)
            .await
            .map_err(|error| match error {
                BusError::Forgotten { .. } => Status::out_of_range(
                    "resume_token lies further back than the platform remembers; list the papers and watch from now on",
                ),
                error => status::unavailable(error),
            })?;
        let told = followed.filter_map(move |item| {
            let told = Paper::try_from(item.message.paper.unwrap_or_default())
                .ok()
                .filter(|paper| scope.lets_pass(paper))
                .map(|paper| {
                    Ok(WatchPapersResponse {
                        paper: Some((&paper).into()),
                        resume_token: URL_SAFE_NO_PAD.encode(format!("papers {}", item.place)),
                    })
                });
            futures::future::ready(told)
        });
        Ok(Response::new(
            told.take_until(self.stop.clone().cancelled_owned()).boxed(),
        ))
    }
}

fn without_page(request: SearchPapersRequest) -> SearchPapersRequest {
    SearchPapersRequest {
        page_size: 0,
        page_token: String::new(),
        explain: false,
        ..request
    }
}

fn facets(fields: &[i32]) -> Result<Vec<(FacetField, Facet)>, Status> {
    if !(1..=5).contains(&fields.len()) {
        return Err(status::invalid(
            "fields",
            format!("has {} entries; 1 to 5 are allowed", fields.len()),
        ));
    }
    let mut facets = Vec::with_capacity(fields.len());
    for (index, number) in fields.iter().enumerate() {
        let name = format!("fields[{index}]");
        let field = FacetField::try_from(*number).unwrap_or(FacetField::Unspecified);
        let facet = match field {
            FacetField::Category => Facet::Category,
            FacetField::Year => Facet::Year,
            FacetField::Source => Facet::Source,
            FacetField::Author => Facet::Author,
            FacetField::Language => Facet::Language,
            FacetField::Unspecified => {
                let description =
                    format!("is {number}; allowed are CATEGORY (1), YEAR (2), SOURCE (3), AUTHOR (4) and LANGUAGE (5)");
                return Err(status::invalid(name, description));
            }
        };
        if facets.contains(&(field, facet)) {
            return Err(status::invalid(
                name,
                format!("is {} for the second time", field.as_str_name()),
            ));
        }
        facets.push((field, facet));
    }
    Ok(facets)
}

fn decoded(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn position(token: &str, asked: u64) -> Option<Position> {
    let text = decoded(token)?;
    let mut parts = text.splitn(3, ' ');
    (u64::from_str_radix(parts.next()?, 16).ok()? == asked).then_some(())?;
    Some(Position {
        published_ms: parts.next()?.parse().ok()?,
        id: PaperId::parse(parts.next()?).ok()?.to_string(),
    })
}

fn place(token: &str) -> Option<u64> {
    decoded(token)?.strip_prefix("papers ")?.parse().ok()
}
