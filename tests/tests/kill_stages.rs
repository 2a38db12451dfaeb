//! Kills the platform (-9) between each pair of stages of the flow, and looks whether every acknowledged paper can be found
//! once and every digest was delivered once.
//!
//! NATS and Redis outlive the platform here, so that the test can watch the subjects and strike at the very message.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use common::grpc::channel;
use futures::StreamExt as _;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{PaperSubmission, SubmissionStatus, SubmitPapersRequest};
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{BatchGetPapersRequest, ListPapersRequest};
use tests::Platform;
use tests::servers::Servers;

const PAPERS_PER_KILL: usize = 40;
/// What is seen right before the kill: a message of a route, or the acknowledgement of one.
const STRIKES: [&str; 5] = [
    "papers.accepted",
    "$JS.ACK.PAPERS.embedding-accepted.>",
    "papers.embedded",
    "$JS.ACK.PAPERS.indexing-embedded.>",
    "papers.indexed",
];
const PATIENCE: Duration = Duration::from_mins(2);

fn paper(round: usize, number: usize) -> PaperSubmission {
    PaperSubmission {
        id: format!("{round}-{number}"),
        title: format!("Paper {number} of round {round}"),
        r#abstract: format!("What happens to paper {number} when the platform is killed in round {round}."),
        source: "kill".to_owned(),
        published_time: Some(prost_types::Timestamp::default()),
        ..PaperSubmission::default()
    }
}

/// Submits until the platform is gone, and says which papers were acknowledged.
async fn submit(url: String, round: usize) -> BTreeSet<String> {
    let requests = (0..PAPERS_PER_KILL).map(move |number| SubmitPapersRequest {
        reference: number.to_string(),
        paper: Some(paper(round, number)),
    });
    let mut acknowledged = BTreeSet::new();
    let mut client = IngestServiceClient::new(channel(&url, None).unwrap());
    let Ok(results) = client.submit_papers(futures::stream::iter(requests)).await else {
        return acknowledged;
    };
    let mut results = results.into_inner();
    while let Ok(Some(result)) = results.message().await {
        let result = result.result.unwrap();
        if result.status() == SubmissionStatus::Accepted {
            acknowledged.insert(result.paper_id);
        }
    }
    acknowledged
}

/// Looks until every id can be found.
async fn find_all(url: &str, ids: &BTreeSet<String>) {
    let mut search = SearchServiceClient::new(channel(url, None).unwrap());
    let looking = async {
        let mut missing: BTreeSet<String> = ids.clone();
        while !missing.is_empty() {
            let request = BatchGetPapersRequest {
                paper_ids: missing.iter().cloned().collect(),
            };
            for paper in search.batch_get_papers(request).await.unwrap().into_inner().papers {
                missing.remove(&paper.id);
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    assert!(found.is_ok(), "acknowledged papers are lost");
}

/// How often each paper is listed.
async fn listed(url: &str) -> HashMap<String, usize> {
    let mut search = SearchServiceClient::new(channel(url, None).unwrap());
    let request = ListPapersRequest {
        page_size: 1_000,
        ..ListPapersRequest::default()
    };
    let mut counts = HashMap::new();
    for paper in search.list_papers(request).await.unwrap().into_inner().papers {
        *counts.entry(paper.id).or_default() += 1;
    }
    counts
}

/// Sends a digest and kills the platform as soon as the mail is in the maildir, recorded or not.
async fn kill_at_the_mail(platform: Platform, folder: &Path, reader: String) {
    let (folder, mailed) = (folder.to_owned(), reader.clone());
    let running = tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            scope.spawn(|| platform.run(&["digest", "send", "--to", &reader, "--now"]));
            // Without a pause between looks: the kill must come before the record.
            let deadline = Instant::now() + PATIENCE;
            let is_mailed = || {
                let mails = tests::mails(&folder);
                mails.iter().any(|mail| mail.contains(&format!("To: {mailed}")))
            };
            while !is_mailed() {
                assert!(Instant::now() < deadline, "no mail came to {mailed}");
                std::thread::yield_now();
            }
            let killed = std::process::Command::new("kill")
                .args(["-KILL", &platform.pid().to_string()])
                .status();
            assert!(killed.unwrap().success());
        });
        drop(platform);
    });
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn papers_and_digests_survive_a_kill_between_any_two_stages() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let nats = servers.nats_client().await;
    let mut acknowledged = BTreeSet::new();
    let mut kills = 0;
    for (round, subject) in STRIKES.into_iter().enumerate() {
        let platform = servers.platform(folder.path()).await;
        let mut seen = nats.subscribe(subject).await.unwrap();
        nats.flush().await.unwrap();
        let submitting = tokio::spawn(submit(platform.endpoint("grpc"), round));
        tokio::time::timeout(PATIENCE, seen.next()).await.unwrap().unwrap();
        platform.kill();
        kills += 1;
        acknowledged.extend(submitting.await.unwrap());
    }
    let mut digests = BTreeSet::new();
    for round in 0..2 {
        let reader = format!("reader{round}@example.org");
        let platform = servers.platform(folder.path()).await;
        acknowledged.extend(submit(platform.endpoint("grpc"), STRIKES.len() + round).await);
        find_all(&platform.endpoint("grpc"), &acknowledged).await;
        platform.must(&["subscribe", &reader, "--confirm"]);
        kill_at_the_mail(platform, folder.path(), reader.clone()).await;
        kills += 1;
        digests.insert(reader);
    }
    let platform = servers.platform(folder.path()).await;
    let url = platform.endpoint("grpc");
    find_all(&url, &acknowledged).await;
    let counts = listed(&url).await;
    let once = acknowledged.iter().filter(|id| counts.get(*id) == Some(&1)).count();
    let delivered = deliver_all(&platform, &digests).await;
    println!(
        "kill-stages: kills={kills} acknowledged={} searchable_once={once} digests_due={} delivered_once={delivered}",
        acknowledged.len(),
        digests.len()
    );
    assert!(
        acknowledged.len() >= 2 * PAPERS_PER_KILL,
        "too few were acknowledged to show anything"
    );
    assert_eq!(once, acknowledged.len());
    assert_eq!(delivered, digests.len());
    platform.stop();
    servers.stop().await;
}

/// Sends what is due until it is recorded as sent; counts readers with exactly one mail. A claim whose owner was killed
/// is free after its lease.
async fn deliver_all(platform: &Platform, readers: &BTreeSet<String>) -> usize {
    let sending = async {
        loop {
            let deliveries = platform.must(&["digest", "send", "--now", "--json"]).json();
            let all = deliveries["deliveries"].as_array().unwrap();
            if all.len() == readers.len() && all.iter().all(|one| one["state"] == "sent") {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.unwrap();
    let mails = platform.mails();
    let of = |reader: &String| {
        mails
            .iter()
            .filter(|mail| mail.contains(&format!("To: {reader}")))
            .count()
    };
    readers.iter().filter(|reader| of(reader) == 1).count()
}
