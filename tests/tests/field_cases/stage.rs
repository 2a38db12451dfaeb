//! One platform that has taken all the inputs, and how the cases look at it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::grpc::channel;
use domain::Paper;
use jiff::Timestamp;
use proto::search::v1::GetPaperRequest;
use proto::search::v1::search_service_client::SearchServiceClient;
use serde_json::Value;
use tempfile::TempDir;
use tests::feeds::{FeedServer, Reply};
use tests::{Platform, Ran, until};
use tokio::runtime::Runtime;

/// Papers about machine learning beside those of the cases.
const OTHER_PAPERS: usize = 247;

/// A running platform with the papers of all cases.
pub struct Stage {
    pub platform: Platform,
    /// Ids of the papers that belong to no case.
    pub others: Vec<String>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Stage {
    /// Starts the platform, and returns when it has taken everything in `inputs`.
    pub fn start(inputs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = sources(folder.path(), inputs);
        let platform = Platform::start_with(folder.path(), &[("BROADSHEET_INGEST__SOURCES", sources.as_str())]);
        let mut stage = Self {
            platform,
            others: Vec::new(),
            runtime: Runtime::new().unwrap(),
            _folder: folder,
        };
        for (file, source) in FILES {
            let path = inputs.join(file);
            let ran = stage.ingest(path.to_str().unwrap(), source);
            // A work without a title is refused, and ends the command with 65.
            assert!([0, 65].contains(&ran.status), "{file}: {ran:?}");
        }
        let others = other_papers();
        stage.others = others
            .iter()
            .map(|paper| paper["id"].as_str().unwrap().to_owned())
            .collect();
        let lines: Vec<String> = others.iter().map(Value::to_string).collect();
        stage
            .platform
            .must_with_input(&["ingest", "-", "--source", "others", "--wait"], &lines.join("\n"));
        for source in SOURCES {
            stage.read_to_its_end(source);
        }
        // The second version of a preprint is on the page from the second request on.
        stage.platform.must(&["sources", "run", "biorxiv", "--wait"]);
        stage.settle();
        stage
    }

    /// Submits a file and waits until its papers can be found.
    pub fn ingest(&self, path: &str, source: &str) -> Ran {
        self.platform
            .run(&["ingest", path, "--source", source, "--wait", "--json"])
    }

    fn read_to_its_end(&self, source: &str) {
        until(source, || {
            let state = self.platform.must(&["sources", "show", source, "--json"]).json();
            (state["state"] == "waiting" && state["last_success"].is_string()).then_some(())
        });
    }

    /// Waits until everything accepted can be found.
    fn settle(&self) {
        let marker = r#"{"id": "the-last-one", "title": "A paper that comes last", "published": "2026-01-01"}"#;
        self.platform
            .must_with_input(&["ingest", "-", "--source", "marker", "--wait"], marker);
        until("every paper of a source can be found", || {
            let known = self.paper("arxiv:2611.00007").is_some() && self.paper("doi:10.5555/face").is_some();
            known.then_some(())
        });
    }

    /// A paper by its id; `None` where there is none.
    pub fn paper(&self, id: &str) -> Option<Paper> {
        let request = GetPaperRequest {
            paper_id: id.to_owned(),
        };
        let endpoint = self.platform.endpoint("grpc");
        let answer = self.runtime.block_on(async {
            let channel = channel(&endpoint, None).unwrap();
            SearchServiceClient::new(channel).get_paper(request).await
        });
        let paper = answer.ok()?.into_inner().paper?;
        Some(Paper::try_from(paper).unwrap())
    }

    /// A paper that must be there.
    pub fn known(&self, id: &str) -> Paper {
        self.paper(id).unwrap_or_else(|| panic!("{id} is not known"))
    }

    /// Ids of the papers that a query finds, best first.
    pub fn found(&self, query: &str) -> Vec<String> {
        let answer = self.platform.must(&["search", query, "--limit", "50", "--json"]).json();
        let results = answer["results"].as_array().unwrap().iter();
        results.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    /// A page.
    pub fn page(&self, path: &str) -> String {
        let (status, body) = tests::get(&format!("{}{path}", self.platform.endpoint("web")));
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A page of JSON.
    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path)).unwrap()
    }
}

/// The day on which a paper was published; empty where that is unknown.
pub fn day(paper: &Paper) -> String {
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    paper.published.map_or_else(String::new, day)
}

