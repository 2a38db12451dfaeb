//! What trends reaches readers: votes and counts of other sites make a paper trend, in the list, in a search, and in the next
//! digest.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::{SignedDuration, Timestamp};
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::attention::v1::{AttentionKind, RecordAttentionRequest, RecordSignalsRequest, SignalKind, SignalReport};
use serde_json::Value;
use tests::{Platform, eventually, post, token};
use tonic::Code;

const PAPERS: &str = r#"{"id":"arxiv:2402.14776","published":"2026-01-02","title":"Sleepy consensus","abstract":"Leader election that sleeps between heartbeats.","categories":["cs.DC"]}
{"id":"arxiv:2403.00001","published":"2026-01-02","title":"Counting seedlings from drones","abstract":"Weak supervision from row totals over fields.","categories":["cs.CV"]}
{"id":"arxiv:2403.00002","published":"2026-01-02","title":"Lullabies of the baroque","abstract":"A catalogue of manuscripts from monasteries.","categories":["cs.SD"]}
"#;
const VOTED: &str = "arxiv:2402.14776";
const MATCHING: &str = "arxiv:2403.00001";

fn platform(folder: &std::path::Path) -> Platform {
    let platform = Platform::start_with(folder, &[("BROADSHEET_NOTIFICATION__TRENDING_SECONDS", "1")]);
    let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    assert_eq!(taken.status, 0, "{taken:?}");
    platform
}

async fn vote(platform: &Platform, reader: &str) {
    let channel = common::grpc::channel(&platform.endpoint("grpc"), None).unwrap();
    let request = RecordAttentionRequest {
        event_id: String::new(),
        paper_id: VOTED.to_owned(),
        kind: AttentionKind::Vote.into(),
        reader_id: reader.to_owned(),
    };
    AttentionServiceClient::new(channel)
        .record_attention(request)
        .await
        .unwrap();
}

fn trending(platform: &Platform, window: &str) -> Vec<Value> {
    let list = platform.must(&["trending", "--window", window, "--json"]).json();
    list["papers"].as_array().unwrap().clone()
}

fn part<'a>(paper: &'a Value, name: &str) -> Option<&'a Value> {
    paper["parts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["name"] == name)
}

fn sums_up(paper: &Value) {
    let parts = paper["parts"].as_array().unwrap().iter();
    let sum: f64 = parts.map(|part| part["value"].as_f64().unwrap()).sum();
    assert!((sum - paper["score"].as_f64().unwrap()).abs() < 1e-6, "{paper}");
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_bring_a_paper_into_the_next_digest_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path());
    let interests = [
        "--interest",
        "drones over fields",
        "--papers",
        "2",
        "--trending-share",
        "0.5",
        "--confirm",
    ];
    platform.must(&[&["subscribe", "ada@example.org"], &interests[..]].concat());
    platform.must(&["subscribe", "eve@example.org", "--confirm"]);
    let preview = || {
        platform
            .must(&["digest", "preview", "ada@example.org", "--json"])
            .json()["papers"]
            .clone()
    };
    let before = preview();
    let ids = |papers: &Value| -> Vec<String> {
        let papers = papers.as_array().unwrap().iter();
        papers.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&before), [MATCHING], "nothing trends yet");

    // Most vote by the call, one by the link in her digest.
    for reader in 0..6 {
        vote(&platform, &format!("reader-{reader}")).await;
    }
    platform.must(&["digest", "send", "--to", "eve@example.org", "--now"]);
    let link = token(&platform.mails()[0], "vote");
    let web = platform.endpoint("web");
    let (status, page) = post(&format!("{web}/vote"), &[("token", &link), ("paper", VOTED)]);
    assert_eq!(status, 200, "{page}");
    eventually("the votes count", async || {
        let list = trending(&platform, "day");
        let votes = part(list.first()?, "votes")?["readers"].as_u64();
        (list[0]["id"] == VOTED && votes == Some(7)).then_some(())
    })
    .await;

    let after = eventually("what trends is in the digest", async || {
        let papers = preview();
        (ids(&papers) == [MATCHING, VOTED]).then_some(papers)
    })
    .await;
    assert_eq!(after[1]["reason"], "trending now");
    assert_eq!(after[1]["parts"][0]["name"], "trending");
    assert_eq!(
        (&after[0]["parts"][0]["name"], &after[0]["parts"][0]["interest"]),
        (&"interest".into(), &1.into())
    );
    for paper in after.as_array().unwrap() {
        sums_up(paper);
        assert!(paper["score"].as_f64().unwrap() > 0.0, "{paper}");
    }
    let told = platform
        .must(&["digest", "preview", "ada@example.org", "--explain"])
        .out;
    assert!(
        told.contains("trending    1.0000") && told.contains("interest 1"),
        "{told}"
    );

    platform.must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let mails = platform.mails();
    let digest = mails.iter().find(|mail| mail.contains("To: ada@example.org")).unwrap();
    assert!(
        digest.contains("Sleepy consensus") && digest.contains("trending now"),
        "{digest}"
    );

    let found = platform
        .must(&["search", "cat:cs.CV cat:cs.DC", "--order", "trending", "--json"])
        .json();
    assert_eq!(found["results"][0]["id"], VOTED, "{found}");
    let latest = latest(&platform, &token(digest, "preferences")).await;
    let parts: Vec<f64> = latest.papers[1].parts.iter().map(|part| part.value).collect();
    assert_eq!((parts, latest.papers[1].score), (vec![1.0], 1.0), "as it was sent");
}

