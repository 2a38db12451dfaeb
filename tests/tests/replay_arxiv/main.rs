//! Days of arXiv in accelerated time, through the real pipeline: a feed server that misbehaves, and a harvester that is
//! killed at random moments. Afterwards the catalogue is exactly what was announced.
//!
//! It needs `arxiv-daily` (see `tests::data`). `just replay-arxiv` plays thirty days; the test run plays a few.
#![expect(clippy::unwrap_used, reason = "tests")]

mod announcer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use announcer::{Announced, Announcer, TROUBLES};
use common::grpc::channel;
use domain::Submission;
use jiff::Timestamp;
use proto::papers::v1::Paper;
use proto::search::v1::ListPapersRequest;
use proto::search::v1::search_service_client::SearchServiceClient;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tests::Platform;
use tests::servers::Servers;

/// Longest wait for anything, with kills in between.
const PATIENCE: Duration = Duration::from_mins(5);
/// What a reader may wait for a paper beyond the polling interval.
const FRESH: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(300);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

/// A file that names the feed.
fn sources(folder: &Path, feed: &Announcer) -> PathBuf {
    let file = folder.join("sources.toml");
    let text = format!(
        "[http]\ncontact = \"replay@example.org\"\nattempts = 2\npatience_seconds = 2\nidle_timeout_seconds = 10\nproxy = \"none\"\n\
         [http.default_host]\ninterval_milliseconds = 0\nconnections = 1\n\
         [sources.arxiv]\noai_url = \"{}\"\ninterval = \"{}ms\"\nbegin = \"{}\"\n",
        feed.url(),
        INTERVAL.as_millis(),
        feed.first_day()
    );
    std::fs::write(&file, text).unwrap();
    file
}

async fn start(servers: &Servers, folder: &Path, sources: &Path) -> Platform {
    let (nats, redis) = (servers.nats(), servers.redis());
    let (folder, sources) = (folder.to_owned(), sources.to_str().unwrap().to_owned());
    let starting = tokio::task::spawn_blocking(move || {
        let environment = [
            ("BROADSHEET_NATS__URL", nats.as_str()),
            ("BROADSHEET_NOTIFICATION__REDIS_URL", redis.as_str()),
            ("BROADSHEET_INGEST__SOURCES", sources.as_str()),
            ("BROADSHEET_INGEST__SOURCE_LEASE_MS", "1000"),
        ];
        Platform::start_with(&folder, &environment)
    });
    starting.await.unwrap()
}

/// Everything in the catalogue, and how often each id is listed.
async fn listed(url: &str) -> BTreeMap<String, Vec<Paper>> {
    let mut search = SearchServiceClient::new(channel(url, None).unwrap());
    let mut papers: BTreeMap<String, Vec<Paper>> = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = ListPapersRequest {
            page_size: 1_000,
            page_token,
            ..ListPapersRequest::default()
        };
        let answer = search.list_papers(request).await.unwrap().into_inner();
        for paper in answer.papers {
            papers.entry(paper.id.clone()).or_default().push(paper);
        }
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return papers;
        }
    }
}

/// Title and abstract as sources read and ingest normalises them.
fn expected(paper: &Announced) -> (String, String) {
    let submission = Submission {
        id: paper.id.clone(),
        title: domain::tex::letters(&paper.title).into_owned(),
        abstract_text: domain::tex::letters(&paper.abstract_text).into_owned(),
        ..Submission::default()
    };
    let paper = submission.into_paper(Timestamp::now()).unwrap();
    (paper.title, paper.abstract_text)
}

#[derive(Debug, Default)]
struct Comparison {
    announced: usize,
    indexed: usize,
    missed: Vec<String>,
    doubled: Vec<String>,
}

