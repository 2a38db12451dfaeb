//! Texts of strangers that keep the encoder busy.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::grpc::channel;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{PaperSubmission, SubmitPaperRequest};
use serde_json::json;
use tests::services::Services;
use tests::{Platform, counted, eventually, until};

/// The client that sends all the text it can.
const ABUSER: &str = "198.51.100.7";
/// Searches of other readers while it does.
const SEARCHES: usize = 120;
/// How many readers search at a time.
const READERS: usize = 3;
const NOTICE: &str = "searching by words alone";

/// A client of the pages, as one behind a proxy on this machine.
struct Visitor {
    agent: ureq::Agent,
    web: String,
}

/// What a visitor gets; the status is 0 where the connection is cut off, as it may be for whoever sends too much.
#[derive(Debug, Default)]
struct Page {
    status: u16,
    retry_after: String,
    warning: String,
    policy: String,
    text: String,
}

impl Visitor {
    fn new(web: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(tests::PATIENCE))
            .build();
        Self {
            agent: ureq::Agent::new_with_config(config),
            web: web.to_owned(),
        }
    }

    fn send(&self, from: &str, request: ureq::http::request::Builder, body: String) -> Page {
        let request = request.header("x-forwarded-for", from).body(body).unwrap();
        let Ok(mut answer) = self.agent.run(request) else {
            return Page::default();
        };
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
        };
        Page {
            status: answer.status().as_u16(),
            retry_after: header("retry-after"),
            warning: header("warning"),
            policy: header("ratelimit-policy"),
            text: answer.body_mut().read_to_string().unwrap_or_default(),
        }
    }

    fn get(&self, from: &str, path: &str) -> Page {
        let request = ureq::http::Request::get(format!("{}{path}", self.web));
        self.send(from, request, String::new())
    }

    fn search(&self, from: &str, query: &str) -> Page {
        self.get(from, &format!("/search?q={}", query.replace(' ', "+")))
    }

    /// Asks for the preview of a digest for these interests.
    fn preview(&self, from: &str, interests: &[String]) -> Page {
        let request = ureq::http::Request::post(format!("{}/subscribe/preview", self.web))
            .header("content-type", "application/x-www-form-urlencoded");
        let lines = interests.join("%0A").replace(' ', "+");
        self.send(from, request, format!("interests={lines}&paper_count=10"))
    }

    /// Has an assistant's tool search.
    fn tool(&self, from: &str, query: &str) -> Page {
        let request = ureq::http::Request::post(format!("{}/mcp", self.web))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-06-18");
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "search_papers", "arguments": { "query": query } },
        });
        self.send(from, request, call.to_string())
    }
}

/// Text of this many characters that no other call of a test gives: long words, because a query has at most 256.
fn text(number: usize, characters: usize) -> String {
    let mut text = format!("owls{number}");
    for word in 0_usize.. {
        if text.len() >= characters {
            break;
        }
        let digits = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let _ = write!(text, " night{digits:016x}owlsbarns");
    }
    text.truncate(characters);
    text
}

fn long_interests(first: usize, count: usize) -> Vec<String> {
    (first..first + count).map(|number| text(number, 990)).collect()
}

/// A platform with a real encoder and some papers, which takes the word of a proxy on this machine.
fn platform(folder: &std::path::Path, environment: &[(&str, &str)]) -> Platform {
    let shared = [
        ("BROADSHEET_EMBEDDING__MODEL", "minilm"),
        ("BROADSHEET_WEB__TRUSTED_PROXIES", "127.0.0.1/32"),
    ];
    let platform = Platform::start_with(folder, &[&shared, environment].concat());
    let papers = (0..40).map(|number| {
        json!({
            "id": format!("paper-{number}"),
            "title": format!("Owls of the night, part {number}"),
            "abstract": format!("Owls hunt mice in barn {number}."),
            "published": format!("2026-01-{:02}", number % 28 + 1),
        })
    });
    let lines: Vec<String> = papers.map(|paper| paper.to_string()).collect();
    platform.must_with_input(&["ingest", "-", "--wait"], &lines.join("\n"));
    platform
}

