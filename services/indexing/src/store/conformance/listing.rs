//! Lists by time: no paper lost or doubled between pages, however many share a moment.

use jiff::Timestamp;

use super::fixtures::{TestCollection, TestPlace, time};
use crate::store::{Filter, IndexedPaper, ListPosition};

pub async fn conforms(place: &TestPlace) {
    lists_page_without_loss(place).await;
    a_position_needs_no_paper(place).await;
    papers_of_unknown_date_come_last(place).await;
}

async fn lists_page_without_loss(place: &TestPlace) {
    let it = place.subject().await;
    let named = |n: usize| format!("{}{n:02}", "p".repeat(n % 3));
    // Backwards, so that the order of arrival is not the one asked for.
    it.write((0..23).rev().map(|n| it.paper(&named(n), 1, [1.0, 0.0], &[])).collect())
        .await;
    let mut sorted: Vec<(usize, String)> = (0..23).map(|n| (n % 3, format!("x:{}", named(n)))).collect();
    sorted.sort_by(|(a, a_id), (b, b_id)| b.cmp(a).then_with(|| a_id.cmp(b_id)));
    let all: Vec<String> = sorted.into_iter().map(|(_, id)| id).collect();
    for size in [1, 5, 8, 23, 100] {
        assert_eq!(paged(&it, size).await, all, "pages of {size}");
    }
    let none = it.store.list(Filter::default(), None, 0).await.expect("list");
    assert!(none.is_empty());
}

async fn paged(it: &TestCollection, size: usize) -> Vec<String> {
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = it.store.list(Filter::default(), after, size).await.expect("list");
        let Some(last) = page.last() else { return paged };
        assert!(page.len() <= size);
        after = Some(ListPosition::of(last));
        paged.extend(page.into_iter().map(|paper| paper.id.to_string()));
    }
}

async fn papers_of_unknown_date_come_last(place: &TestPlace) {
    let it = place.subject().await;
    let mut papers: Vec<IndexedPaper> = (0..9)
        .map(|n| it.paper(&format!("undated{n}"), 1, [1.0, 0.0], &[]))
        .collect();
    for one in &mut papers {
        one.paper.published = None;
    }
    let oldest = "-009999-01-03T00:00:00Z";
    for (name, published) in [("oldest", oldest), ("old", "1960-01-01T00:00:00Z"), ("also", oldest)] {
        let mut one = it.paper(name, 1, [1.0, 0.0], &[]);
        one.paper.published = Some(time(published));
        papers.push(one);
    }
    it.write(papers).await;
    let mut expected = ["x:old", "x:also", "x:oldest"].map(str::to_owned).to_vec();
    expected.extend((0..9).map(|n| format!("x:undated{n}")));
    for size in [1, 2, 3, 4, 7, 12, 13] {
        assert_eq!(paged(&it, size).await, expected, "pages of {size}");
    }
    let dated = Filter {
        published_after: Some(Timestamp::MIN),
        ..Filter::default()
    };
    assert_eq!(it.listed(dated).await, expected[..3]);
}

/// The paper of a position may have been withdrawn, or moved, since.
async fn a_position_needs_no_paper(place: &TestPlace) {
    let it = place.subject().await;
    let mut papers = Vec::new();
    for (name, published) in [
        ("new", "2026-01-02T00:00:00Z"),
        ("same", "2026-01-01T00:00:00Z"),
        ("old", "1960-01-01T00:00:00Z"),
    ] {
        let mut one = it.paper(name, 1, [1.0, 0.0], &[]);
        one.paper.published = Some(time(published));
        papers.push(one);
    }
    it.write(papers).await;
    let cases: [(&str, &str, &[&str]); 5] = [
        ("2027-01-01T00:00:00Z", "x:a", &["x:new", "x:same", "x:old"]),
        ("2026-01-01T00:00:00Z", "x:a", &["x:same", "x:old"]),
        ("2026-01-01T00:00:00Z", "x:z", &["x:old"]),
        ("1960-01-01T00:00:00Z", "x:old", &[]),
        ("1950-01-01T00:00:00Z", "x:a", &[]),
    ];
    for (published, id, expected) in cases {
        let after = ListPosition {
            published_ms: time(published).as_millisecond(),
            id: id.into(),
        };
        let page = it.store.list(Filter::default(), Some(after), 10).await.expect("list");
        let found: Vec<&str> = page.iter().map(|paper| paper.id.as_str()).collect();
        assert_eq!(found, expected, "behind {id} of {published}");
    }
}