/// What is announced and not in the catalogue as it was announced; what is there and should not be, or twice.
fn compare(announced: &BTreeMap<String, Announced>, indexed: &BTreeMap<String, Vec<Paper>>) -> Comparison {
    let standing: BTreeMap<String, &Announced> = announced
        .values()
        .filter(|paper| paper.stands)
        .map(|paper| (format!("arxiv:{}", paper.id), paper))
        .collect();
    let mut comparison = Comparison {
        announced: standing.len(),
        indexed: indexed.len(),
        ..Comparison::default()
    };
    for (id, paper) in &standing {
        let found = indexed.get(id).and_then(|papers| papers.first());
        let is_it = found.is_some_and(|found| (found.title.clone(), found.r#abstract.clone()) == expected(paper));
        if !is_it {
            comparison.missed.push(id.clone());
        }
    }
    for (id, papers) in indexed {
        if papers.len() > 1 || !standing.contains_key(id) {
            comparison.doubled.push(id.clone());
        }
    }
    comparison
}

/// Compares until nothing differs any more, or patience ends.
async fn settled(feed: &Announcer, platform: &Platform) -> Comparison {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let passes = feed.passes();
        let comparison = compare(&feed.papers(), &listed(&platform.endpoint("grpc")).await);
        let equal = comparison.missed.is_empty() && comparison.doubled.is_empty();
        if equal || Instant::now() > deadline {
            return comparison;
        }
        // Nothing changes before the feed was read again.
        feed.until_passes(passes + 1, Duration::from_secs(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_what_was_announced_whatever_is_killed() {
    let Some(file) = tests::data::find("arxiv-daily/papers.jsonl.zst") else {
        return;
    };
    let days = usize::try_from(setting("BROADSHEET_REPLAY_DAYS", 4)).unwrap();
    let kills_wanted = setting("BROADSHEET_REPLAY_KILLS", 4);
    let seed = setting("BROADSHEET_REPLAY_SEED", 1);
    let mut random = StdRng::seed_from_u64(seed);
    let feed = Announcer::start(&file, days, seed);
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path(), &feed);
    feed.announce(0);
    let mut platform = start(&servers, folder.path(), &sources).await;
    let mut kills = 0;
    for day in 0..feed.days() {
        feed.announce(day);
        let kills_by_now = kills_wanted * (day as u64 + 1) / feed.days() as u64;
        while kills < kills_by_now {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..1_500))).await;
            platform.kill();
            kills += 1;
            platform = start(&servers, folder.path(), &sources).await;
            // It reads the feed once before it is killed again: a paper whose worker dies six times is a dead letter.
            let passes = feed.passes() + 1;
            tokio::task::block_in_place(|| assert!(feed.until_passes(passes, PATIENCE), "day {day} is never read"));
        }
        // Some days are over before anybody has read them.
        let passes = feed.passes() + random.random_range(0..2_u64);
        tokio::task::block_in_place(|| {
            assert!(
                feed.until_passes(passes, PATIENCE),
                "day {day} is never read to its end"
            );
        });
    }
    // What was in the hands of too many workers that died lies among the dead letters, from where an operator sends it on.
    let letters = platform.must(&["dead-letters", "list", "--json"]).json();
    let letters = letters["dead_letters"].as_array().unwrap().len();
    if letters > 0 {
        platform.must(&["dead-letters", "replay", "--all"]);
    }
    let comparison = settled(&feed, &platform).await;
    let fresh = time_to_searchable(&feed, &platform).await;
    let source = platform.must(&["sources", "show", "arxiv", "--json"]).json();
    println!(
        "replay: troubles={:?} dead_letters_replayed={letters} source={source}",
        feed.troubles()
    );
    println!(
        "replay: seconds_from_announcement_to_searchable={:.2} of which at most {:.1} is the interval",
        fresh.as_secs_f64(),
        INTERVAL.as_secs_f64()
    );
    println!(
        "replay: announced={} indexed={} missed={} doubled={} kills={kills}",
        comparison.announced,
        comparison.indexed,
        comparison.missed.len(),
        comparison.doubled.len()
    );
    assert!(
        comparison.missed.is_empty() && comparison.doubled.is_empty(),
        "{comparison:?}"
    );
    assert!(
        comparison.announced > 100 * feed.days() / 2,
        "too few were announced to show anything"
    );
    assert!(
        feed.troubles().len() == TROUBLES.len(),
        "the feed behaved too well: {:?}",
        feed.troubles()
    );
    assert_eq!(source["quarantined"].as_array().unwrap().len(), 0, "{source}");
    assert!(
        fresh < INTERVAL + FRESH + PATIENCE,
        "a paper that is announced now is found"
    );
    platform.stop();
    servers.stop().await;
}

/// From the announcement of a paper to its being found.
async fn time_to_searchable(feed: &Announcer, platform: &Platform) -> Duration {
    let begun = Instant::now();
    feed.announce_late("2699.00001", "The paper that came last");
    let mut search = SearchServiceClient::new(channel(&platform.endpoint("grpc"), None).unwrap());
    let found = async {
        let id = "arxiv:2699.00001".to_owned();
        while search
            .get_paper(proto::search::v1::GetPaperRequest { paper_id: id.clone() })
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap();
    begun.elapsed()
}
