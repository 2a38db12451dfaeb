//! SearchService.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::clock::Clock;
use common::status;
use domain::trending::TrendingScore;
use domain::{Paper, PaperId};
use prost::Message as _;
use proto::search::v1::search_service_server::SearchService;
use proto::search::v1::{
    BatchGetPapersRequest, BatchGetPapersResponse, CountFacetsRequest, CountFacetsResponse, FacetCounts, FacetField,
    FacetValue, GetPaperRequest, GetPaperResponse, ListPapersRequest, ListPapersResponse, ListSimilarPapersRequest,
    ListSimilarPapersResponse, ListTrendingPapersRequest, ListTrendingPapersResponse, SearchPapersRequest,
    SearchPapersResponse, SearchResult, WatchPapersRequest, WatchPapersResponse,
};
use tonic::{Request, Response, Status};

use super::{ResponseStream, bad_page_token, opened, results, search_failed, store_failed, trending, watch};
use crate::scope::SearchScope;
use crate::search::TermScores;
use crate::search::fields::{paper_id, parse_query};
use crate::search::pages::{PageToken, ResultList, ResultLists, ResultPage, fingerprint};
use crate::search::plan::SearchPlan;
use crate::state::{IndexingCell, IndexingState};
use crate::store::{Count, Facet, FacetCount, ListPosition, Store, StoreError};
use crate::watching::PaperWatches;

/// SearchService.
pub struct SearchHandler {
    pub indexing: IndexingCell,
    pub watches: Arc<PaperWatches>,
    pub clock: Clock,
    pub lists: ResultLists,
    pub trending_lists: ResultLists<TrendingScore>,
}

impl SearchHandler {
    /// The collection that is searched now.
    fn store(&self) -> Result<Arc<dyn Store>, Status> {
        Ok(Arc::clone(&opened(&self.indexing)?.catalogue.view().current.store))
    }

    /// A page of what a plan finds: of the list that its token names, while that is kept, or else of one made now.
    async fn page(
        &self,
        indexing: &IndexingState,
        plan: &SearchPlan,
        request: u64,
        token: &str,
        size: usize,
    ) -> Result<(ResultPage, Arc<ResultList>), Status> {
        let token = match token {
            "" => None,
            token => Some(PageToken::parse(token, request).map_err(|_| bad_page_token())?),
        };
        let failed = |error| search_failed(error, &plan.origin);
        let list = match token.as_ref().and_then(|token| self.lists.get(token)) {
            Some(kept) => kept,
            None => Arc::new(indexing.search.list(plan).await.map_err(failed)?),
        };
        Ok((self.lists.cut(&list, request, token.as_ref(), size), list))
    }

    /// The papers of a page, with scores and highlights.
    async fn results(
        &self,
        indexing: &IndexingState,
        plan: &SearchPlan,
        page: &ResultPage,
        explain: bool,
    ) -> Result<Vec<SearchResult>, Status> {
        let ids: Vec<PaperId> = page.entries.iter().map(|fused| fused.id.clone()).collect();
        let store = &indexing.catalogue.view().current.store;
        let papers = store.get(&ids).await.map_err(store_failed)?;
        let terms = match &plan.expression {
            Some(expression) if explain => {
                let explained = indexing.search.terms(expression, &ids).await;
                explained.map_err(|error| search_failed(error, &plan.origin))?
            }
            _ => TermScores::new(),
        };
        let highlight_terms = results::highlight_terms(plan.expression.as_ref());
        Ok(results::results(page.entries.clone(), papers, &highlight_terms, &terms))
    }
}

#[tonic::async_trait]
impl SearchService for SearchHandler {
    async fn search_papers(
        &self,
        request: Request<SearchPapersRequest>,
    ) -> Result<Response<SearchPapersResponse>, Status> {
        let request = request.into_inner();
        let plan = SearchPlan::search(&request, self.clock.now())?;
        let size = status::page_size(request.page_size, 20, 100)?;
        let (token, explain) = (request.page_token.clone(), request.explain);
        let fingerprint = fingerprint(&without_page(request).encode_to_vec());
        let indexing = opened(&self.indexing)?;
        let plan = indexing.search.with_lead(plan).await.map_err(store_failed)?;
        let store = Arc::clone(&indexing.catalogue.view().current.store);
        let (page, list) = self.page(indexing, &plan, fingerprint, &token, size).await?;
        let count = count(&store, &plan, &list).await.map_err(store_failed)?;
        Ok(Response::new(SearchPapersResponse {
            results: self.results(indexing, &plan, &page, explain).await?,
            next_page_token: page.next.map(|token| token.encode()).unwrap_or_default(),
            total_size: count.papers,
            // Counting does not check the texts.
            total_is_estimate: !count.exact || !plan.scope.checks.is_empty(),
            notice: list.notice.to_owned(),
        }))
    }

