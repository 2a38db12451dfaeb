//! The index is rebuilt for another model while readers search and papers come and go: no request fails, no paper is missing
//! at any moment, and the switch is atomic.
//!
//! `just rebuild-under-load` prints the figures; `BROADSHEET_REBUILD_PAPERS` says how many papers there are at the beginning.
#![expect(clippy::print_stdout, reason = "figures for people")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proto::index::v1::index_admin_service_client::IndexAdminServiceClient;
use proto::index::v1::{GetIndexStatusRequest, RebuildIndexRequest, RebuildState};
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{PaperSubmission, SubmitPaperRequest, WithdrawPaperRequest};
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{BatchGetPapersRequest, GetPaperRequest, ListPapersRequest, SearchPapersRequest};
use tests::{Platform, eventually};
use tonic::transport::Channel;

/// Readers that search without pause.
const READERS: usize = 3;
/// Papers that are accepted and not yet searchable.
const MOST_WAITING: usize = 50;
const SUBJECTS: [&str; 5] = [
    "graph networks",
    "consensus",
    "protein folding",
    "tidal turbines",
    "speech",
];

struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
    missing: AtomicU64,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_load_fails_no_request_and_misses_no_paper() {
    let first = std::env::var("BROADSHEET_REBUILD_PAPERS").map_or(200, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let platform = Platform::start_with(
        folder.path(),
        &[
            ("BROADSHEET_EMBEDDING__MODEL", "static"),
            ("BROADSHEET_EMBEDDING__NEXT_MODEL", "minilm"),
        ],
    );
    let channel = Channel::from_shared(platform.endpoint("grpc")).expect("an address");
    let channel = channel.connect().await.expect("a connection");
    let mut submitted = Vec::new();
    for number in 0..first {
        submitted.push(submit(channel.clone(), number).await);
    }
    eventually("the first papers are searchable", || {
        let channel = channel.clone();
        async move { (papers(channel).await == first).then_some(()) }
    })
    .await;

    let counts = Arc::new(Counts {
        requests: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        missing: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let readers: Vec<_> = (0..READERS)
        .map(|number| tokio::spawn(read(channel.clone(), Arc::clone(&counts), submitted.clone(), number)))
        .collect();
    let writer = tokio::spawn(write(channel.clone(), Arc::clone(&counts), first));

    let mut admin = IndexAdminServiceClient::new(channel.clone());
    let before = admin.get_index_status(GetIndexStatusRequest {}).await.expect("status");
    let request = RebuildIndexRequest {
        encoder_id: String::new(),
        switch_when_complete: true,
    };
    let mut reports = admin.rebuild_index(request).await.expect("a rebuild").into_inner();
    let mut last = None;
    while let Some(report) = reports.message().await.expect("a report") {
        last = report.progress;
    }
    assert_eq!(last.map(|last| last.state()), Some(RebuildState::Switched));
    // Readers and writer go on for a while over the new collection.
    let turn = counts.requests.load(Ordering::Relaxed);
    eventually("readers go on", || {
        let more = counts.requests.load(Ordering::Relaxed) > turn + 100;
        async move { more.then_some(()) }
    })
    .await;
    counts.over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("a reader");
    }
    let (written, withdrawn) = writer.await.expect("the writer");
    let after = admin.get_index_status(GetIndexStatusRequest {}).await.expect("status");
    assert_ne!(before.into_inner().collection, after.into_inner().collection);

    submitted.extend(written);
    submitted.retain(|id| !withdrawn.contains(id));
    let expected = submitted.len();
    eventually("what was accepted is searchable", || {
        let channel = channel.clone();
        async move { (papers(channel).await == expected).then_some(()) }
    })
    .await;
    let mut search = SearchServiceClient::new(channel);
    let mut missing = counts.missing.load(Ordering::Relaxed);
    for some in submitted.chunks(500) {
        let request = BatchGetPapersRequest {
            paper_ids: some.to_vec(),
        };
        let there = search
            .batch_get_papers(request)
            .await
            .expect("papers")
            .into_inner()
            .papers
            .len();
        missing += (some.len() - there) as u64;
    }
    for id in &withdrawn {
        let request = GetPaperRequest { paper_id: id.clone() };
        assert!(search.get_paper(request).await.is_err(), "{id} was withdrawn");
    }
    let failed = counts.failed.load(Ordering::Relaxed);
    println!(
        "{} requests during the rebuild, {} papers came and {} went",
        counts.requests.load(Ordering::Relaxed),
        expected + withdrawn.len() - first,
        withdrawn.len()
    );
    println!("rebuild: papers={expected} failed_requests={failed} missing={missing}");
    assert_eq!((failed, missing), (0, 0));
    assert_eq!(platform.stop(), 0);
}

/// Searches, lists, and looks for papers that were there from the beginning and must be there all the time.
async fn read(channel: Channel, counts: Arc<Counts>, there: Vec<String>, number: usize) {
    let mut search = SearchServiceClient::new(channel);
    let mut turn = number;
    while !counts.over.load(Ordering::Relaxed) {
        turn += 1;
        let request = SearchPapersRequest {
            query: format!("{} {turn}", SUBJECTS[turn % SUBJECTS.len()]),
            ..SearchPapersRequest::default()
        };
        let failed = match search.search_papers(request).await {
            Ok(found) => {
                if found.into_inner().results.len() < 20 {
                    counts.missing.fetch_add(1, Ordering::Relaxed);
                }
                false
            }
            Err(status) => {
                println!("a search failed: {status}");
                true
            }
        };
        let id = there[turn % there.len()].clone();
        let looked = search.get_paper(GetPaperRequest { paper_id: id }).await;
        let listed = search.list_papers(ListPapersRequest::default()).await;
        if looked
            .as_ref()
            .is_err_and(|status| status.code() == tonic::Code::NotFound)
        {
            counts.missing.fetch_add(1, Ordering::Relaxed);
        }
        counts.requests.fetch_add(3, Ordering::Relaxed);
        let failures = u64::from(failed) + u64::from(looked.is_err()) + u64::from(listed.is_err());
        counts.failed.fetch_add(failures, Ordering::Relaxed);
    }
}

/// Submits papers and withdraws every tenth of them.
async fn write(channel: Channel, counts: Arc<Counts>, from: usize) -> (Vec<String>, HashSet<String>) {
    let mut ingest = IngestServiceClient::new(channel.clone());
    let (mut written, mut withdrawn) = (Vec::new(), HashSet::new());
    let mut number = from;
    while !counts.over.load(Ordering::Relaxed) {
        let id = submit(channel.clone(), number).await;
        if number.is_multiple_of(10) {
            let request = WithdrawPaperRequest {
                paper_id: id.clone(),
                ..WithdrawPaperRequest::default()
            };
            ingest.withdraw_paper(request).await.expect("a withdrawal");
            withdrawn.insert(id.clone());
        }
        written.push(id);
        number += 1;
        // A paper now and then, as sources bring them: the rebuild is what is under load, not the encoder alone. On a slow
        // machine even these would pile up before it.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let expected = number - withdrawn.len();
        eventually("papers become searchable while others come", || {
            let channel = channel.clone();
            async move { (papers(channel).await + MOST_WAITING >= expected).then_some(()) }
        })
        .await;
    }
    (written, withdrawn)
}

async fn submit(channel: Channel, number: usize) -> String {
    let subject = SUBJECTS[number % SUBJECTS.len()];
    let request = SubmitPaperRequest {
        paper: Some(PaperSubmission {
            id: number.to_string(),
            source: "load".into(),
            title: format!("Notes on {subject}, volume {number}"),
            r#abstract: format!("We look at {subject} for the {number}th time and find that it is larger than it was."),
            ..PaperSubmission::default()
        }),
    };
    let answer = IngestServiceClient::new(channel).submit_paper(request).await;
    let result = answer
        .expect("a paper is accepted")
        .into_inner()
        .result
        .expect("a result");
    result.paper_id
}

async fn papers(channel: Channel) -> usize {
    let status = IndexAdminServiceClient::new(channel)
        .get_index_status(GetIndexStatusRequest {})
        .await
        .expect("status");
    usize::try_from(status.into_inner().papers).expect("a number")
}