/// Searches of several readers, each of another address and for something else: how long each took, and what came.
fn searches(web: &str, verb: &str) -> Vec<(Duration, Page)> {
    let next = AtomicUsize::new(0);
    let reader = || {
        let visitor = Visitor::new(web);
        let mut answers = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= SEARCHES {
                return answers;
            }
            let from = format!("203.0.113.{}", number % 250 + 1);
            let started = Instant::now();
            let page = visitor.search(&from, &format!("what do owls {verb} in barn {number}"));
            answers.push((started.elapsed(), page));
        }
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    })
}

fn p99_milliseconds(answers: &[(Duration, Page)]) -> f64 {
    let mut times: Vec<Duration> = answers.iter().map(|(took, _)| *took).collect();
    times.sort();
    times[(times.len() * 99).div_ceil(100) - 1].as_secs_f64() * 1_000.0
}

#[test]
fn searches_go_on_while_one_client_sends_all_it_can() {
    let folder = tempfile::tempdir().unwrap();
    // What readers have, not what tests on a busy machine are given.
    let platform = platform(folder.path(), &[("BROADSHEET_INDEXING__EMBED_TIMEOUT_MS", "500")]);
    let web = platform.endpoint("web");
    let quiet = searches(&web, "eat");
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let abuse = |how: usize| {
        let visitor = Visitor::new(&web);
        while !stop.load(Ordering::Relaxed) {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            match how {
                0 => visitor.preview(ABUSER, &long_interests(number * 100, 100)),
                1 => visitor.search(ABUSER, &text(number, 5_000)),
                _ => visitor.tool(ABUSER, &text(number, 7_500)),
            };
        }
    };
    let answers = thread::scope(|scope| {
        for how in [0, 0, 1, 2] {
            let abuse = &abuse;
            scope.spawn(move || abuse(how));
        }
        until("the abuse has begun", || {
            (calls.load(Ordering::Relaxed) > 8).then_some(())
        });
        let answers = searches(&web, "hunt");
        stop.store(true, Ordering::Relaxed);
        answers
    });
    let by_words = answers.iter().filter(|(_, page)| page.text.contains(NOTICE)).count();
    println!(
        "search_p99_ms={:.1} quiet={:.1} searches={} by_words={by_words} abuse={}",
        p99_milliseconds(&answers),
        p99_milliseconds(&quiet),
        answers.len(),
        calls.load(Ordering::Relaxed)
    );
    for (_, page) in &answers {
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.text.contains("of the night, part"), "{page:?}");
    }
    let refused = counted(
        &platform.endpoint("admin"),
        "broadsheet_web_rate_limited_total{budget=\"text\"}",
    );
    assert!(refused > 0, "text is charged");
}

#[test]
fn previews_from_everywhere_take_no_encoder_from_searches() {
    let folder = tempfile::tempdir().unwrap();
    // Room for the texts of one preview, so that a fast encoder is too slow for sixteen, too.
    let little = [("BROADSHEET_EMBEDDING__WAITING_BEST_EFFORT_TOKENS", "4096")];
    let platform = platform(folder.path(), &little);
    let web = platform.endpoint("web");
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let abuse = || {
        let visitor = Visitor::new(&web);
        let deadline = Instant::now() + tests::PATIENCE;
        let mut busy = None;
        while !stop.load(Ordering::Relaxed) || busy.is_none() && Instant::now() < deadline {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            let from = format!("198.51.{}.{}", number / 250 % 250, number % 250 + 1);
            let page = visitor.preview(&from, &long_interests(number * 10, 10));
            busy = busy.or(Some(page).filter(|page| page.status == 429));
        }
        busy.expect("too many previews are refused")
    };
    let (answers, busy) = thread::scope(|scope| {
        let abusers: Vec<_> = (0..16).map(|_| scope.spawn(abuse)).collect();
        until("the abuse has begun", || {
            (calls.load(Ordering::Relaxed) > 16).then_some(())
        });
        let answers = searches(&web, "hunt");
        stop.store(true, Ordering::Relaxed);
        let busy: Vec<Page> = abusers.into_iter().map(|abuser| abuser.join().unwrap()).collect();
        (answers, busy)
    });
    for (_, page) in &answers {
        assert_eq!(page.status, 200, "{page:?}");
        assert!(!page.text.contains(NOTICE), "queries come first: {page:?}");
    }
    for page in &busy {
        assert!(page.text.contains("Too many previews are being made"), "{page:?}");
        assert!(page.retry_after.parse::<u64>().unwrap() > 0, "{page:?}");
    }
}

