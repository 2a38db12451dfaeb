//! Votes of readers that do not exist.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::grpc::{ServiceChannel, channel};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::attention::v1::{AttentionKind, RecordAttentionRequest};
use serde_json::Value;
use sha2::Sha256;
use tests::{Platform, counted, eventually, until};
use tonic::{Code, Status};

const PAPERS: &str = r#"{"id":"arxiv:2402.14776","published":"2026-01-02","title":"Sleepy consensus","abstract":"Leader election that sleeps.","categories":["cs.DC"]}
{"id":"arxiv:2403.00001","published":"2026-01-02","title":"Counting seedlings from drones","abstract":"Weak supervision from row totals.","categories":["cs.CV"]}
"#;
const PUSHED: &str = "arxiv:2402.14776";
const OTHER: &str = "arxiv:2403.00001";
const RECORDED: &str = "broadsheet_ingest_attention_total{outcome=\"recorded\"}";
/// What signs the cookies of a platform that is told to.
const KEY: &str = "0123456789abcdef0123456789abcdef";

fn platform(folder: &Path, environment: &[(&str, &str)]) -> Platform {
    let proxy = ("BROADSHEET_WEB__TRUSTED_PROXIES", "127.0.0.1/32");
    let platform = Platform::start_with(folder, &[&[proxy], environment].concat());
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    platform
}

/// A stranger who presses buttons, from an address that the proxy reports.
struct Stranger {
    web: String,
    agent: ureq::Agent,
}

/// What the browser was told: the status, and the value of the cookie that names the reader; empty where it was taken away.
struct Pressed {
    status: u16,
    reader: Option<String>,
}

impl Stranger {
    fn of(platform: &Platform) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0);
        Self {
            web: platform.endpoint("web"),
            agent: ureq::Agent::new_with_config(config.build()),
        }
    }

    fn vote(&self, address: &str, cookie: &str, paper: &str) -> Pressed {
        let asked = self.agent.post(format!("{}/vote", self.web));
        let asked = asked.header("x-forwarded-for", address).header("cookie", cookie);
        let mut answer = asked.send_form([("paper", paper), ("back", "/")]).unwrap();
        let lines = answer.headers().get_all("set-cookie").iter();
        let reader = lines
            .filter_map(|line| line.to_str().unwrap().strip_prefix("reader="))
            .map(|rest| rest.split(';').next().unwrap().to_owned())
            .next();
        let status = answer.status().as_u16();
        answer.body_mut().read_to_vec().unwrap();
        Pressed { status, reader }
    }
}

fn attention(platform: &Platform) -> AttentionServiceClient<ServiceChannel> {
    AttentionServiceClient::new(channel(&platform.endpoint("grpc"), None).unwrap())
}

async fn record(
    client: &mut AttentionServiceClient<ServiceChannel>,
    reader: &str,
    event: &str,
    paper: &str,
) -> Result<(), Status> {
    let request = RecordAttentionRequest {
        event_id: event.to_owned(),
        paper_id: paper.to_owned(),
        kind: AttentionKind::Vote.into(),
        reader_id: reader.to_owned(),
    };
    client.record_attention(request).await.map(drop)
}

