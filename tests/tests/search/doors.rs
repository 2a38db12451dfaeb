//! The search through its two doors for people: the command line and the page.

use proto::search::v1::SearchPapersRequest;
use serde_json::Value;
use tests::get;

use super::{Library, ask, list, names, only};

fn ids(found: &Value) -> Vec<&str> {
    let results = found["results"].as_array().unwrap();
    results.iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn the_command_line_asks_with_every_option_and_tells_everything() {
    let library = Library::shared();
    let json = |arguments: &[&str]| {
        let arguments = [&["search", "--json"], arguments].concat();
        library.platform.must(&arguments).json()
    };
    let found = json(&["\"leader election\"", "--explain", "--limit", "2"]);
    assert_eq!(
        (&found["notice"], &found["total_is_estimate"]),
        (&"".into(), &true.into())
    );
    assert!(found["total"].as_u64().unwrap() >= 2, "{found}");
    let best = &found["results"][0];
    assert!(
        best["highlight"]["sentence_spans"][0][1].as_u64().unwrap() > 0,
        "{best}"
    );
    let sparse = best["parts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["name"] == "sparse")
        .unwrap();
    assert_eq!(sparse["terms"].as_array().unwrap().len(), 2, "{sparse}");

    let dense = json(&[
        "hedgehogs",
        "--mode",
        "dense",
        "--diversity",
        "0.2",
        "--recency-days",
        "365",
    ]);
    let parts: Vec<&str> = dense["results"][0]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    assert_eq!(parts, ["dense", "recency", "diversity"]);
    let newest = json(&["hedgehogs", "--order", "newest"]);
    assert_eq!(ids(&newest)[0], "seed:robots-garden", "the newest of those that fit");
    let like = json(&[
        "--like",
        "seed:sleepy",
        "--like",
        "seed:paxos",
        "--unlike",
        "seed:translate",
    ]);
    assert_eq!(ids(&like)[0], "seed:election");
    assert!(!ids(&like).contains(&"seed:sleepy"), "{like}");

    let text = library
        .platform
        .must(&["search", "hedgehogs at night", "--limit", "1", "--explain"])
        .out;
    for expected in [
        "biorxiv:hedgehog-night  2021-05-01  Ada K. Lovelace, Grace Hopper",
        "walk far at night",
        "hedgehog ",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains('\x1b'), "no escapes where nobody looks: {text}");
    let refused = library.platform.run(&["search", "hedgehogs year:soon"]);
    assert_eq!((refused.status, refused.out.as_str()), (65, ""));
    assert!(refused.err.contains("query at character 11"), "{refused:?}");
    assert_eq!(library.platform.run(&["search"]).status, 2, "nothing is asked for");
}

#[test]
fn the_page_marks_words_counts_narrows_and_sorts() {
    let library = Library::shared();
    let web = library.platform.endpoint("web");
    let page = |address: &str| get(&format!("{web}{address}"));
    let (status, html) = page("/search?q=hedgehogs%20source%3Abiorxiv");
    assert_eq!(status, 200, "{html}");
    for expected in [
        "<mark>Hedgehogs</mark> at night",
        "7 papers",
        "/search?q=hedgehogs%20source%3Abiorxiv%20cat%3Aq-bio.PE",
        "/search?q=hedgehogs%20source%3Abiorxiv%20year%3A2020",
        "&amp;sort=newest",
        "/search?q=like%3Abiorxiv%3Ahedgehog-night",
    ] {
        assert!(html.contains(expected), "{expected}: {html}");
    }
    let (_, narrowed) = page("/search?q=hedgehogs%20source%3Abiorxiv%20year%3A2020");
    assert!(
        narrowed.contains("2 papers") && narrowed.contains("Gardens for"),
        "{narrowed}"
    );
    let (_, newest) = page("/search?q=hedgehogs%20source%3Abiorxiv&sort=newest");
    let place = |title: &str| newest.find(title).unwrap_or_else(|| panic!("{title}: {newest}"));
    assert!(place("Roads that kill") < place("</mark> at night") && !newest.contains("Old drugs, new uses"));
    let (status, similar) = page("/search?q=like%3Abiorxiv%3Ahedgehog-night");
    assert!(status == 200 && similar.contains("hedgehog"), "{similar}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_an_id_leads_to_that_paper() {
    let library = Library::shared();
    let answer = library.search(ask("biorxiv:hedgehog-night")).await;
    let found = names(&answer);
    assert_eq!(found[0], "hedgehog-night");
    assert!(found.len() > 1 && !found[1..].contains(&found[0]), "{found:?}");
    assert!(answer.notice.starts_with("the first paper is"), "{}", answer.notice);
    let filtered = SearchPapersRequest {
        filter: Some(only(|filter| filter.sources = list(&["seed"]))),
        ..ask("biorxiv:hedgehog-night")
    };
    assert!(!library.found(filtered).await.contains(&found[0]));
    for (query, notice) in [
        (
            "https://doi.org/10.1145/99999.99999",
            "no paper here has this id; these papers fit its words",
        ),
        ("note: hedgehogs:absent", ""),
        ("hedgehogs:absent", ""),
    ] {
        assert_eq!(library.search(ask(query)).await.notice, notice, "{query}");
    }
    let web = library.platform.endpoint("web");
    let page = |query: &str| tokio::task::block_in_place(|| get(&format!("{web}/search?q={query}"))).1;
    for query in [
        "biorxiv%3Ahedgehog-night",
        "https%3A%2F%2Fpapers.example%2Fpapers%2Fbiorxiv%3Ahedgehog-night",
    ] {
        let html = page(query);
        assert!(html.contains("<h1") && html.contains("citation_title"), "{html}");
    }
    assert!(page("10.1145%2F99999.99999").contains("no paper here has this id"));
}

#[test]
fn pasted_titles_search_for_their_words() {
    let library = Library::shared();
    let web = library.platform.endpoint("web");
    for query in [
        "HEDGEHOGS+AT+NIGHT+AND+NOT+BY+DAY",
        "hedgehogs+12%22",
        "%3A%29+hedgehogs",
        "hedgehogs%3A+at+night",
        "night%3Ahedgehogs+%28",
    ] {
        let (status, html) = get(&format!("{web}/search?q={query}"));
        assert!(
            status == 200 && html.to_lowercase().contains("hedgehogs</mark>"),
            "{query}: {html}"
        );
    }
}

#[test]
fn a_refused_query_stays_in_the_box_with_its_mistake() {
    let library = Library::shared();
    let web = library.platform.endpoint("web");
    for (query, said) in [
        ("hedgehogs%20year%3A%3Cb%3E", "at character 11: year: cannot be"),
        ("has%3A%3Cscript%3E", "write has:code"),
        ("like%3Aseed%3Aabsent", "seed:absent, which is not in the catalogue"),
    ] {
        let (status, html) = get(&format!("{web}/search?q={query}"));
        assert_eq!(status, 400, "{html}");
        let alert = html.split_once("role=\"alert\"").map(|(_, rest)| rest);
        assert!(alert.is_some_and(|alert| alert.contains(said)), "{said}: {html}");
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
    }
    let (_, html) = get(&format!("{web}/search?q=hedgehogs%20year%3A%3Cb%3E"));
    assert!(html.contains("hedgehogs <mark>year:&lt;b&gt;"), "{html}");
    assert!(html.contains("value=\"hedgehogs year:&lt;b&gt;\""), "{html}");
    let (status, _) = get(&format!("{web}/search?q={}", "x".repeat(8_001)));
    assert_eq!(status, 400);
    let (status, html) = get(&format!("{web}/search?q=hedgehogs&page=forged"));
    assert!(status == 400 && html.contains("page_token"), "{html}");
}