    async fn list_similar_papers(
        &self,
        request: Request<ListSimilarPapersRequest>,
    ) -> Result<Response<ListSimilarPapersResponse>, Status> {
        let mut request = request.into_inner();
        let plan = SearchPlan::similar(&request)?;
        let size = status::page_size(request.page_size, 20, 100)?;
        let token = std::mem::take(&mut request.page_token);
        request.page_size = 0;
        let fingerprint = fingerprint(&request.encode_to_vec());
        let indexing = opened(&self.indexing)?;
        let (page, _) = self.page(indexing, &plan, fingerprint, &token, size).await?;
        Ok(Response::new(ListSimilarPapersResponse {
            results: self.results(indexing, &plan, &page, false).await?,
            next_page_token: page.next.map(|token| token.encode()).unwrap_or_default(),
        }))
    }

    async fn get_paper(&self, request: Request<GetPaperRequest>) -> Result<Response<GetPaperResponse>, Status> {
        let requested = request.into_inner().paper_id;
        let id = paper_id("paper_id", &requested)?;
        let store = self.store()?;
        let candidates = id.candidates();
        let found = store.get(&candidates).await.map_err(store_failed)?;
        let paper = candidates
            .iter()
            .find_map(|id| found.iter().find(|paper| paper.id == *id));
        let paper = paper.ok_or_else(|| status::not_found("paper", &requested))?;
        Ok(Response::new(GetPaperResponse {
            paper: Some(paper.into()),
        }))
    }

    async fn batch_get_papers(
        &self,
        request: Request<BatchGetPapersRequest>,
    ) -> Result<Response<BatchGetPapersResponse>, Status> {
        let requested = request.into_inner().paper_ids;
        if !(1..=1_000).contains(&requested.len()) {
            return Err(status::invalid(
                "paper_ids",
                format!("has {} entries; 1 to 1000 are allowed", requested.len()),
            ));
        }
        let mut ids = Vec::with_capacity(requested.len());
        for (index, id) in requested.iter().enumerate() {
            ids.extend(paper_id(&format!("paper_ids[{index}]"), id)?.candidates());
        }
        let store = self.store()?;
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
        let fingerprint = fingerprint(&request.encode_to_vec());
        let mut after = match token.as_str() {
            "" => None,
            token => Some(position(token, fingerprint).ok_or_else(bad_page_token)?),
        };
        let scope = SearchScope::read(request.filter)?;
        let store = self.store()?;
        let mut papers: Vec<Paper> = Vec::new();
        // Texts are checked here, so a page may need several reads.
        loop {
            let read = store
                .list(scope.filter.clone(), after, size + 1)
                .await
                .map_err(store_failed)?;
            let (full, last) = (read.len() > size, read.last().map(ListPosition::of));
            let passes = |paper: &Paper| scope.checks.pass(&paper.title, &paper.abstract_text);
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
                let ListPosition { published_ms, id } = ListPosition::of(last);
                URL_SAFE_NO_PAD.encode(format!("{fingerprint:x} {published_ms} {id}"))
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
        let mut scope = SearchScope::read(request.filter)?;
        scope.narrow(parse_query("query", &request.query)?.restrictions)?;
        let store = self.store()?;
        let count = store.count(scope.filter.clone()).await.map_err(store_failed)?;
        let mut counted = Vec::with_capacity(fields.len());
        for (field, facet) in fields {
            let values = store
                .facet(scope.filter.clone(), facet, limit)
                .await
                .map_err(store_failed)?;
            let value = |one: FacetCount| FacetValue {
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

    type WatchPapersStream = ResponseStream<WatchPapersResponse>;

    async fn watch_papers(
        &self,
        request: Request<WatchPapersRequest>,
    ) -> Result<Response<Self::WatchPapersStream>, Status> {
        let responses = watch::watch(self, request).await?;
        Ok(Response::new(responses))
    }
}

/// The papers of the scope; of a search by words alone, those that hold one of the words.
async fn count(store: &Arc<dyn Store>, plan: &SearchPlan, list: &ResultList) -> Result<Count, StoreError> {
    let mut filter = plan.scope.filter.clone();
    match &list.terms {
        Some(terms) if terms.is_empty() => {
            return Ok(Count { papers: 0, exact: true });
        }
        Some(terms) => filter.any_terms.clone_from(terms),
        None => {}
    }
    store.count(filter).await
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

fn position(token: &str, fingerprint: u64) -> Option<ListPosition> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(3, ' ');
    (u64::from_str_radix(parts.next()?, 16).ok()? == fingerprint).then_some(())?;
    Some(ListPosition {
        published_ms: parts.next()?.parse().ok()?,
        id: PaperId::parse(parts.next()?).ok()?.to_string(),
    })
}
