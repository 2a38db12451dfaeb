//! Finding papers.

use crate::papers::FORMULAS;
use crate::reader::Reader;
use crate::stage::Stage;

pub fn search_paper_similar(_: &Stage, reader: &mut Reader) {
    reader.open("/");
    reader.look("today");
    reader.fill("form[action='/search'] [name='q']", "sorting hedgehogs quickly");
    reader.follow("form[action='/search'] button");
    assert!(reader.path().starts_with("/search?q=sorting"), "{}", reader.path());
    reader.look("search");
    let found = reader.papers("#results");
    assert_eq!(found[0], FORMULAS, "{found:?}");

    reader.follow(&format!(
        "#results article[data-paper='{FORMULAS}'] a[href^='/papers/']"
    ));
    reader.look("paper");
    let title = reader.text("h1");
    assert!(
        title.starts_with("Sorting Hedgehogs in") && !title.contains(['$', '\\']),
        "{title}"
    );
    let page = reader.text("main");
    assert!(page.contains("Édouard Ménard-Ølsen") && page.contains("李明"), "{page}");
    assert!(
        !page.contains("\\sum") && page.contains('≤'),
        "formulas can be read: {page}"
    );

    let similar = reader.papers("#similar");
    assert!(
        !similar.is_empty() && !similar.contains(&FORMULAS.to_owned()),
        "{similar:?}"
    );
    let next = &similar[0];
    reader.follow(&format!("#similar article[data-paper='{next}'] a[href^='/papers/']"));
    assert!(reader.path().starts_with("/papers/"), "{}", reader.path());
    assert_ne!(reader.text("h1"), title);
    assert!(
        !reader.papers("#similar").contains(next),
        "a paper is not similar to itself"
    );
}

pub fn pages_and_orders(_: &Stage, reader: &mut Reader) {
    reader.open("/search?q=learning");
    let first = reader.papers("#results");
    assert!(first.len() >= 10, "{first:?}");
    reader.follow("a[rel='next']");
    reader.look("search-next-page");
    let second = reader.papers("#results");
    assert!(
        !second.is_empty() && second.iter().all(|paper| !first.contains(paper)),
        "{second:?}"
    );

    reader.open("/search?q=learning&sort=newest");
    let newest = reader.papers("#results");
    assert_ne!(newest, first, "another order");
    reader.open("/search?q=learning&sort=trending");
    reader.look("search-trending");
    reader.open("/search?q=author%3Anobody-of-this-name");
    reader.look("search-nothing");
    assert!(reader.papers("#results").is_empty());
    reader.open("/search");
    reader.look("search-empty");
    reader.open("/?q=old+links");
    assert!(reader.path().starts_with("/search?q=old"), "{}", reader.path());
}
