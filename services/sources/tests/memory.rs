//! A page of any size in little memory: records by the hundred thousand, and a field that never seems to end.
//!
//! Alone in its program, because it measures the memory of all of it.

#[path = "../../../tests/src/feeds.rs"]
#[expect(dead_code, reason = "the server is shared with other tests")]
mod feeds;

use std::io::Write;

use common::clock::Clock;
use feeds::{FeedServer, Reply};
use sources::{
    DateRange, HostRule, HttpConfig, PageItem, QuarantinedRecord, SourceClient, SourceConfig, build, read_page,
};

const MEBIBYTE: usize = 1 << 20;
const PAGE: usize = 192 * MEBIBYTE;
const ALLOWED: usize = 64 * MEBIBYTE;

/// The most memory this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kilobytes * 1_024
}

/// Writes a page as long as anybody reads it; how many records it had.
fn write_page(out: &mut dyn Write) -> std::io::Result<()> {
    out.write_all(b"<OAI-PMH><ListRecords>")?;
    let text = "An abstract of usual length says what was done and what came of it. ".repeat(25);
    let record = |number: usize, text: &str| {
        format!(
            "<record><header><identifier>oai:arXiv.org:2603.{number:05}</identifier><datestamp>2026-03-01</datestamp></header>\
             <metadata><arXiv><id>2603.{number:05}</id><title>Paper {number}</title><categories>cs.CL</categories>\
             <abstract>{text}</abstract></arXiv></metadata></record>"
        )
    };
    let piece = vec![b'x'; MEBIBYTE];
    let mut written = 0;
    let mut number = 0;
    while written < PAGE / 2 {
        let record = record(number, &text);
        out.write_all(record.as_bytes())?;
        written += record.len();
        number = (number + 1) % 100_000;
    }
    out.write_all(
        b"<record><header><identifier>oai:arXiv.org:2603.99999</identifier></header><metadata><arXiv><title>",
    )?;
    for _ in 0..PAGE / 2 / MEBIBYTE {
        out.write_all(&piece)?;
    }
    out.write_all(b"</title></arXiv></metadata></record>")?;
    out.write_all(record(99_998, &text).as_bytes())?;
    out.write_all(b"</ListRecords></OAI-PMH>")
}

/// The same as a page of Crossref.
fn write_list(out: &mut dyn Write) -> std::io::Result<()> {
    let text = "An abstract of usual length says what was done and what came of it. ".repeat(25);
    let item = |number: usize, title: &str| {
        format!(
            "{{\"DOI\":\"10.1145/{number}\",\"title\":[\"{title}\"],\"abstract\":\"{text}\",\"reference\":[{{\"key\":\"1\"}}]}}"
        )
    };
    out.write_all(b"{\"status\":\"ok\",\"message\":{\"items\":[")?;
    for number in 0..PAGE / 2 / 2_000 {
        out.write_all(item(number, "A title").as_bytes())?;
        out.write_all(b",")?;
    }
    out.write_all(b"{\"DOI\":\"10.1145/large\",\"author\":[0")?;
    let piece = b",[]".repeat(MEBIBYTE / 3);
    for _ in 0..PAGE / 2 / MEBIBYTE {
        out.write_all(&piece)?;
    }
    out.write_all(b"]},")?;
    out.write_all(item(99_998, "The last").as_bytes())?;
    out.write_all(b"]}}")
}

/// Reads a page to its end: papers, what was quarantined, and the id of the last paper.
async fn drain(settings: &str) -> (u64, Vec<QuarantinedRecord>, String) {
    let http = HttpConfig {
        contact: "ops@example.org".into(),
        proxy: "none".into(),
        default_host: HostRule::default(),
        ..HttpConfig::default()
    };
    let config = SourceConfig::read("test", settings.parse().expect("TOML")).expect("settings");
    let source = build(&config, &SourceClient::new(&http, Clock::system()).expect("a client"));
    let cursor = source.begin(DateRange::default()).expect("a cursor");
    let mut items = read_page(source, cursor);
    let (mut papers, mut quarantined, mut last) = (0, Vec::new(), String::new());
    while let Some(item) = items.next().await {
        match item {
            PageItem::Paper(record) => {
                papers += 1;
                last = record.submission.id;
            }
            PageItem::Quarantined(record) => quarantined.push(record),
            other => panic!("{other:?}"),
        }
    }
    let page = items.finish().await.expect("a page");
    assert_eq!(page.counts.papers, papers);
    (papers, quarantined, last)
}

#[tokio::test]
async fn memory_does_not_grow_with_the_page() {
    let server = FeedServer::start(|ask, _| {
        let xml = ask.path == "/oai";
        Reply::Streamed(Box::new(move |out| {
            let _ = if xml { write_page(out) } else { write_list(out) };
        }))
    });
    for (kind, key, path, last) in [
        ("arxiv", "oai_url", "/oai", "arxiv:2603.99998"),
        ("crossref", "url", "/works", "doi:10.1145/99998"),
    ] {
        let (papers, quarantined, found) = drain(&format!("kind = \"{kind}\"\n{key} = \"{}\"", server.url(path))).await;
        let peak = peak();
        println!(
            "memory: {kind} page_mib={} papers={papers} peak_mib={}",
            PAGE / MEBIBYTE,
            peak / MEBIBYTE
        );
        assert_eq!(
            (quarantined.len(), found.as_str()),
            (1, last),
            "the record behind the large one is read"
        );
        assert!(quarantined[0].reason.contains("bytes"), "{:?}", quarantined[0]);
        assert!(papers > 40_000);
        assert!(peak < ALLOWED, "{} MiB", peak / MEBIBYTE);
    }
}
