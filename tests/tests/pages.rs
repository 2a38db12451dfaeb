//! The pages through the front door, as a browser without scripts sees them: reading, voting, saving, and what is refused.
#![expect(
    clippy::unwrap_used,
    reason = "a broken test environment should stop a test where it breaks"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::{Timestamp, ToSpan as _};
use tests::{Platform, get, until};

/// One platform for all tests of this program, with papers of today, yesterday and long ago.
struct Paper {
    platform: Platform,
    web: String,
    _folder: tempfile::TempDir,
}

const HOSTILE: &str = "<script>alert(1)</script> \u{202e}owls $x_i \\leq 10^{-3}$";

impl Paper {
    /// The one that is shared. It ends with the last test that holds it.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Paper>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let paper = Arc::new(Self::start());
            *shared = Arc::downgrade(&paper);
            paper
        })
    }

    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A vote counts at once, where how it looks is what is tested.
        let platform = Platform::start_with(folder.path(), &[("BROADSHEET_WEB__READER_MINUTES", "0")]);
        let day = |back: i64| (Timestamp::now() - (24 * back).hours()).strftime("%F").to_string();
        let mut lines = vec![
            serde_json::json!({"id": "arxiv:2402.14776", "title": HOSTILE, "abstract": "Owls fly. See https://example.org/<b>.",
                "authors": ["Ada \"<b>\" Lovelace", "محمد العربي"], "categories": ["cs.CL", "cs.LG"], "published": day(0),
                "code_url": "https://example.org/code"}),
            serde_json::json!({"id": "arxiv:2402.14777", "title": "Owls at dusk", "abstract": "More about owls that fly.",
                "authors": ["Grace Hopper"], "categories": ["cs.CL"], "published": day(1)}),
            serde_json::json!({"id": "doi:10.1145/3292500.1", "title": "Old owls", "abstract": "Owls of old.",
                "authors": ["Grace Hopper"], "categories": ["hep-th"], "published": "1999-12-31"}),
        ];
        lines.extend((0..45).map(|n| {
            serde_json::json!({"id": format!("own:{n}"), "title": format!("Filler number {n:02}"), "published": "2001-05-17",
                "categories": ["math.CO"]})
        }));
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], &lines.join("\n"));
        assert_eq!(taken.status, 0, "{taken:?}");
        let web = platform.endpoint("web");
        Self {
            platform,
            web,
            _folder: folder,
        }
    }

    fn page(&self, path: &str) -> (u16, String) {
        get(&format!("{}{path}", self.web))
    }

    fn browser(&self) -> Browser {
        Browser {
            web: self.web.clone(),
            cookies: BTreeMap::new(),
        }
    }
}