#[test]
fn text_is_charged_to_who_sends_it() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("BROADSHEET_WEB__TRUSTED_PROXIES", "127.0.0.1/32"),
        ("BROADSHEET_WEB__TEXT_TOKENS_PER_MINUTE", "4000"),
    ];
    let platform = Platform::start_with(folder.path(), &limits);
    let visitor = Visitor::new(&platform.endpoint("web"));
    // About 1,700 tokens each: two are granted, and a third is not.
    let searches: Vec<Page> = (0..3)
        .map(|number| visitor.search(ABUSER, &text(number, 5_000)))
        .collect();
    let statuses: Vec<u16> = searches.iter().map(|page| page.status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(searches[2].policy, "\"text\";q=4000;w=60");
    assert!(searches[2].retry_after.parse::<u64>().unwrap() > 0, "{searches:?}");
    assert!(searches[2].text.contains("too much text"), "{:?}", searches[2]);
    let same_address = visitor.search("198.51.100.8", &text(2, 5_000));
    assert_eq!(
        same_address.status, 200,
        "the refusal is nobody else's answer: {same_address:?}"
    );
    let preview = visitor.preview(ABUSER, &long_interests(0, 10));
    assert_eq!(preview.status, 429, "one budget for all text: {preview:?}");
    assert!(preview.text.contains("id=\"preview\""), "{preview:?}");
    assert_eq!(visitor.search("198.51.100.8", "owls").status, 200);
    // More than a whole minute's text is taken once, and then paid off.
    let first = visitor.preview("198.51.100.9", &long_interests(0, 40));
    assert_ne!(first.policy, "\"text\";q=4000;w=60", "{first:?}");
    let owed = visitor.preview("198.51.100.9", &long_interests(0, 1));
    assert_eq!(owed.status, 429, "{owed:?}");
    assert!(owed.retry_after.parse::<u64>().unwrap() > 60, "{owed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_go_on_without_the_encoder() {
    let services = Services::start(&[]).await;
    let paper = PaperSubmission {
        id: "whales".to_owned(),
        title: "Counting whales from orbit".to_owned(),
        r#abstract: "Satellites find whales that ships miss.".to_owned(),
        source: "test".to_owned(),
        ..PaperSubmission::default()
    };
    let intake = channel(&services.of("ingest").grpc, Some(&services.operator_key())).unwrap();
    let request = SubmitPaperRequest { paper: Some(paper) };
    IngestServiceClient::new(intake).submit_paper(request).await.unwrap();
    let web = services.web.clone();
    let read = async |path: &'static str| {
        let web = web.clone();
        tokio::task::spawn_blocking(move || Visitor::new(&web).get("127.0.0.1", path))
            .await
            .unwrap()
    };
    eventually("the paper is found by meaning", async || {
        let page = read("/search?q=whales").await;
        (page.text.contains("from orbit") && !page.text.contains(NOTICE)).then_some(())
    })
    .await;

    services.of("embedding").terminate();
    let page = eventually("the encoder is gone", async || {
        let page = read("/search?q=counting+whales").await;
        assert_eq!(page.status, 200, "{page:?}");
        page.text.contains(NOTICE).then_some(page)
    })
    .await;
    assert!(page.text.contains("from orbit"), "{page:?}");
    let api = read("/api/papers/search?q=whales+counted").await;
    assert_eq!(api.status, 200, "{api:?}");
    assert!(
        api.text.contains("from orbit") && api.warning.contains(NOTICE),
        "{api:?}"
    );
    let feed = read("/feeds/search.atom?q=whales+from+orbit").await;
    assert_eq!(feed.status, 200, "{feed:?}");
    assert!(
        feed.text.contains("from orbit") && feed.text.contains(NOTICE),
        "{feed:?}"
    );
    let tool = tokio::task::spawn_blocking(move || Visitor::new(&web).tool("127.0.0.1", "whales by orbit"));
    let tool = tool.await.unwrap();
    assert!(
        tool.text.contains("from orbit") && tool.text.contains(NOTICE),
        "{tool:?}"
    );
}
