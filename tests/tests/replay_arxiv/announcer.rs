//! An OAI-PMH server that announces papers of `arxiv-daily` day by day, and misbehaves as the real ones do.
//!
//! Its clock is moved by the test. It lists in pages with resumption tokens, repeats records, mixes their order, revises and
//! deletes some on later days; now and then it is busy, slow, hangs up in the middle, has forgotten a token, or sends a page
//! for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tests::feeds::{Ask, FeedServer, Reply};

const RECORDS_PER_PAGE: usize = 120;
/// In every so many answers each [`Trouble`] comes once, at a random place.
const ANSWERS_WITH_EACH_TROUBLE: usize = 32;
/// Share of the papers of a day that are revised two days later.
const REVISED: f64 = 0.03;
/// Share of the papers of a day that are deleted three days later.
const DELETED: f64 = 0.01;

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// "Come back later", with a time.
    Busy,
    /// A page for people, with status 200.
    PageForPeople,
    /// A resumption token that it has forgotten; only for requests that have one.
    TokenForgotten,
    /// Hangs up in the middle.
    Cut,
    /// Sends a little at a time.
    Slow,
}

/// All of them.
pub const TROUBLES: [Trouble; 5] = [
    Trouble::Busy,
    Trouble::PageForPeople,
    Trouble::TokenForgotten,
    Trouble::Cut,
    Trouble::Slow,
];

/// A paper as it is announced.
#[derive(Debug, Clone)]
pub struct Announced {
    /// Without scheme.
    pub id: String,
    /// Title.
    pub title: String,
    /// Abstract.
    pub abstract_text: String,
    authors: Vec<String>,
    categories: Vec<String>,
    /// The day of its last change, counted from 0.
    changed: usize,
    /// False once it is deleted.
    pub stands: bool,
}

#[derive(Default)]
struct State {
    today: usize,
    papers: BTreeMap<String, Announced>,
    /// Lists that came to their end.
    passes: u64,
    troubles: BTreeMap<Trouble, u64>,
    /// What the next answers are, the last one first.
    next_answers: Vec<Option<Trouble>>,
}

impl State {
    /// What is wrong with the next answer. Drawn from a shuffled hand, so that every run meets every trouble.
    fn next_trouble(&mut self, has_token: bool, random: &mut StdRng) -> Option<Trouble> {
        if self.next_answers.is_empty() {
            self.next_answers = TROUBLES.map(Some).to_vec();
            self.next_answers.resize(ANSWERS_WITH_EACH_TROUBLE, None);
            self.next_answers.shuffle(random);
        }
        let mut trouble = self.next_answers.pop().flatten();
        if trouble == Some(Trouble::TokenForgotten) && !has_token {
            self.next_answers.push(trouble);
            trouble = None;
        }
        if let Some(trouble) = trouble {
            *self.troubles.entry(trouble).or_default() += 1;
        }
        trouble
    }
}

/// What is shared with the server's threads.
struct Shared {
    dates: Vec<String>,
    days: Vec<Vec<Announced>>,
    state: Mutex<State>,
    moved: Condvar,
    random: Mutex<StdRng>,
}

/// The server.
pub struct Announcer {
    shared: Arc<Shared>,
    server: FeedServer,
}