/// A browser without scripts: it keeps cookies and does not follow redirections by itself.
struct Browser {
    web: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn agent() -> ureq::Agent {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0);
        ureq::Agent::new_with_config(config.build())
    }

    fn cookie(&self) -> String {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn get(&self, path: &str) -> (u16, String) {
        let asked = Self::agent()
            .get(format!("{}{path}", self.web))
            .header("cookie", self.cookie());
        let mut answer = asked.call().unwrap();
        assert!(
            answer.headers().get("set-cookie").is_none(),
            "a GET sets nothing: {path}"
        );
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// Posts a form and gives the status and where it leads.
    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let asked = Self::agent()
            .post(format!("{}{path}", self.web))
            .header("cookie", self.cookie());
        let answer = asked.send_form(form.iter().copied()).unwrap();
        for line in answer.headers().get_all("set-cookie") {
            let line = line.to_str().unwrap();
            assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let place = answer
            .headers()
            .get("location")
            .map(|place| place.to_str().unwrap().to_owned());
        (answer.status().as_u16(), place.unwrap_or_default())
    }
}

#[track_caller]
fn holds(html: &str, expected: &[&str]) {
    for one in expected {
        assert!(html.contains(one), "{one}: {html}");
    }
}

#[test]
fn pages_are_complete_with_one_heading_and_escaped_papers() {
    let paper = Paper::shared();
    let today = Timestamp::now().strftime("%F").to_string();
    for path in [
        "/",
        "/?window=week&category=cs.CL",
        "/?window=month",
        &format!("/day/{today}"),
        "/month/2001-05",
        "/week/1999-W52",
        "/search",
        "/search?q=owls",
        "/search?q=owls&sort=newest",
        "/search?q=owls&sort=nonsense",
        "/papers/arxiv:2402.14776",
        "/authors/Ada%20%22%3Cb%3E%22%20Lovelace",
        "/authors/Grace%20Hopper",
        "/categories",
        "/categories/cs.CL",
        "/trending",
        "/trending?window=week&category=cs.CL",
        "/saved",
        "/status",
        "/about",
        "/help/search",
    ] {
        let (status, html) = paper.page(path);
        assert_eq!(status, 200, "{path}: {html}");
        assert_eq!(html.matches("<h1").count(), 1, "{path}: {html}");
        holds(
            &html,
            &["<main id=\"main\"", "class=\"skip\" href=\"#main\"", "</html>"],
        );
        for hostile in ["<script>", "<b>", "\u{202e}", " style=", " onclick="] {
            assert!(!html.contains(hostile), "{path} has {hostile}: {html}");
        }
    }
}

#[test]
fn the_front_page_and_the_archive_lead_from_day_to_day() {
    let paper = Paper::shared();
    let (_, html) = paper.page("/");
    holds(
        &html,
        &[
            "<ol class=\"papers\" id=\"newest\">",
            "data-paper=\"arxiv:2402.14776\"",
            "Computation and Language",
        ],
    );
    let newest = html.split_once("id=\"newest\"").map(|(_, rest)| rest.to_owned());
    let newest = newest.unwrap_or_default();
    assert!(!newest.contains("arxiv:2402.14777"), "that is of yesterday: {newest}");
    let (_, html) = paper.page("/month/2001-05");
    holds(
        &html,
        &[
            "May 2001",
            "45 papers",
            "href=\"/month/2001-04\"",
            "href=\"/month/2001-06\"",
            "Filler number",
        ],
    );
    let next = html
        .split_once("rel=\"next\" href=\"")
        .unwrap()
        .1
        .split('"')
        .next()
        .unwrap();
    let (status, rest) = paper.page(&next.replace("&amp;", "&"));
    assert_eq!((status, rest.matches("<article").count()), (200, 15), "{rest}");
    let (status, html) = paper.page("/day/2001-05-18");
    assert_eq!(status, 200);
    holds(
        &html,
        &["Nothing was published on this day", "href=\"/day/2001-05-17\""],
    );
    let (_, html) = paper.page("/?category=math.CO");
    holds(
        &html,
        &[
            "today yet",
            "href=\"/day/2001-05-17?category=math.CO\"",
            "Filler number",
        ],
    );
    for wrong in ["/day/2001-02-30", "/week/2001-W60", "/month/2001-13", "/day/%3Cb%3E"] {
        let (status, html) = paper.page(wrong);
        assert!(status == 404 && html.contains("There is no such"), "{wrong}: {html}");
    }
}

#[test]
fn a_paper_has_all_that_a_reader_wants_of_it() {
    let paper = Paper::shared();
    let (_, html) = paper.page("/papers/arxiv:2402.14776");
    holds(
        &html,
        &[
            "≤",
            "<math alttext=\"xᵢ ≤ 10⁻³\">",
            "<section id=\"similar\"",
            "data-paper=\"arxiv:2402.14777\"",
            "% similar",
            "name=\"citation_arxiv_id\" content=\"2402.14776\"",
            "property=\"og:title\"",
            "https://arxiv.org/pdf/2402.14776",
            "https://example.org/code",
            "<bdi>محمد العربي</bdi>",
            "href=\"/categories/cs.CL\"",
            "?format=bibtex",
            "id=\"bibtex\">@",
            "href=\"https://example.org/\"",
        ],
    );
    let browser = paper.browser();
    let (status, bibtex) = browser.get("/papers/arxiv:2402.14776?format=bibtex");
    assert!(status == 200 && bibtex.starts_with('@'), "{bibtex}");
    assert_eq!(browser.get("/papers/2402.14776v2").0, 301, "as it is written elsewhere");
    assert_eq!(browser.get("/papers/doi:10.1145/3292500.1").0, 200);
    let (status, html) = browser.get("/papers/arxiv:2402.99999");
    assert!(status == 404 && html.contains("Paper not found"), "{html}");
    for (path, said) in [
        ("/papers/%3Cb%3E", "canonical id looks like"),
        ("/papers/arxiv:2402.14776?format=pdf", "is not offered"),
        ("/papers/own:%FF", "invalid characters"),
    ] {
        let (status, html) = browser.get(path);
        assert!(status == 400 && html.contains(said), "{path}: {html}");
    }
}

#[test]
fn a_vote_counts_once_moves_the_paper_and_is_shown_as_done() {
    let paper = Paper::shared();
    let id = "arxiv:2402.14777";
    let mut browser = paper.browser();
    let form = [("paper", id), ("back", "/search?q=owls")];
    for _ in 0..2 {
        assert_eq!(browser.post("/vote", &form), (303, "/search?q=owls".to_owned()));
    }
    let (_, html) = browser.get(&format!("/papers/{id}"));
    holds(
        &html,
        &["data-action=\"vote\" aria-pressed=\"true\"", ">Voted</button>"],
    );
    let (_, stranger) = paper.browser().get(&format!("/papers/{id}"));
    assert!(stranger.contains(">Vote</button>"), "{stranger}");
    let trend = until("the vote moves the paper", || {
        let (_, html) = browser.get("/trending");
        html.contains(&format!("data-paper=\"{id}\"")).then_some(html)
    });
    holds(
        &trend,
        &[
            "1 vote",
            "usual in Computation and Language",
            "<ol class=\"papers ranked\" id=\"trending\">",
        ],
    );
    let (_, front) = browser.get("/");
    holds(&front, &["<ol class=\"papers ranked lead\" id=\"trending\">", "1 vote"]);
}

#[test]
fn saved_papers_stay_in_the_browser_and_export_as_bibtex() {
    let paper = Paper::shared();
    let mut browser = paper.browser();
    assert!(browser.get("/saved").1.contains("You have not saved any papers yet"));
    for id in ["doi:10.1145/3292500.1", "arxiv:2402.14776"] {
        let (status, place) = browser.post("/save", &[("paper", id)]);
        assert_eq!((status, place), (303, format!("/papers/{id}")));
    }
    let (_, html) = browser.get("/saved");
    let place = |id: &str| {
        html.find(&format!("data-paper=\"{id}\""))
            .unwrap_or_else(|| panic!("{id}: {html}"))
    };
    assert!(
        place("arxiv:2402.14776") < place("doi:10.1145/3292500.1"),
        "newest first"
    );
    holds(&html, &["action=\"/unsave\"", ">Saved</button>"]);
    let (_, bibtex) = browser.get("/saved?format=bibtex");
    assert_eq!(bibtex.matches("\n}").count(), 2, "{bibtex}");
    browser.post("/unsave", &[("paper", "arxiv:2402.14776"), ("back", "/saved")]);
    assert!(!browser.get("/saved").1.contains("data-paper=\"arxiv:2402.14776\""));
}

#[test]
fn what_cannot_be_is_refused_with_a_page_and_changes_nothing() {
    let paper = Paper::shared();
    let mut browser = paper.browser();
    assert_eq!(browser.post("/vote", &[("paper", "arxiv:2402.99999")]).0, 404);
    assert_eq!(browser.post("/vote", &[("paper", "<b>")]).0, 400);
    assert_eq!(browser.post("/save", &[]).0, 400);
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
    for elsewhere in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
        let (status, place) = browser.post("/save", &[("paper", "arxiv:2402.14776"), ("back", elsewhere)]);
        assert_eq!(
            (status, place.as_str()),
            (303, "/papers/arxiv:2402.14776"),
            "{elsewhere}"
        );
    }
    for path in ["/vote", "/save", "/unsave"] {
        let (status, html) = paper.page(path);
        assert!(matches!(status, 400 | 405) && html.contains("<h1>"), "{path}: {html}");
    }
    let long = "x".repeat(300);
    for path in [
        format!("/?category={long}"),
        format!("/authors/{long}"),
        format!("/categories/{long}"),
    ] {
        let (status, html) = paper.page(&path);
        assert!(status == 400 && html.contains("are allowed"), "{path}: {html}");
    }
    for path in ["/authors/Nobody%20At%20All", "/categories/no.ne", "/nothing/here"] {
        let (status, html) = paper.page(path);
        assert!(status == 404 && html.contains("not found</h1>"), "{path}: {html}");
    }
    assert_eq!(paper.page("/search?q=a&q=b").0, 400, "two queries are none");
}

#[test]
fn old_links_of_the_search_lead_to_where_it_is_now() {
    let paper = Paper::shared();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0);
    let answer = ureq::Agent::new_with_config(config.build())
        .get(format!("{}/?q=owls%20%26%20mice", paper.web))
        .call();
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.headers()["location"], "/search?q=owls%20%26%20mice");
}

#[test]
fn no_page_weighs_much_and_none_holds_what_the_policy_forbids() {
    let paper = Paper::shared();
    let web = &paper.web;
    let style = get(&format!("{web}/style.css")).1.len();
    let script = get(&format!("{web}/script.js")).1.len();
    for path in [
        "/",
        "/search?q=owls",
        "/month/2001-05",
        "/trending",
        "/papers/arxiv:2402.14776",
    ] {
        let mut answer = Browser::agent().get(format!("{web}{path}")).call().unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let html = answer.body_mut().read_to_string().unwrap();
        // Uncompressed here; what is sent is a fifth of it.
        assert!(
            html.len() + style + script < 150_000,
            "{path}: {} + {style} + {script}",
            html.len()
        );
        assert!(!html.contains("src=\"http") && !html.contains("<style"), "{html}");
    }
    assert_eq!(paper.platform.run(&["status"]).status, 0);
}
