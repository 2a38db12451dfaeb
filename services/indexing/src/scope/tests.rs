use super::*;
use domain::{AuthorName, PaperId};

/// The table that the tests of the rule for names use, too.
const NAMES: &str = include_str!("../../../domain/tests/names.tsv");

fn paper(author: &str) -> Paper {
    Paper {
        id: PaperId::parse("x:a").expect("an id"),
        title: "Beacons".to_owned(),
        abstract_text: String::new(),
        authors: vec![AuthorName::parse(author)],
        categories: Vec::new(),
        published: Some(Timestamp::UNIX_EPOCH),
        updated: None,
        links: Vec::new(),
        source: "test".to_owned(),
        revision: 1,
        content_hash: String::new(),
        language: String::new(),
        accepted: Timestamp::UNIX_EPOCH,
        revised: Timestamp::UNIX_EPOCH,
    }
}

/// Whether a query finds a paper, and whether its opposite leaves it out.
fn by_query(query: &str, paper: &Paper) -> bool {
    let restrictions = domain::query::parse(query).expect("a query").restrictions;
    let mut scope = SearchScope::default();
    scope.narrow(restrictions).expect("a scope");
    scope.lets_pass(paper)
}

fn by_filter(filter: wire::PaperFilter, paper: &Paper) -> bool {
    SearchScope::read(Some(filter)).expect("a scope").lets_pass(paper)
}

#[test]
fn authors_are_found_and_excluded_in_every_spelling() {
    for row in NAMES.lines().filter(|line| !line.starts_with('#')) {
        let row: Vec<&str> = row.split('\t').collect();
        let paper = paper(row[0]);
        for (column, expected) in [(row[5], true), (row[6], false)] {
            for text in column.split("; ").filter(|text| !text.is_empty()) {
                let message = format!("{text:?} and {}", row[0]);
                assert_eq!(by_query(&format!("author:\"{text}\""), &paper), expected, "{message}");
                assert_eq!(by_query(&format!("-author:\"{text}\""), &paper), !expected, "{message}");
                let with = wire::PaperFilter {
                    authors: vec![text.to_owned()],
                    ..wire::PaperFilter::default()
                };
                assert_eq!(by_filter(with, &paper), expected, "{message}");
                let without = wire::PaperFilter {
                    without_authors: vec![text.to_owned()],
                    ..wire::PaperFilter::default()
                };
                assert_eq!(by_filter(without, &paper), !expected, "{message}");
            }
        }
    }
}

#[test]
fn a_name_without_quotes_is_found() {
    for (query, author) in [
        ("author:ortiz-vidal", "Inés Ortiz-Vidal"),
        ("author:o'brien", "Síle O'Brien"),
        ("author:O’Brien", "Síle O'Brien"),
        ("author:żółć", "Łukasz Żółć"),
    ] {
        assert!(by_query(query, &paper(author)), "{query}");
        assert!(!by_query(&format!("-{query}"), &paper(author)), "-{query}");
    }
}

#[test]
fn a_watch_of_a_period_passes_no_paper_of_unknown_date() {
    let of = |published: Option<i64>| {
        let time = |seconds| proto::convert::to_wire_time(Timestamp::from_second(seconds).expect("a time"));
        let paper = proto::papers::v1::Paper {
            id: "x:a".to_owned(),
            published_time: published.map(time),
            accepted_time: Some(time(1_800_000_000)),
            ..Default::default()
        };
        Paper::try_from(paper).expect("a paper")
    };
    let before = |text: &str| {
        let time: Timestamp = text.parse().expect("a time");
        let filter = wire::PaperFilter {
            published_before: Some(proto::convert::to_wire_time(time)),
            ..wire::PaperFilter::default()
        };
        SearchScope::read(Some(filter)).expect("a filter")
    };
    let scope = before("2030-01-01T00:00:00Z");
    assert!(scope.lets_pass(&of(Some(1_700_000_000))) && !scope.lets_pass(&of(None)));
    let everything = SearchScope::read(None).expect("no filter");
    assert!(everything.lets_pass(&of(None)));
}