impl Announcer {
    /// Over the first days of a file, which are not announced yet.
    pub fn start(file: &Path, days: usize, seed: u64) -> Self {
        let (dates, days) = read(file, days);
        let shared = Arc::new(Shared {
            dates,
            days,
            state: Mutex::default(),
            moved: Condvar::new(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        let serving = Arc::clone(&shared);
        let server = FeedServer::start(move |ask, _| serving.answer(ask));
        Self { shared, server }
    }

    /// Address of OAI-PMH.
    pub fn url(&self) -> String {
        self.server.url("/oai")
    }

    /// The first day, `YYYY-MM-DD`.
    pub fn first_day(&self) -> &str {
        &self.shared.dates[0]
    }

    /// Days there are.
    pub fn days(&self) -> usize {
        self.shared.days.len()
    }

    /// Moves the clock to a day and announces its papers, revisions and deletions.
    pub fn announce(&self, day: usize) {
        let mut random = self.shared.random.lock().unwrap();
        let mut state = self.shared.state.lock().unwrap();
        state.today = day;
        for paper in &self.shared.days[day] {
            state.papers.insert(paper.id.clone(), paper.clone());
        }
        for (days_before, share) in [(2, REVISED), (3, DELETED)] {
            let Some(before) = day.checked_sub(days_before) else {
                continue;
            };
            for paper in &self.shared.days[before] {
                if random.random_bool(share) {
                    let paper = state.papers.get_mut(&paper.id).unwrap();
                    paper.changed = day;
                    paper.stands &= days_before == 2;
                    paper.abstract_text.push_str(" In this version an error is corrected.");
                }
            }
        }
    }

    /// Announces one more paper today.
    pub fn announce_late(&self, id: &str, title: &str) {
        let mut state = self.shared.state.lock().unwrap();
        let paper = Announced {
            id: id.to_owned(),
            title: title.to_owned(),
            abstract_text: format!("{title}: it was announced when everything else had been read."),
            authors: vec!["Ada Lovelace".to_owned()],
            categories: vec!["cs.DL".to_owned()],
            changed: state.today,
            stands: true,
        };
        state.papers.insert(id.to_owned(), paper);
    }

    /// Waits until so many lists have come to their end.
    pub fn until_passes(&self, passes: u64, patience: Duration) -> bool {
        let state = self.shared.state.lock().unwrap();
        let waited = self
            .shared
            .moved
            .wait_timeout_while(state, patience, |state| state.passes < passes);
        !waited.unwrap().1.timed_out()
    }

    /// Lists that came to their end.
    pub fn passes(&self) -> u64 {
        self.shared.state.lock().unwrap().passes
    }

    /// Everything that was announced, as it is now.
    pub fn papers(&self) -> BTreeMap<String, Announced> {
        self.shared.state.lock().unwrap().papers.clone()
    }

    /// How often it misbehaved, by the way it did.
    pub fn troubles(&self) -> BTreeMap<Trouble, u64> {
        self.shared.state.lock().unwrap().troubles.clone()
    }
}

impl Shared {
    fn answer(&self, ask: &Ask) -> Reply {
        let mut random = self.random.lock().unwrap();
        let mut state = self.state.lock().unwrap();
        let trouble = state.next_trouble(!ask.get("resumptionToken").is_empty(), &mut random);
        match trouble {
            Some(Trouble::Busy) => return Reply::status(503, vec![("Retry-After", "1".to_owned())]),
            Some(Trouble::PageForPeople) => {
                let page =
                    b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon.</body></html>";
                return Reply::Full(200, vec![("Content-Type", "text/html".to_owned())], page.to_vec());
            }
            Some(Trouble::TokenForgotten) => {
                return Reply::ok(self.envelope(&state, "<error code=\"badResumptionToken\">expired</error>"));
            }
            Some(Trouble::Cut | Trouble::Slow) | None => {}
        }
        let (list, is_last) = self.list(ask, &state, &mut random);
        let page = self.envelope(&state, &list).into_bytes();
        if trouble == Some(Trouble::Cut) {
            let after = random.random_range(0..page.len());
            return Reply::Cut(page, after);
        }
        if is_last {
            state.passes += 1;
            self.moved.notify_all();
        }
        if trouble == Some(Trouble::Slow) {
            let piece = page.len() / 20 + 1;
            return Reply::Slow(page, piece, Duration::from_millis(20));
        }
        Reply::ok(page)
    }

    /// One page of the records between two days; whether it is the last.
    fn list(&self, ask: &Ask, state: &State, random: &mut StdRng) -> (String, bool) {
        let token = ask.get("resumptionToken");
        let parts: Vec<&str> = token.split('|').collect();
        let (from, until, start) = match parts.as_slice() {
            [from, until, start, ..] => (*from, *until, start.parse().unwrap_or(0)),
            _ => (ask.get("from"), ask.get("until"), 0),
        };
        let within = |paper: &&Announced| {
            let date = &self.dates[paper.changed];
            (from.is_empty() || date.as_str() >= from) && (until.is_empty() || date.as_str() <= until)
        };
        // In a fixed order, as a list with tokens must have it; what is added meanwhile may move it.
        let mut all: Vec<&Announced> = state.papers.values().filter(within).collect();
        all.sort_by(|a, b| (a.changed, &a.id).cmp(&(b.changed, &b.id)));
        if all.is_empty() {
            return ("<error code=\"noRecordsMatch\">nothing</error>".to_owned(), true);
        }
        let end = (start + RECORDS_PER_PAGE).min(all.len());
        let mut page: Vec<&Announced> = all.get(start..end).unwrap_or_default().to_vec();
        // A few records of the page before come again, and the order within a page says nothing.
        page.extend(all.get(start.saturating_sub(5)..start).unwrap_or_default());
        page.shuffle(random);
        let records: String = page
            .into_iter()
            .map(|paper| record(paper, &self.dates[paper.changed]))
            .collect();
        let is_last = end >= all.len();
        let next = if is_last {
            format!("<resumptionToken completeListSize=\"{}\"/>", all.len())
        } else {
            let token = format!("{from}|{until}|{end}|{}", random.random::<u32>());
            format!(
                "<resumptionToken completeListSize=\"{}\" cursor=\"{start}\">{token}</resumptionToken>",
                all.len()
            )
        };
        (format!("<ListRecords>{records}{next}</ListRecords>"), is_last)
    }

    fn envelope(&self, state: &State, inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\">\
             <responseDate>{}T20:00:00Z</responseDate><request verb=\"ListRecords\">http://127.0.0.1/oai</request>{inner}</OAI-PMH>",
            self.dates[state.today]
        )
    }
}

fn record(paper: &Announced, date: &str) -> String {
    let id = &paper.id;
    if !paper.stands {
        return format!(
            "<record><header status=\"deleted\"><identifier>oai:arXiv.org:{id}</identifier><datestamp>{date}</datestamp></header></record>"
        );
    }
    let mut authors = String::new();
    for name in &paper.authors {
        let (forenames, keyname) = name.rsplit_once(' ').unwrap_or(("", name));
        let _ = write!(
            authors,
            "<author><keyname>{}</keyname><forenames>{}</forenames></author>",
            escaped(keyname),
            escaped(forenames)
        );
    }
    format!(
        "<record><header><identifier>oai:arXiv.org:{id}</identifier><datestamp>{date}</datestamp><setSpec>cs</setSpec></header>\
         <metadata><arXiv xmlns=\"http://arxiv.org/OAI/arXiv/\"><id>{id}</id><created>{date}</created><authors>{authors}</authors>\
         <title>{}</title><categories>{}</categories><abstract>  {}\n</abstract></arXiv></metadata></record>",
        escaped(&paper.title),
        escaped(&paper.categories.join(" ")),
        escaped(&paper.abstract_text)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The first days of the file and their papers.
fn read(file: &Path, days: usize) -> (Vec<String>, Vec<Vec<Announced>>) {
    let mut by_day: BTreeMap<String, Vec<Announced>> = BTreeMap::new();
    let compressed = std::fs::File::open(file).unwrap();
    let lines = std::io::BufReader::new(ruzstd::decoding::StreamingDecoder::new(compressed).unwrap());
    for line in std::io::BufRead::lines(lines) {
        let paper: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let text = |key: &str| paper[key].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| {
            let values = paper[key].as_array().into_iter().flatten();
            values
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let day = text("published");
        if !by_day.contains_key(&day) && by_day.len() == days {
            break; // sorted by day
        }
        by_day.entry(day).or_default().push(Announced {
            id: text("id").trim_start_matches("arxiv:").to_owned(),
            title: text("title"),
            abstract_text: text("abstract"),
            authors: list("authors"),
            categories: list("categories"),
            changed: 0,
            stands: true,
        });
    }
    let (dates, mut papers): (Vec<_>, Vec<_>) = by_day.into_iter().unzip();
    for (day, papers) in papers.iter_mut().enumerate() {
        for paper in papers {
            paper.changed = day;
        }
    }
    (dates, papers)
}
