//! Filters, counts and facets: each field alone, combined and negated, held against a plain reading of what it says.

use domain::names::search_keys;
use domain::{Link, LinkKind};

use super::fixtures::{TestCollection, TestPlace, ids, time};
use super::model::passes;
use crate::store::{Count, Facet, FacetCount, Filter, IndexedPaper};

pub async fn conforms(place: &TestPlace) {
    let it = place.subject().await;
    let papers = papers(&it);
    it.write(papers.clone()).await;
    it.write(vec![it.paper("gone", 1, [1.0, 0.0], &[(1, 1.0)])]).await;
    it.withdraw("gone", 2).await;
    filters_mean_what_they_say(&it).await;
    filters_hold(&it, &papers).await;
    facets_hold(&it).await;
}

/// Name, categories, source, authors, language, time of publication, terms.
type FilterRow = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static [(u32, f32)],
);

/// Eight papers; each differs from the others in something.
fn papers(it: &TestCollection) -> Vec<IndexedPaper> {
    let rows: [FilterRow; 9] = [
        (
            "a",
            &["cs.CL"],
            "arXiv",
            &["Ada K. Lovelace"],
            "en",
            "2024-12-31T23:59:59Z",
            &[(1, 1.0)],
        ),
        (
            "b",
            &["cs.CL", "cs.LG"],
            "arXiv",
            &["Ada Byron", "Ada Byron"],
            "en",
            "2025-01-01T00:00:00Z",
            &[(1, 1.0), (2, 1.0)],
        ),
        (
            "c",
            &["math.CO"],
            "other feed",
            &["José Núñez"],
            "pt-BR",
            "2025-06-01T12:00:00Z",
            &[(2, 1.0)],
        ),
        (
            "d",
            &["cs.LG", "math.CO"],
            "other feed",
            &["Jose Nunez", "Ada K. Lovelace"],
            "",
            "2025-06-01T12:00:00Z",
            &[(1, 1.0), (2, 1.0), (3, 1.0)],
        ),
        (
            "e",
            &[],
            "arXiv",
            &[],
            "de",
            "1969-07-20T00:00:00Z",
            &[(4_294_967_295, 1.0)],
        ),
        (
            "f",
            &["cs.CL"],
            "bioRxiv",
            &["Lovelace"],
            "en",
            "2026-02-28T00:00:00Z",
            &[],
        ),
        (
            "g",
            &["q-bio"],
            "bioRxiv",
            &["J. Byron"],
            "en-GB",
            "2026-03-01T00:00:00Z",
            &[(1, 1.0), (3, 1.0)],
        ),
        (
            "h",
            &["cs"],
            "bioRxiv",
            &["Nobody Else", "Omar Al-Fadil"],
            "",
            "2026-03-01T00:00:00Z",
            &[(7, 1.0)],
        ),
        // Of unknown date: in no period of time.
        ("i", &["physics"], "arXiv", &[], "fr", "", &[(1, 1.0), (2, 1.0)]),
    ];
    let made = rows.map(|(name, categories, source, authors, language, published, terms)| {
        let mut one = it.paper(name, 1, [1.0, 0.0], terms);
        one.paper.categories = texts(categories);
        one.paper.authors = domain::names::each(authors);
        one.paper.source = source.into();
        one.paper.language = language.into();
        one.paper.published = (!published.is_empty()).then(|| time(published));
        if ["b", "g"].contains(&name) {
            one.paper.links.push(Link {
                kind: LinkKind::Code,
                url: "https://example.org/code".into(),
            });
        }
        one
    });
    made.into()
}

