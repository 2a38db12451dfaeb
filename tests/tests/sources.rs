//! Feeds through the front door: a file of sources, a server that announces, and the command line of an operator.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tests::feeds::{Ask, FeedServer, Reply};
use tests::{Platform, until};

/// A record of OAI-PMH: id without scheme, day, title; an empty title is a deletion.
type Announced = (&'static str, &'static str, &'static str);

fn abstract_of(title: &str) -> String {
    format!("{title}. What this paper is about is said here at some length.")
}

fn record(&(id, day, title): &Announced) -> String {
    let head = format!("<identifier>oai:arXiv.org:{id}</identifier><datestamp>{day}</datestamp>");
    if title.is_empty() {
        return format!("<record><header status=\"deleted\">{head}</header></record>");
    }
    format!(
        "<record><header>{head}</header><metadata><arXiv><id>{id}</id><created>{day}</created><authors><author><keyname>Lovelace</keyname>\
         <forenames>Ada</forenames></author></authors><title>{title}</title><categories>cs.DL</categories>\
         <abstract>{}</abstract></arXiv></metadata></record>",
        abstract_of(title)
    )
}

/// Two records a page, those of the asked days alone.
fn listed(ask: &Ask, announced: &[Announced]) -> Reply {
    let token = ask.get("resumptionToken");
    let parts: Vec<&str> = token.split('|').collect();
    let (from, until, start) = match parts.as_slice() {
        [from, until, start] => (*from, *until, start.parse().unwrap()),
        _ => (ask.get("from"), ask.get("until"), 0),
    };
    let within = |day: &str| (from.is_empty() || day >= from) && (until.is_empty() || day <= until);
    let all: Vec<&Announced> = announced.iter().filter(|(_, day, _)| within(day)).collect();
    let mut list = String::new();
    for one in all.iter().skip(start).take(2) {
        list.push_str(&record(one));
    }
    if all.len() > start + 2 {
        let next = format!("{from}|{until}|{}", start + 2);
        let _ = write!(
            list,
            "<resumptionToken completeListSize=\"{}\">{next}</resumptionToken>",
            all.len()
        );
    }
    let body = if all.is_empty() {
        "<error code=\"noRecordsMatch\">nothing</error>".to_owned()
    } else {
        format!("<ListRecords>{list}</ListRecords>")
    };
    Reply::ok(format!(
        "<OAI-PMH><responseDate>2026-03-09T12:00:00Z</responseDate>{body}</OAI-PMH>"
    ))
}

struct Feed {
    announced: Arc<Mutex<Vec<Announced>>>,
    server: FeedServer,
}

impl Feed {
    fn start(announced: Vec<Announced>) -> Self {
        let announced = Arc::new(Mutex::new(announced));
        let list = Arc::clone(&announced);
        let server = FeedServer::start(move |ask, _| listed(ask, &list.lock().unwrap()));
        Self { announced, server }
    }

    fn announce(&self, one: Announced) {
        self.announced.lock().unwrap().push(one);
    }
}

/// A platform with sources. They are due once at the start, then when somebody says so.
fn platform(folder: &Path, sources: &str) -> Platform {
    let file = folder.join("sources.toml");
    let http = "[http]\ncontact = \"test@example.org\"\nattempts = 1\nproxy = \"none\"\n[http.default_host]\ninterval_milliseconds = 0\n";
    std::fs::write(&file, format!("{http}{sources}")).unwrap();
    Platform::start_with(folder, &[("BROADSHEET_INGEST__SOURCES", file.to_str().unwrap())])
}

fn arxiv(url: &str) -> String {
    format!("[sources.arxiv]\noai_url = \"{url}\"\ninterval = \"24h\"\nbegin = \"2026-03-05\"\n")
}

fn show(platform: &Platform, name: &str) -> Value {
    platform.must(&["sources", "show", name, "--json"]).json()
}

/// The paper, once a search for its id's title finds it.
fn found(platform: &Platform, title: &str) -> Value {
    until(title, || {
        let answer = platform.must(&["search", &format!("\"{title}\""), "--json"]).json();
        answer["results"]
            .as_array()
            .and_then(|results| results.first().cloned())
    })
}

fn read_to_its_end(platform: &Platform, name: &str) {
    until("the source is read to its end", || {
        let source = show(platform, name);
        (source["state"] == "waiting" && source["last_success"].is_string()).then_some(())
    });
}

#[test]
fn a_feed_is_read_paused_resumed_and_back_filled() {
    let feed = Feed::start(vec![
        ("2603.00001", "2026-03-01", "Long before the first run"),
        ("2603.00002", "2026-03-02", "A day before the first run"),
        ("2603.00005", "2026-03-05", "On owls that sleep"),
        ("2603.00006", "2026-03-06", "On larks that do not"),
        ("2603.00007", "2026-03-07", "On swifts that sleep as they fly"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &arxiv(&feed.server.url("/oai")));
    read_to_its_end(&platform, "arxiv");
    found(&platform, "On swifts that sleep as they fly");
    assert_eq!(show(&platform, "arxiv")["counts"]["accepted"], 3);

    platform.must(&["sources", "pause", "arxiv"]);
    feed.announce(("2603.00008", "2026-03-08", "On bats in a hurry"));
    feed.announce(("2603.00006", "2026-03-08", ""));
    assert_eq!(show(&platform, "arxiv")["state"], "paused");
    platform.must(&["sources", "resume", "arxiv"]);
    found(&platform, "On bats in a hurry");
    until("the withdrawn paper is gone", || {
        let answer = platform.must(&["search", "\"On larks that do not\"", "--json"]).json();
        answer["results"].as_array().unwrap().is_empty().then_some(())
    });

    let days = ["--from", "2026-03-01", "--to", "2026-03-03", "--wait"];
    let arguments: Vec<&str> = ["sources", "backfill", "arxiv"].into_iter().chain(days).collect();
    platform.must(&arguments);
    found(&platform, "Long before the first run");
    let source = show(&platform, "arxiv");
    assert_eq!(source["backfills"][0]["state"], "done", "{source}");
    assert_eq!(source["backfills"][0]["records"], 2, "{source}");
    assert_eq!(source["counts"]["withdrawn"], 1, "{source}");
    // The place of the schedule is where it was.
    assert!(source["cursor"].as_str().unwrap().contains("2026-03-08"), "{source}");
    assert_eq!(platform.stop(), 0);
}

#[test]
fn a_refused_source_stops_and_the_others_go_on() {
    let refusing = FeedServer::start(|_, _| Reply::status(403, Vec::new()));
    let feed = Feed::start(vec![("2603.00005", "2026-03-05", "On the health of others")]);
    let folder = tempfile::tempdir().unwrap();
    let sources = format!(
        "{}[sources.shut]\nkind = \"feed\"\nurls = [\"{}\"]\n",
        arxiv(&feed.server.url("/oai")),
        refusing.url("/feed")
    );
    let platform = platform(folder.path(), &sources);
    found(&platform, "On the health of others");
    let shut = until("the refused source has stopped", || {
        let shut = show(&platform, "shut");
        (shut["state"] == "stopped").then_some(shut)
    });
    assert!(shut["last_error"].as_str().unwrap().contains("HTTP 403"), "{shut}");
    let run = platform.run(&["sources", "run", "shut", "--wait"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.err.contains("HTTP 403"), "{run:?}");
    let unknown = platform.run(&["sources", "show", "gazette"]);
    assert!(unknown.err.contains("offered: arxiv, shut"), "{unknown:?}");
    let backwards = platform.run(&[
        "sources",
        "backfill",
        "arxiv",
        "--from",
        "2026-03-09",
        "--to",
        "2026-03-01",
    ]);
    assert!(backwards.err.contains("first_day is 2026-03-09"), "{backwards:?}");
}

#[test]
fn two_sources_make_one_paper_and_a_bad_record_is_quarantined() {
    let feed = Feed::start(vec![("2603.00005", "2026-03-05", "On the many names of one work")]);
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"doi": "10.48550/arXiv.2603.00005", "title": "ON THE MANY NAMES OF ONE WORK", "code_url": "https://example.org/code", "authors": ["A. Lovelace"]}"#,
        r#"{"id": "no-title"}"#,
        r#"{"doi": "10.1145/77", "title": "On a work that only the file knows of", "abstract": "It is told of in a file and nowhere else at all."}"#,
        "not JSON",
    ];
    let file = folder.path().join("papers.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let sources = format!(
        "{}[sources.files]\nkind = \"files\"\npaths = [\"{}\"]\n",
        arxiv(&feed.server.url("/oai")),
        file.display()
    );
    let platform = platform(folder.path(), &sources);
    read_to_its_end(&platform, "arxiv");
    read_to_its_end(&platform, "files");
    found(&platform, "On a work that only the file knows of");
    let source = show(&platform, "files");
    assert_eq!(source["counts"]["quarantined"], 2, "{source}");
    assert_eq!(source["quarantined"].as_array().unwrap().len(), 2, "{source}");
    let one = until("the paper has the file's link, too", || {
        let one = found(&platform, "On the many names of one work");
        one.to_string().contains("https://example.org/code").then_some(one)
    });
    assert_eq!(one["id"], "arxiv:2603.00005", "{one}");
    // The title is in arXiv's words, whoever came first.
    assert_eq!(one["title"], "On the many names of one work", "{one}");
    let all = platform.must(&["search", "work", "--json"]).json();
    assert_eq!(all["results"].as_array().unwrap().len(), 2, "{all}");
}

#[test]
fn mistakes_in_the_sources_file_are_all_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sources.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(tests::binary());
        command.args(["up", "--check-config", "--data"]).arg(folder.path());
        command.env("BROADSHEET_INGEST__SOURCES", &file);
        tests::ran(command.output().unwrap())
    };
    let wrong = check(
        "[http]\ncontact = \"a@example.org\"\n[sources.arxiv]\ninterval = \"soon\"\nsett = 1\n[sources.x]\nkind = \"gopher\"\n",
    );
    assert_eq!(wrong.status, 64, "{wrong:?}");
    for expected in ["ingest.sources", "interval is \"soon\"", "sett", "gopher"] {
        assert!(wrong.err.contains(expected), "{expected}: {wrong:?}");
    }
    let example = tests::ran(
        std::process::Command::new(tests::binary())
            .args(["sources", "example"])
            .output()
            .unwrap(),
    );
    assert_eq!(check(&example.out).status, 64, "a contact is required");
    let sound = check(&example.out.replace("contact = \"\"", "contact = \"a@example.org\""));
    assert_eq!(sound.status, 0, "{sound:?}");
    // Every kind that the example tells of holds when its comment signs are taken away.
    let tables = example.out.split("# Every kind").nth(1).unwrap();
    let open: Vec<&str> = tables
        .lines()
        .skip(1)
        .map(|line| line.strip_prefix("# ").unwrap_or(""))
        .collect();
    let all = check(&format!("[http]\ncontact = \"a@example.org\"\n{}", open.join("\n")));
    assert_eq!(all.status, 0, "{all:?}");
}
