//! Answers of the search service, which are the same for everybody, cached for a moment.
//!
//! Requests name papers, categories and words; nothing about a reader passes through here.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use common::clock::Clock;
use common::grpc::ServiceChannel;
use prost::Message;
use proto::search::v1 as wire;
use proto::search::v1::search_service_client::SearchServiceClient;
use tonic::{Code, Request, Response, Status};

use super::cache::{Cache, CacheLookup, ComputedValue, ValueQuality};
use super::{ANSWERS_BYTES, CacheSettings};
use crate::caller::Caller;
use crate::metrics;

type SearchClient = SearchServiceClient<ServiceChannel>;

/// A request that the search service answers the same way for everybody.
pub trait SearchRequest: Message + Clone + Send + Sync + 'static {
    /// Its answer.
    type Response: Message + Send + Sync + 'static;
    /// Its method.
    const METHOD: &'static str;

    /// What the service says about an answer that is not as good as it could be.
    fn notice(_: &Self::Response) -> Option<&str> {
        None
    }

    /// Sends it.
    fn send(
        client: SearchClient,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Response>, Status>> + Send;
}

macro_rules! search_requests {
    ($($request:ident => $response:ident by $method:ident $(, with $notice:ident)?);* $(;)?) => {$(
        impl SearchRequest for wire::$request {
            type Response = wire::$response;
            const METHOD: &'static str = stringify!($method);

            $(fn notice(response: &Self::Response) -> Option<&str> {
                Some(response.$notice.as_str()).filter(|notice| !notice.is_empty())
            })?

            async fn send(
                mut client: SearchClient,
                request: Request<Self>,
            ) -> Result<Response<Self::Response>, Status> {
                client.$method(request).await
            }
        }
    )*};
}

search_requests! {
    SearchPapersRequest => SearchPapersResponse by search_papers, with notice;
    ListSimilarPapersRequest => ListSimilarPapersResponse by list_similar_papers;
    GetPaperRequest => GetPaperResponse by get_paper;
    BatchGetPapersRequest => BatchGetPapersResponse by batch_get_papers;
    ListPapersRequest => ListPapersResponse by list_papers;
    ListTrendingPapersRequest => ListTrendingPapersResponse by list_trending_papers;
    CountFacetsRequest => CountFacetsResponse by count_facets;
}

/// An answer that other callers may be reading too.
#[derive(Debug)]
pub struct SharedAnswer<T>(Arc<T>);

impl<T> Deref for SharedAnswer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A cache in front of the search service.
pub struct AnswerCache {
    client: SearchClient,
    cache: Cache<Vec<u8>, Arc<dyn Any + Send + Sync>, Status>,
}

impl AnswerCache {
    /// An empty cache.
    pub fn new(client: SearchClient, settings: CacheSettings, clock: Clock) -> Self {
        Self {
            client,
            cache: Cache::new(settings, ANSWERS_BYTES, clock),
        }
    }

    /// The answer to a request, at most as old as the settings allow. While the service is down an older one is returned,
    /// and the caller's page will say so. One that is not as good as it could be is kept for a moment only.
    ///
    /// # Errors
    /// What the service answered.
    pub async fn fetch<R: SearchRequest>(
        &self,
        caller: &Caller,
        request: R,
    ) -> Result<SharedAnswer<R::Response>, Status> {
        let mut key = R::METHOD.as_bytes().to_vec();
        key.push(0);
        key.extend(request.encode_to_vec());
        let call = async || {
            // The future of a call is large and rarely needed: most lookups hit the cache.
            let answer = Box::pin(R::send(self.client.clone(), caller.request(request))).await?;
            let answer = answer.into_inner();
            let weight = answer.encoded_len();
            let quality = if R::notice(&answer).is_none() {
                ValueQuality::Full
            } else {
                ValueQuality::Degraded
            };
            let value: Arc<dyn Any + Send + Sync> = Arc::new(answer);
            Ok(ComputedValue { value, weight, quality })
        };
        let CacheLookup { value, stale, is_new } = self.cache.get(key, is_outage, call).await?;
        match stale {
            Some(age) => {
                caller.note_stale(age);
                metrics::cache_lookup("answers", "stale");
            }
            None => metrics::cache_lookup("answers", if is_new { "miss" } else { "hit" }),
        }
        // The method is part of the key, so the answer always has this type.
        let answer: Arc<R::Response> = Arc::clone(&*value)
            .downcast()
            .map_err(|_| Status::internal("the answer to another request was cached"))?;
        if let Some(notice) = R::notice(&answer) {
            caller.note_degraded(notice);
        }
        Ok(SharedAnswer(answer))
    }
}

/// Whether the service was unable to answer, as opposed to refusing the request.
fn is_outage(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::OutOfRange | Code::FailedPrecondition | Code::PermissionDenied
    )
}