fn filter(set: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = Filter::default();
    set(&mut filter);
    filter
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// What some filters let pass, written out by hand.
async fn filters_mean_what_they_say(it: &TestCollection) {
    let cases: [(Filter, &str); 24] = [
        (Filter::default(), "abcdefghi"),
        (filter(|f| f.categories = texts(&["cs.CL"])), "abf"),
        (filter(|f| f.categories = texts(&["cs"])), "h"),
        (
            filter(|f| f.categories = texts(&["cs.CL", "math.CO", "unknown"])),
            "abcdf",
        ),
        (filter(|f| f.without_categories = texts(&["cs.CL", "cs.LG"])), "ceghi"),
        (filter(|f| f.sources = texts(&["other feed"])), "cd"),
        (filter(|f| f.sources = texts(&["other"])), ""),
        (filter(|f| f.without_sources = texts(&["arXiv", "unknown"])), "cdfgh"),
        (filter(|f| f.authors = texts(&["ada lovelace"])), "ad"),
        (filter(|f| f.authors = texts(&["lovelace"])), "adf"),
        (filter(|f| f.authors = texts(&["jose nunez", "byron"])), "bcdg"),
        (filter(|f| f.without_authors = texts(&["ada"])), "cefghi"),
        (filter(|f| f.authors = search_keys("Al-Fadil, O.")), "h"),
        (filter(|f| f.without_authors = search_keys("Al‑Fadil")), "abcdefgi"),
        (filter(|f| f.languages = texts(&["en", "de"])), "abef"),
        (
            filter(|f| f.published_after = Some(time("2025-01-01T00:00:00Z"))),
            "bcdfgh",
        ),
        (
            filter(|f| f.published_before = Some(time("2025-01-01T00:00:00Z"))),
            "ae",
        ),
        (filter(|f| f.has_code = Some(true)), "bg"),
        (filter(|f| f.has_code = Some(false)), "acdefhi"),
        (filter(|f| f.terms = vec![1, 2]), "bdi"),
        (filter(|f| f.any_terms = vec![3, 7, 99]), "dgh"),
        (filter(|f| f.without_terms = vec![1, u32::MAX]), "cfh"),
        (filter(|f| f.within = Some(ids(&["h", "a", "unknown", "gone"]))), "ah"),
        (filter(|f| f.without = ids(&["a", "b", "unknown"])), "cdefghi"),
    ];
    for (filter, expected) in cases {
        let mut listed = it.listed(filter.clone()).await;
        listed.sort();
        let listed: String = listed.iter().filter_map(|id| id.chars().last()).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

/// One setting of each field; together with their pairs they are the table that is checked.
fn settings() -> Vec<fn(&mut Filter)> {
    vec![
        |f| f.categories = texts(&["cs.CL"]),
        |f| f.categories = texts(&["unknown"]),
        |f| f.without_categories = texts(&["cs.LG", "unknown"]),
        |f| f.sources = texts(&["arXiv", "bioRxiv"]),
        |f| f.without_sources = texts(&["arXiv"]),
        |f| f.authors = texts(&["ada", "nunez"]),
        |f| f.without_authors = texts(&["jose nunez"]),
        |f| f.languages = texts(&["en"]),
        |f| f.published_after = Some(time("2025-06-01T12:00:00Z")),
        |f| f.published_before = Some(time("2026-03-01T00:00:00Z")),
        |f| f.has_code = Some(true),
        |f| f.has_code = Some(false),
        |f| f.terms = vec![1],
        |f| f.terms = vec![1, 99],
        |f| f.any_terms = vec![2, 3, 99],
        |f| f.without_terms = vec![3],
        |f| f.within = Some(ids(&["a", "b", "c", "f", "gone"])),
        |f| f.within = Some(Vec::new()),
        |f| f.without = ids(&["a", "h", "gone"]),
    ]
}

/// Every pair of settings, through a dense and a sparse leg, a list and a count.
async fn filters_hold(it: &TestCollection, papers: &[IndexedPaper]) {
    let settings = settings();
    for (place, first) in settings.iter().enumerate() {
        for second in &settings[place..] {
            let mut filter = Filter::default();
            first(&mut filter);
            second(&mut filter);
            check(it, papers, filter).await;
        }
    }
    let mut everything = Filter::default();
    for set in &settings {
        set(&mut everything);
    }
    check(it, papers, everything).await;
}

async fn check(it: &TestCollection, papers: &[IndexedPaper], filter: Filter) {
    let passing: Vec<&IndexedPaper> = papers.iter().filter(|one| passes(&filter, one)).collect();
    let expected: Vec<String> = passing.iter().map(|one| one.paper.id.to_string()).collect();
    let with_words = passing.iter().filter(|one| one.vectors.sparse.indices().contains(&1));
    let with_words: Vec<String> = with_words.map(|one| one.paper.id.to_string()).collect();

    let (dense, by_words) = it.find([1.0, 0.0], &[(1, 1.0)], filter.clone()).await;
    let sorted = |hits: &[domain::fusion::Hit]| {
        let mut ids: Vec<String> = hits.iter().map(|hit| hit.id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(sorted(&dense), expected, "{filter:?}");
    assert_eq!(sorted(&by_words), with_words, "{filter:?}");
    let mut listed = it.listed(filter.clone()).await;
    listed.sort();
    assert_eq!(listed, expected, "{filter:?}");
    let counted = it.store.count(filter.clone()).await.expect("count");
    let count = Count {
        papers: expected.len() as u64,
        exact: true,
    };
    assert_eq!(counted, count, "{filter:?}");
}

async fn facets_hold(it: &TestCollection) {
    let all: [(Facet, &[(&str, u64)]); 5] = [
        (
            Facet::Category,
            &[
                ("cs.CL", 3),
                ("cs.LG", 2),
                ("math.CO", 2),
                ("cs", 1),
                ("physics", 1),
                ("q-bio", 1),
            ],
        ),
        (Facet::Year, &[("2025", 3), ("2026", 3), ("1969", 1), ("2024", 1)]),
        (Facet::Source, &[("arXiv", 4), ("bioRxiv", 3), ("other feed", 2)]),
        (
            Facet::Author,
            &[
                ("Ada K. Lovelace", 2),
                ("Ada Byron", 1),
                ("J. Byron", 1),
                ("Jose Nunez", 1),
                ("José Núñez", 1),
                ("Lovelace", 1),
                ("Nobody Else", 1),
                ("Omar Al-Fadil", 1),
            ],
        ),
        (
            Facet::Language,
            &[("en", 3), ("de", 1), ("en-GB", 1), ("fr", 1), ("pt-BR", 1)],
        ),
    ];
    for (facet, expected) in all {
        let expected: Vec<FacetCount> = expected
            .iter()
            .map(|(value, papers)| FacetCount {
                value: (*value).to_owned(),
                papers: *papers,
            })
            .collect();
        for limit in 0..=expected.len() + 1 {
            let found = it.store.facet(Filter::default(), facet, limit).await.expect("facet");
            assert_eq!(
                found,
                expected[..limit.min(expected.len())],
                "{facet:?}, {limit} of them"
            );
        }
        let nowhere = filter(|f| f.within = Some(Vec::new()));
        assert_eq!(it.store.facet(nowhere, facet, 10).await.expect("facet"), []);
    }
    let narrow = filter(|f| f.without_categories = texts(&["cs.CL"]));
    let found = it.store.facet(narrow, Facet::Category, 10).await.expect("facet");
    let found: Vec<(&str, u64)> = found.iter().map(|one| (one.value.as_str(), one.papers)).collect();
    assert_eq!(
        found,
        [("math.CO", 2), ("cs", 1), ("cs.LG", 1), ("physics", 1), ("q-bio", 1)]
    );
}
