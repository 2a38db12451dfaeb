//! Answers of the search service, which are the same for everybody, kept for a moment.
//!
//! Nothing about a reader ever passes here: the questions name papers, categories and words.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use common::grpc::ServiceChannel;
use prost::Message;
use proto::search::v1 as wire;
use proto::search::v1::search_service_client::SearchServiceClient;
use tonic::{Code, Request, Response, Status};

use super::shelf::{Found, Shelf};
use super::{ANSWERS_BYTES, Freshness};
use crate::client::Client;
use crate::metrics;

type Search = SearchServiceClient<ServiceChannel>;

/// A question that the search service answers alike for everybody.
pub trait Question: Message + Clone + Send + Sync + 'static {
    /// Its answer.
    type Answer: Message + Send + Sync + 'static;
    /// Its method.
    const METHOD: &'static str;

    /// Asks it.
    fn ask(
        search: Search,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
}

macro_rules! question {
    ($($message:ident => $answer:ident by $method:ident),* $(,)?) => {$(
        impl Question for wire::$message {
            type Answer = wire::$answer;
            const METHOD: &'static str = stringify!($method);

            async fn ask(mut search: Search, request: Request<Self>) -> Result<Response<Self::Answer>, Status> {
                search.$method(request).await
            }
        }
    )*};
}

question! {
    SearchPapersRequest => SearchPapersResponse by search_papers,
    ListSimilarPapersRequest => ListSimilarPapersResponse by list_similar_papers,
    GetPaperRequest => GetPaperResponse by get_paper,
    BatchGetPapersRequest => BatchGetPapersResponse by batch_get_papers,
    ListPapersRequest => ListPapersResponse by list_papers,
    ListTrendingPapersRequest => ListTrendingPapersResponse by list_trending_papers,
    CountFacetsRequest => CountFacetsResponse by count_facets,
}

/// An answer that others may be reading too.
#[derive(Debug)]
pub struct Known<T>(Arc<T>);

impl<T> Deref for Known<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The shelf of answers.
pub struct Answers {
    search: Search,
    shelf: Shelf<Vec<u8>, Arc<dyn Any + Send + Sync>, Status>,
}

impl Answers {
    /// An empty shelf before the service.
    pub fn new(search: Search, freshness: Freshness) -> Self {
        Self {
            search,
            shelf: Shelf::new(freshness.fresh, freshness.stale, ANSWERS_BYTES),
        }
    }

    /// The answer to a question, of this moment or nearly so. Where the service is down an older one is given, and the
    /// caller's page will say so.
    ///
    /// # Errors
    /// What the service answered.
    pub async fn ask<Q: Question>(&self, client: &Client, question: Q) -> Result<Known<Q::Answer>, Status> {
        let mut key = Q::METHOD.as_bytes().to_vec();
        key.push(0);
        key.extend(question.encode_to_vec());
        let make = async || {
            // A call is large and seldom made: most find their answer here.
            let answer = Box::pin(Q::ask(self.search.clone(), client.request(question))).await?;
            let answer = answer.into_inner();
            let weight = answer.encoded_len();
            let answer: Arc<dyn Any + Send + Sync> = Arc::new(answer);
            Ok((answer, weight))
        };
        let Found { value, stale, is_new } = self.shelf.get(key, is_outage, make).await?;
        match stale {
            Some(age) => {
                client.note_stale(age);
                metrics::kept("answers", "stale");
            }
            None => metrics::kept("answers", if is_new { "miss" } else { "hit" }),
        }
        // The method is part of the key, so every answer is of its kind.
        let answer = Arc::clone(&*value).downcast();
        answer
            .map(Known)
            .map_err(|_| Status::internal("an answer to another question was kept"))
    }
}

/// Whether the service could not answer, rather than answered with a refusal.
fn is_outage(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::OutOfRange | Code::FailedPrecondition | Code::PermissionDenied
    )
}