async fn latest(platform: &Platform, token: &str) -> proto::delivery::v1::SentDigest {
    use proto::delivery::v1::GetLatestDigestRequest;
    use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
    let channel = common::grpc::channel(&platform.endpoint("grpc"), None).unwrap();
    let request = GetLatestDigestRequest {
        token: token.to_owned(),
        digest_count: 1,
    };
    let answer = DeliveryServiceClient::new(channel)
        .get_latest_digest(request)
        .await
        .unwrap();
    answer.into_inner().digests.remove(0)
}

fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

#[tokio::test(flavor = "multi_thread")]
async fn growing_counts_of_other_sites_make_papers_trend() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path());
    let (yesterday, before, now) = (hours_ago(30), hours_ago(14), hours_ago(1));
    let file = format!(
        "paper,kind,provider,count,time,since\r
{VOTED},stars,github,120,{now},\r
2402.14776,stars,github,20,{before},\r
{VOTED},upvotes,huggingface,12,{now},{yesterday}\r
{MATCHING},citations,openalex,10000,{now},2016-01-01\r
{MATCHING},likes,somewhere,1,{now},\r
{VOTED},stars,github,many,{now},\r
{VOTED},stars,Git Hub,1,{now},\r
{VOTED},stars,github,1,2999-01-01,\r
"
    );
    let import = |input: &str| platform.run_with_input(&["signals", "import", "-", "--json"], input);
    let taken = import(&file);
    assert_eq!(taken.status, 65, "{taken:?}");
    let report = taken.json();
    assert_eq!(report["accepted"], 4, "{report}");
    let refused = report["refused"].as_array().unwrap().iter();
    let refused: Vec<(u64, &str)> = refused
        .map(|one| (one["line"].as_u64().unwrap(), one["problem"].as_str().unwrap()))
        .collect();
    for ((line, problem), (expected, part)) in refused.iter().zip([
        (6, "kind is \"likes\""),
        (7, "count is \"many\""),
        (8, "provider is \"Git Hub\""),
        (9, "in the future"),
    ]) {
        assert!(*line == expected && problem.contains(part), "{line}: {problem}");
    }
    assert_eq!(refused.len(), 4);

    let first = eventually("all counts are read", async || {
        let list = trending(&platform, "week");
        let whole = list.len() == 2 && part(&list[0], "stars").is_some() && part(&list[0], "upvotes").is_some();
        whole.then_some(list)
    })
    .await;
    assert_eq!((&first[0]["id"], &first[1]["id"]), (&VOTED.into(), &MATCHING.into()));
    assert_eq!(part(&first[0], "stars").unwrap()["count"], 120);
    assert_eq!(part(&first[1], "citations").unwrap()["count"], 10_000);
    for paper in &first {
        sums_up(paper);
    }
    // Ten thousand citations of ten years are three a day.
    let score = |list: &[Value], place: usize| list[place]["attention_score"].as_f64().unwrap();
    assert!(score(&first, 1) < 7.0 && score(&first, 0) > 7.0, "{first:?}");
    let told = platform.must(&["trending", "--explain"]).out;
    assert!(told.contains("120 stars") && told.contains("12 upvotes"), "{told}");

    // Once more, and in another order, they change nothing; nor does a new process.
    let mut lines: Vec<&str> = file.lines().collect();
    lines[1..].reverse();
    assert_eq!(import(&lines.join("\n")).json()["accepted"], 4);
    let about = |list: &[Value]| (0..2).all(|place| (score(list, place) / score(&first, place) - 1.0).abs() < 0.02);
    assert!(about(&trending(&platform, "week")), "{first:?}");
    platform.kill();
    let platform = Platform::start(folder.path());
    let again = trending(&platform, "week");
    assert!(again.len() == 2 && about(&again), "{first:?} {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_signals_is_answered_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let channel = common::grpc::channel(&platform.endpoint("grpc"), None).unwrap();
    let mut service = AttentionServiceClient::new(channel);
    let report = |kind: SignalKind, provider: &str| SignalReport {
        paper_id: "https://arxiv.org/abs/2402.14776v3".to_owned(),
        kind: kind.into(),
        provider: provider.to_owned(),
        count: 3,
        ..SignalReport::default()
    };
    let reports = vec![
        report(SignalKind::Unspecified, "x"),
        report(SignalKind::Mentions, "x"),
        report(SignalKind::Mentions, ""),
    ];
    let answer = service
        .record_signals(RecordSignalsRequest { reports })
        .await
        .unwrap()
        .into_inner();
    let said: Vec<(&str, &str)> = answer
        .results
        .iter()
        .map(|one| (one.paper_id.as_str(), one.refusal.as_str()))
        .collect();
    assert!(said[0].1.starts_with("kind is 0; allowed are UPVOTES"), "{said:?}");
    assert_eq!(said[1], (VOTED, ""));
    assert!(said[2].1.starts_with("provider is \"\""), "{said:?}");
    let empty = service
        .record_signals(RecordSignalsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        (empty.code(), empty.message()),
        (Code::InvalidArgument, "reports has 0 entries; 1 to 1000 are allowed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_in_the_stream_of_an_earlier_release_still_count() {
    use async_nats::jetstream::{self, stream};
    use prost::Message as _;
    use proto::attention::v1::AttentionRecorded;
    use proto::convert::to_wire_time;

    let servers = tests::servers::Servers::start().await;
    let context = jetstream::new(servers.nats_client().await);
    let papers = stream::Config {
        name: "PAPERS".to_owned(),
        subjects: vec!["papers.>".to_owned(), "attention.>".to_owned()],
        ..stream::Config::default()
    };
    context.create_stream(papers).await.unwrap();
    for reader in 0..3 {
        let vote = AttentionRecorded {
            event_id: format!("vote-{reader}"),
            paper_id: VOTED.to_owned(),
            kind: AttentionKind::Vote.into(),
            reader_id: format!("reader-{reader}"),
            event_time: Some(to_wire_time(Timestamp::now())),
        };
        let stored = context.publish("attention.recorded", vote.encode_to_vec().into()).await;
        stored.unwrap().await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let platform = servers.platform(folder.path()).await;
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    eventually("the votes count", async || {
        let list = trending(&platform, "day");
        let votes = part(list.first()?, "votes")?["readers"].as_u64();
        (list[0]["id"] == VOTED && votes == Some(3)).then_some(())
    })
    .await;
    let status = platform.must(&["status", "--json"]).json();
    let attention = status["streams"].as_array().unwrap().iter();
    let attention: Vec<&Value> = attention.filter(|one| one["name"] == "ATTENTION").collect();
    assert_eq!(attention[0]["messages"], 3, "{status}");
    let papers = context.get_stream("PAPERS").await.unwrap();
    let config = &papers.cached_info().config;
    assert_eq!(
        (config.subjects.as_slice(), config.max_bytes),
        (&["papers.>".to_owned()][..], 1 << 30)
    );
    assert_eq!(platform.stop(), 0);
    servers.stop().await;
}