/// What trends, once a vote that was given after everything else has been counted.
async fn trending_after_all(platform: &Platform) -> Vec<Value> {
    record(&mut attention(platform), "last", "last", OTHER).await.unwrap();
    eventually("the last vote counts", async || {
        let list = platform.must(&["trending", "--window", "day", "--json"]).json();
        let papers = list["papers"].as_array().unwrap().clone();
        papers.iter().any(|one| one["id"] == OTHER).then_some(papers)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_without_a_cookie_move_nothing() {
    const VOTES: u32 = 2_000;
    const NEW_READERS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let limit = NEW_READERS.to_string();
    let platform = platform(folder.path(), &[("BROADSHEET_WEB__NEW_READERS_PER_MINUTE", &limit)]);
    let stranger = Stranger::of(&platform);
    let begun = std::time::Instant::now();
    let mut issued = 0;
    for number in 0..VOTES {
        let address = format!("203.{}.{}.7", number / 250, number % 250);
        let pressed = stranger.vote(&address, "", PUSHED);
        assert_eq!(pressed.status, 303, "its sender sees it as done");
        issued += usize::from(pressed.reader.is_some_and(|reader| !reader.is_empty()));
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few minutes at most"
    )]
    let most = NEW_READERS + (minutes * NEW_READERS as f64) as usize + 1;
    assert!((1..=most).contains(&issued), "{issued} readers, {most} are allowed");
    let trending = trending_after_all(&platform).await;
    assert!(trending.iter().all(|one| one["id"] != PUSHED), "{trending:?}");
    let admin = platform.endpoint("admin");
    assert_eq!(counted(&admin, RECORDED), 1, "only the last one");
    assert_eq!(counted(&admin, "broadsheet_indexing_attention_readers"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_reader_cookies_are_nobodys() {
    const ADDRESS: &str = "203.0.113.9";
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("BROADSHEET_WEB__READER_MINUTES", "0"),
        ("BROADSHEET_WEB__NEW_READERS_PER_MINUTE_PER_CLIENT", "1"),
    ];
    let platform = platform(folder.path(), &limits);
    let (stranger, admin) = (Stranger::of(&platform), platform.endpoint("admin"));
    let first = stranger.vote(ADDRESS, "", OTHER);
    let sound = first.reader.unwrap();
    assert_eq!(
        counted(&admin, RECORDED),
        1,
        "who is admitted counts at once, as this platform is told"
    );
    let (payload, signature) = sound.rsplit_once('.').unwrap();
    let (id, issued) = payload.split_once('.').unwrap();
    let forged = [
        uuid::Uuid::new_v4().simple().to_string(),
        id.to_owned(),
        payload.to_owned(),
        format!("{}.{issued}.{signature}", uuid::Uuid::new_v4().simple()),
        format!("{id}.0.{signature}"),
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode([0; 16])),
        signed("another key of thirty-two letters", id, issued),
    ];
    for forged in forged {
        let pressed = stranger.vote(ADDRESS, &format!("reader={forged}"), PUSHED);
        assert_eq!((pressed.status, pressed.reader.as_deref()), (303, Some("")), "{forged}");
    }
    assert_eq!(counted(&admin, RECORDED), 1);
    let trending = trending_after_all(&platform).await;
    assert!(trending.iter().all(|one| one["id"] != PUSHED), "{trending:?}");
    // The one that was issued is still somebody's.
    stranger.vote(ADDRESS, &format!("reader={sound}"), PUSHED);
    assert_eq!(counted(&admin, RECORDED), 3);
}

fn signed(key: &str, id: &str, issued: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(b"broadsheet reader cookie\n");
    mac.update(format!("{id}.{issued}").as_bytes());
    let signature = mac.finalize().into_bytes();
    format!("{id}.{issued}.{}", URL_SAFE_NO_PAD.encode(&signature[..16]))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_press_records_the_votes_that_waited_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &[("BROADSHEET_WEB__COOKIE_KEY", KEY)]);
    let (stranger, admin) = (Stranger::of(&platform), platform.endpoint("admin"));
    let id = uuid::Uuid::new_v4().simple().to_string();
    let issued = |ago: Duration| {
        let second = jiff::Timestamp::now().as_second() - i64::try_from(ago.as_secs()).unwrap();
        signed(KEY, &id, &format!("{second:x}"))
    };
    // A minute old: shown, not recorded.
    let young = format!("reader={}", issued(Duration::from_mins(1)));
    assert_eq!(stranger.vote("203.0.113.9", &young, PUSHED).status, 303);
    assert_eq!(counted(&admin, RECORDED), 0);
    // An hour old, with a vote that waits, and many for papers that do not exist.
    let nowhere: Vec<String> = (0..100).map(|number| format!("arxiv:9901.{number:05}")).collect();
    let old = format!(
        "reader={}; waiting={PUSHED}|{}",
        issued(Duration::from_hours(1)),
        nowhere.join("|")
    );
    assert_eq!(stranger.vote("203.0.113.9", &old, OTHER).status, 303);
    assert_eq!(counted(&admin, RECORDED), 2);
    let trending = eventually("both votes count", async || {
        let list = platform.must(&["trending", "--window", "day", "--json"]).json();
        let papers = list["papers"].as_array().unwrap().clone();
        (papers.len() == 2).then_some(papers)
    })
    .await;
    let ids: Vec<&str> = trending.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&PUSHED) && ids.contains(&OTHER), "{ids:?}");
    assert_eq!(counted(&admin, "broadsheet_indexing_attention_readers"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attention_is_bounded_for_each_reader_and_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("BROADSHEET_INGEST__ATTENTION_PER_MINUTE_PER_READER", "10"),
        ("BROADSHEET_INGEST__ATTENTION_PER_MINUTE", "30"),
    ];
    let platform = platform(folder.path(), &limits);
    let mut client = attention(&platform);
    let mut taken = 0;
    for number in 0..200 {
        let reader = if number < 100 {
            "one".to_owned()
        } else {
            format!("reader-{number}")
        };
        match record(&mut client, &reader, &format!("event-{number}"), PUSHED).await {
            Ok(()) => taken += 1,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
        }
        assert!(number >= 100 || taken <= 12, "{taken} of one reader");
    }
    assert!((11..=35).contains(&taken), "{taken} of all");
    let admin = platform.endpoint("admin");
    assert_eq!(counted(&admin, RECORDED), taken);
    until("what was refused is counted", || {
        (counted(&admin, "broadsheet_ingest_attention_total{outcome=\"refused\"}") == 200 - taken).then_some(())
    });
}
