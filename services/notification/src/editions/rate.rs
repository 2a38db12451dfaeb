//! How many editions a second are composed, rendered, handed to a sink that takes everything at once, and recorded: a
//! measurement, not a test. `just bench-editions` runs it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use domain::{EmailAddress, PaperVectors, SparseVector};
use futures::StreamExt as _;

use super::*;
use crate::scheduler;
use crate::subscribers::Opting;
use crate::testing::{House, entry};

const SUBSCRIBERS: usize = 20_000;
const PAPERS: usize = 1_200;
const DIMENSION: usize = 256;
const INTERESTS: usize = 3;

/// Directions drawn from the words, so that nobody's are alike.
struct Directions;

fn direction(text: &str) -> DenseVector {
    let mut state = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let values: Vec<f32> = (0..DIMENSION).map(|_| next()).collect();
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    DenseVector::new(values.into_iter().map(|value| value / norm).collect()).expect("a vector")
}

#[async_trait]
impl InterestEncoder for Directions {
    async fn embed(&self, texts: &[String]) -> Result<(EncoderId, Vec<DenseVector>), String> {
        let encoder = EncoderId::parse("test@1").expect("an encoder id");
        Ok((encoder, texts.iter().map(|text| direction(text)).collect()))
    }
}

/// Takes everything.
#[derive(Default)]
struct Sink {
    mails: AtomicUsize,
    bytes: AtomicUsize,
}

#[async_trait]
impl Transport for Sink {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        self.bytes
            .fetch_add(mail.text.len() + mail.html.len(), Ordering::Relaxed);
        self.mails.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn fill(house: &House) {
    let mut window = house.window.write().expect("unpoisoned");
    for number in 0..PAPERS {
        let mut paper = entry(
            &format!("x:{number}"),
            &format!("What paper {number} found out about itself"),
            "test@1",
        );
        let one = Arc::make_mut(&mut paper.paper);
        one.abstract_text = "It finds that papers are read when somebody has a reason to read them. ".repeat(14);
        one.authors = vec![
            "Ada Lovelace".to_owned(),
            "Grace Hopper".to_owned(),
            "Emmy Noether".to_owned(),
        ];
        paper.vectors = PaperVectors {
            encoder: paper.vectors.encoder.clone(),
            dense: direction(&format!("paper {number}")),
            sparse: SparseVector::default(),
            truncated: false,
        };
        paper.indexed = Timestamp::now();
        window.add(paper);
    }
}

async fn subscribe(house: &House) {
    let subscribing = futures::stream::iter(0..SUBSCRIBERS).map(async |number| {
        let words: Vec<String> = (0..INTERESTS)
            .map(|one| format!("interest {one} of {number}"))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let email = EmailAddress::parse(&format!("r{number}@example.org")).expect("an address");
        let (id, wishes) = (format!("r{number}"), house.wishes(&words));
        let subscribed = house
            .subscribers
            .subscribe(&email, &id, &wishes, Opting::OnRecord, house.now);
        subscribed.await.expect("subscribed");
        house.set_due(&id, -1).await;
    });
    subscribing.buffer_unordered(64).collect::<()>().await;
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// Processor time of this process, in milliseconds.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a stat");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("a number"));
    // A hundred ticks a second, on every Linux there is.
    10.0 * ticks.sum::<f64>()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: just bench-editions"]
async fn editions_a_second() {
    let house = House::build().await;
    fill(&house);
    subscribe(&house).await;
    let sink = Arc::new(Sink::default());
    let editions = Arc::new(Editions::new(Parts {
        encoder: Arc::new(Directions),
        transport: Arc::clone(&sink) as Arc<dyn Transport>,
        connections: 32,
        ..house.parts.clone()
    }));
    // Vectors are made when interests change, not when editions are.
    for number in (0..SUBSCRIBERS).step_by(512) {
        let ids = (number..SUBSCRIBERS.min(number + 512))
            .map(|number| format!("r{number}"))
            .collect();
        editions
            .drafts(ids, Occasion::Preview, house.now)
            .await
            .expect("composed");
    }
    let before = resident_mb();
    let stop = CancellationToken::new();
    let pace = scheduler::Pace::new(Duration::from_mins(1), 512);
    let (begun, cpu_before) = (Instant::now(), cpu_ms());
    let running = tokio::spawn(scheduler::run(house.subscribers.clone(), editions, pace, stop.clone()));
    while sink.mails.load(Ordering::Relaxed) < SUBSCRIBERS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let per_s = SUBSCRIBERS as f64 / begun.elapsed().as_secs_f64();
    let cpu = (cpu_ms() - cpu_before) / SUBSCRIBERS as f64;
    stop.cancel();
    running.await.expect("a clean end");
    let bytes = sink.bytes.load(Ordering::Relaxed) / SUBSCRIBERS;
    println!(
        "editions: subscribers={SUBSCRIBERS} interests={INTERESTS} papers={PAPERS} per_s={per_s:.0} cpu_ms_per_mail={cpu:.2} bytes_per_mail={bytes} rss_mb={:.0} rss_before_mb={before:.0}",
        resident_mb()
    );
}