/// Files that `broadsheet ingest` takes, and the source that each is submitted as.
const FILES: [(&str, &str); 18] = [
    ("01-dblp-authors-and-newline/b01.bib", "dblp"),
    ("02-bibtex-and-within-braces/b02.bib", "bib"),
    ("03-bibtex-and-others/b03.bib", "bib"),
    ("06-bibtex-escaped-brace-counts/b05.bib", "bib"),
    ("07-bibtex-at-sign-at-line-start/b07.bib", "bib"),
    ("09-bibtex-dates/b08.bib", "bib"),
    ("09-bibtex-dates/b19.bib", "bib"),
    ("11-bibtex-repeated-keywords/b09.bib", "bib"),
    ("16-arxiv-id-spellings/ids2.jsonl", "ids"),
    ("16-arxiv-id-spellings/percent-doi.jsonl", "ids"),
    ("23-undated-is-dated-now/first.jsonl", "und"),
    ("23-undated-is-dated-now/second.jsonl", "und"),
    ("25-author-search-compound-names/names.jsonl", "nm"),
    ("28-mail-raw-latex/q.jsonl", "q"),
    ("29-jsonl-nulls/nulls.jsonl", "nulls"),
    ("31-unknown-script-matches/q.jsonl", "q"),
    ("33-search-feed-unrelated/q.jsonl", "q"),
    ("19-crossref-formula-alternatives/crossref.json", "cr"),
];

/// The sources that [`sources`] configures.
const SOURCES: [&str; 7] = [
    "harbour",
    "spellings",
    "angles",
    "withdrawn",
    "accents",
    "crossref",
    "biorxiv",
];

/// Writes the file of sources, each of which reads a case from a server of its own; gives its path.
fn sources(folder: &Path, inputs: &Path) -> String {
    let serve = |path: &str| {
        let body = std::fs::read(inputs.join(path)).unwrap();
        let server = FeedServer::start(move |_, _| Reply::ok(body.clone()));
        server.url("/feed")
    };
    let mut text = "[http]\ncontact = \"test@example.org\"\nattempts = 1\nproxy = \"none\"\n\
                    [http.default_host]\ninterval_milliseconds = 0\n"
        .to_owned();
    let mut add = |name: &str, lines: &str| {
        let begin = "interval = \"24h\"\nbegin = \"2025-01-01\"";
        writeln!(text, "[sources.{name}]\n{begin}\n{lines}").unwrap();
    };
    for (name, path) in [
        ("harbour", "14-feed-declares-1251-holds-utf8/lie1251.xml"),
        ("spellings", "16-arxiv-id-spellings/arx.xml"),
    ] {
        add(name, &format!("kind = \"feed\"\nurls = [\"{}\"]", serve(path)));
    }
    for (name, path) in [
        ("angles", "17-arxiv-angle-brackets/listrecords.xml"),
        ("withdrawn", "18-arxiv-withdrawn/listrecords.xml"),
        ("accents", "27-tex-accents-in-exports/listrecords.xml"),
    ] {
        add(name, &format!("kind = \"arxiv\"\noai_url = \"{}\"", serve(path)));
    }
    let crossref = std::fs::read(inputs.join("21-superscript-lost/crossref.json")).unwrap();
    let crossref = once(vec![crossref]);
    add("crossref", &format!("kind = \"crossref\"\nurl = \"{crossref}\""));
    let versions = ["v1.json", "v2.json"].map(|file| {
        let path = inputs.join("24-biorxiv-second-version").join(file);
        std::fs::read(path).unwrap()
    });
    add(
        "biorxiv",
        &format!("kind = \"biorxiv\"\nurl = \"{}\"", each_run(versions.to_vec())),
    );
    let file = folder.join("sources.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A server that gives each page once, then empty lists of Crossref.
fn once(pages: Vec<Vec<u8>>) -> String {
    let server = FeedServer::start(move |_, before| match pages.get(before) {
        Some(page) => Reply::ok(page.clone()),
        None => Reply::ok(r#"{"status": "ok", "message": {"items": []}}"#),
    });
    server.url("/works")
}

/// A server that gives the next page at each request, and the last one again and again.
fn each_run(pages: Vec<Vec<u8>>) -> String {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = FeedServer::start(move |_, _| {
        let number = asked.fetch_add(1, Ordering::SeqCst).min(pages.len() - 1);
        Reply::ok(pages[number].clone())
    });
    server.url("/details")
}

/// Papers of arXiv about machine learning.
fn other_papers() -> Vec<Value> {
    let Some(file) = tests::data::find("arxiv-daily/papers.jsonl.zst") else {
        return Vec::new();
    };
    let file = std::fs::File::open(file).unwrap();
    let lines = std::io::BufReader::new(ruzstd::decoding::StreamingDecoder::new(file).unwrap());
    let papers = std::io::BufRead::lines(lines).map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let learning = papers.filter(|paper| paper["categories"][0] == "cs.LG");
    learning.take(OTHER_PAPERS).collect()
}
