//! The search, asked as its users ask it: over gRPC, over forty papers that were written for this.
//!
//! All tests that change nothing share one platform; those that add papers have one of their own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod doors;
mod expectations;
mod finding;
mod lookups;
mod pages;
mod refusals;
mod trending;
mod watching;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use common::grpc::{ServiceChannel, channel};
use proto::papers::v1::Paper;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{PaperFilter, SearchPapersRequest, SearchPapersResponse};
use serde_json::Value;
use tempfile::TempDir;
use tests::Platform;
use tonic::Status;

const PAPERS: &str = include_str!("papers.jsonl");

/// A platform with the papers in it.
struct Library {
    platform: Platform,
    folder: TempDir,
}

impl Library {
    /// The one that is shared. It ends with the last test that holds it.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Library>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let library = Arc::new(Self::own());
            *shared = Arc::downgrade(&library);
            library
        })
    }

    /// One for a test that changes something.
    fn own() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Self {
            platform: Platform::start(folder.path()),
            folder,
        };
        library.add(PAPERS);
        library
    }

    /// Takes papers in, and returns when they can be found.
    fn add(&self, lines: &str) {
        let taken = self
            .platform
            .run_with_input(&["ingest", "-", "--wait", "--json"], lines);
        assert_eq!(taken.status, 0, "{taken:?}");
        assert_eq!(taken.json()["accepted"], lines.lines().count(), "{taken:?}");
    }

    /// The same folder under a new process.
    fn restarted(self) -> Self {
        let Self { platform, folder } = self;
        assert_eq!(platform.stop(), 0);
        Self {
            platform: Platform::start(folder.path()),
            folder,
        }
    }

    fn client(&self) -> SearchServiceClient<ServiceChannel> {
        SearchServiceClient::new(channel(&self.platform.endpoint("grpc"), None).unwrap())
    }

    async fn search(&self, request: SearchPapersRequest) -> SearchPapersResponse {
        let answer = self.client().search_papers(request.clone()).await;
        answer
            .unwrap_or_else(|status| panic!("{request:?}: {status:?}"))
            .into_inner()
    }

    /// Ids of the best hundred, without their scheme.
    async fn found(&self, request: SearchPapersRequest) -> Vec<String> {
        let request = SearchPapersRequest {
            page_size: 100,
            ..request
        };
        names(&self.search(request).await)
    }

    /// The same for a query of the language, in the order of ids.
    async fn set(&self, query: &str) -> Vec<String> {
        let mut found = self.found(ask(query)).await;
        found.sort();
        found
    }

    async fn refused(&self, request: SearchPapersRequest) -> Status {
        match self.client().search_papers(request.clone()).await {
            Ok(answer) => panic!("{request:?} is answered: {:?}", answer.into_inner()),
            Err(status) => status,
        }
    }
}

fn ask(query: &str) -> SearchPapersRequest {
    SearchPapersRequest {
        query: query.to_owned(),
        ..SearchPapersRequest::default()
    }
}

fn within(filter: PaperFilter) -> SearchPapersRequest {
    SearchPapersRequest {
        filter: Some(filter),
        ..SearchPapersRequest::default()
    }
}

/// A filter of nothing but what is set here.
fn only(set: impl FnOnce(&mut PaperFilter)) -> PaperFilter {
    let mut filter = PaperFilter::default();
    set(&mut filter);
    filter
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn name(paper: &Paper) -> String {
    paper.id.split_once(':').unwrap().1.to_owned()
}

fn names(answer: &SearchPapersResponse) -> Vec<String> {
    answer
        .results
        .iter()
        .map(|result| name(result.paper.as_ref().unwrap()))
        .collect()
}

/// The papers as they were written.
fn written() -> Vec<Value> {
    PAPERS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect()
}

/// Names of the papers that were written so, in the order of ids.
fn those(wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let mut names: Vec<String> = written()
        .iter()
        .filter(|paper| wanted(paper))
        .map(|paper| paper["id"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}
