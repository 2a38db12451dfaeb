//! The HTTP API: the client of Hugging Face works against it, and every format of a paper can be had.

use serde_json::{Value, json};
use tests::Platform;

use crate::{ask, client, fill, get, vote};

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_hugging_face_works_here() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    fill(&platform);
    vote(&platform).await;
    let web = platform.endpoint("web");
    let said = tokio::task::spawn_blocking(move || {
        refusals(&web);
        formats(&web);
        client(&["huggingface", &web], b"")
    });
    let said = said.await.unwrap();
    let ids = |of: &str| -> Vec<&str> {
        let papers = said[of].as_array().unwrap_or_else(|| panic!("{of}: {said}"));
        papers.iter().map(|paper| paper["id"].as_str().unwrap()).collect()
    };
    let mut found = ids("search");
    found.sort_unstable();
    assert_eq!(found, ["2402.14776", "formats:2"]);
    let paper = &said["paper"];
    assert_eq!(paper["title"], "Owls of the O(n²) night");
    assert_eq!(paper["authors"], json!(["Ruth Abara", "Ludwig van der Rohe"]));
    assert_eq!(paper["published_at"], "2024-02-22T00:00:00+00:00");
    assert!(paper["summary"].as_str().unwrap().starts_with("Owls hunt"), "{paper}");
    assert_eq!(said["canonical"]["upvotes"], 3);
    assert!(
        said["text"]
            .as_str()
            .unwrap()
            .starts_with("# Owls of the $O(n^2)$ night\n"),
        "{said}"
    );
    assert_eq!(said["day"][0]["submitted_by"], "formats");
    for period in ["day", "week", "month"] {
        assert_eq!(ids(period), ["2402.14776"], "{period}");
    }
    assert_eq!(ids("daily").len(), 50);
    assert_eq!(ids("daily")[..3], ["formats:hostile", "formats:2", "2402.14776"]);
    assert_eq!(ids("second"), ["formats:2"]);
    assert_eq!(ids("trending"), ["formats:2"]);
    assert_eq!(ids("submitter"), [""; 0]);
    assert_eq!(said["unknown"]["status"], 404);
    for (of, part) in [("wrong_day", "2026-11-27"), ("wrong_limit", "from 1 to 100")] {
        assert_eq!(said[of]["status"], 400, "{said}");
        assert!(said[of]["text"].as_str().unwrap().contains(part), "{}", said[of]);
    }
}

fn refusals(web: &str) {
    for (path, status, said) in [
        ("papers/search", 400, "q is empty"),
        ("papers/search?q=owls&limit=0", 400, "from 1 to 100"),
        ("papers/search?q=year:owls", 400, "query"),
        ("papers/nonsense", 400, "arxiv:2402.14776"),
        ("papers/formats:2?format=pdf", 400, "bibtex"),
        (
            "daily_papers?date=2024-02-22&week=2024-W08",
            400,
            "one of date, week and month",
        ),
        ("daily_papers?sort=best", 400, "publishedAt and trending"),
        ("daily_papers?p=100&limit=100", 400, "first 1000"),
        ("models", 404, "/api/daily_papers"),
    ] {
        let answer = get(&format!("{web}/api/{path}"), &[]);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(said), "{path}: {error}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
    }
    let written = ask("POST", &format!("{web}/api/daily_papers"), &[], "");
    assert_eq!((written.status, written.header("allow")), (405, "GET, HEAD, OPTIONS"));
    let asked = ask(
        "OPTIONS",
        &format!("{web}/api/daily_papers"),
        &[("origin", "https://other.example")],
        "",
    );
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, "*"));
}

fn formats(web: &str) {
    let url = format!("{web}/api/papers/2402.14776");
    for (accept, kind, part) in [
        ("*/*", "application/json", "\"canonicalId\":\"arxiv:2402.14776\""),
        ("text/html, */*;q=0.1", "application/json", "\"canonicalId\""),
        ("text/markdown", "text/markdown", "# Owls of the $O(n^2)$ night"),
        (
            "application/x-bibtex;q=0.9, text/html;q=0.1",
            "application/x-bibtex",
            "@misc{arxiv:2402.14776,",
        ),
        (
            "application/x-research-info-systems",
            "application/x-research-info-systems",
            "AU  - van der Rohe, Ludwig",
        ),
        (
            "application/vnd.citationstyles.csl+json",
            "application/vnd.citationstyles.csl+json",
            "\"family\":\"Abara\"",
        ),
    ] {
        let answer = get(&url, &[("accept", accept)]);
        assert_eq!(
            answer.header("content-type"),
            format!("{kind}; charset=utf-8"),
            "{accept}"
        );
        assert!(answer.text().contains(part), "{accept}: {}", answer.text());
        assert!(answer.header("vary").contains("accept"), "{answer:?}");
    }
    let named = get(&format!("{url}?format=ris"), &[("accept", "text/markdown")]);
    assert!(
        named.text().starts_with("TY  - GEN\r\n"),
        "the address overrules: {named:?}"
    );
    let own = get(&format!("{url}?format=json"), &[]).json();
    assert_eq!(own["revision"], 1, "{own}");
    assert_ne!(own["content_hash"], Value::Null);
    let encoded = get(
        &format!("{web}/api/papers/https%3A%2F%2Farxiv.org%2Fabs%2F2402.14776v1"),
        &[],
    );
    assert_eq!(encoded.json()["id"], "2402.14776");
}
