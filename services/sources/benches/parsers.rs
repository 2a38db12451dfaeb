//! How fast parsers read, on one core, from memory: megabytes of page a second, down to papers that ingest takes.
//!
//! Time is that which the thread was on a processor, so that neighbours on a busy machine do not count.
//!
//! The page of arXiv is made of the recorded records where they are, repeated under ids of their own, else of our sample.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sources::parsing::{PageFormat, parse};

const PAGE_BYTES: usize = 8 << 20;

#[expect(clippy::print_stdout, reason = "whoever measures should know on what")]
/// The records of all recorded answers of arXiv, each as text.
fn recorded() -> Vec<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("BROADSHEET_DATA").map_or(beside, PathBuf::from);
    let entries = std::fs::read_dir(data.join("feed-fixtures/arxiv-oai"));
    let mut pages = vec![include_str!("../tests/samples/arxiv-oai.xml").to_owned()];
    match entries {
        Ok(entries) => {
            let files = entries
                .flatten()
                .filter(|entry| !entry.file_name().to_string_lossy().starts_with("server-"));
            pages = files
                .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
                .collect();
        }
        Err(_) => println!("the recorded pages are not there (BROADSHEET_DATA names the folder); our sample stands in"),
    }
    pages
        .iter()
        .flat_map(|page| page.split("<record>").skip(1))
        .filter_map(|record| record.split("</record>").next())
        .map(|record| format!("<record>{record}</record>\n"))
        .collect()
}

fn oai_page() -> (String, u64) {
    let records = recorded();
    let mut page = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAI-PMH><ListRecords>");
    let mut count = 0;
    for record in records.iter().cycle() {
        page.push_str(record);
        count += 1;
        if page.len() > PAGE_BYTES {
            break;
        }
    }
    page.push_str("</ListRecords></OAI-PMH>");
    (page, count)
}

/// A list of the first element of a sample, over and over.
fn repeated(sample: &str, list: &str, start: &str, end: &str) -> (String, u64) {
    let value: serde_json::Value = serde_json::from_str(sample).expect("JSON");
    let element = value.pointer(list).expect("an element").to_string();
    let count = PAGE_BYTES / 4 / element.len();
    let page = format!("{start}{}{end}", vec![element; count].join(","));
    (page, count as u64)
}

/// How long this thread has been on a processor; Linux says so in nanoseconds. Elsewhere the clock on the wall counts.
fn on_processor() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match schedule
        .split(' ')
        .next()
        .and_then(|nanoseconds| nanoseconds.parse().ok())
    {
        Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        None => BEGUN.get_or_init(Instant::now).elapsed(),
    }
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parsers");
    group.sample_size(10);
    let now = "2026-09-01T00:00:00Z".parse().expect("a timestamp");
    let pages = [
        (PageFormat::ArxivOai, oai_page()),
        (
            PageFormat::Openalex,
            repeated(
                include_str!("../tests/samples/openalex.json"),
                "/results/0",
                "{\"results\":[",
                "]}",
            ),
        ),
        (
            PageFormat::Crossref,
            repeated(
                include_str!("../tests/samples/crossref.json"),
                "/message/items/0",
                "{\"message\":{\"items\":[",
                "]}}",
            ),
        ),
    ];
    for (format, (page, records)) in pages {
        group.throughput(Throughput::Bytes(page.len() as u64));
        group.bench_function(format!("{format:?} ({records} records)"), |bencher| {
            bencher.iter_custom(|rounds| {
                let begun = on_processor();
                for _ in 0..rounds {
                    let counts = parse(format, page.as_bytes(), now, |item| {
                        black_box(item);
                        Ok(())
                    });
                    assert_eq!(counts.expect("a page").records(), records);
                }
                on_processor().saturating_sub(begun)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
