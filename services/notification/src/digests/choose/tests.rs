use std::collections::HashMap;

use domain::schedule::Schedule;
use domain::selection::floor::MATCH_FLOOR;
use domain::{DenseVector, EncoderId, Interest, PaperId};

use jiff::Timestamp;

use super::*;
use crate::subscribers::seen::pack;
use crate::testing::{entry, vector};
use crate::window::Window;

/// Papers `x:0`, `x:1`, … came in an hour after one another, the last one at hour zero.
fn window(titles: &[&str], trending: &[(&str, f32)]) -> std::sync::Arc<WindowSnapshot> {
    let mut window = Window::default();
    for (number, title) in titles.iter().enumerate() {
        let mut entry = entry(&format!("x:{number}"), title, "test@1");
        entry.indexed = hours(number + 1) - hours(titles.len()).duration_since(Timestamp::UNIX_EPOCH);
        window.add(entry);
    }
    let scores = trending
        .iter()
        .map(|(id, score)| (PaperId::parse(id).expect("an id"), *score));
    window.set_trending(scores.collect::<HashMap<_, _>>());
    let encoder = EncoderId::parse("test@1").expect("an encoder id");
    window.snapshot(&encoder).expect("one dimension")
}

fn hours(count: usize) -> Timestamp {
    Timestamp::from_second(3600 * i64::try_from(count).expect("small")).expect("a timestamp")
}

fn preferences(interests: &[&str], paper_count: usize) -> Preferences {
    Preferences {
        interests: interests.iter().map(|words| Interest::in_words(words)).collect(),
        ..Preferences::plain(Schedule::parse("07:00", "UTC").expect("a schedule"), paper_count)
    }
}

fn chosen(window: &WindowSnapshot, preferences: &Preferences, seen: &SeenPapers) -> Result<Vec<String>, EmptyReason> {
    let vectors = preferences.interests.iter().map(|one| vector(&one.words));
    let vectors: Vec<Int8Vector> = vectors.map(|one| Int8Vector::quantise(&one)).collect();
    let reader = DigestReader {
        preferences,
        vectors: &vectors,
        seen,
        unwanted: &[],
    };
    let papers = choose(window, MATCH_FLOOR, &[reader])
        .expect("one dimension")
        .remove(0)?;
    Ok(papers.iter().map(|one| one.paper.id.to_string()).collect())
}

#[test]
fn interests_come_first_and_what_is_trending_fills_its_share() {
    let window = window(
        &["on cats", "on dogs", "on cats", "on dogs"],
        &[("x:1", 3.0), ("x:0", 2.0)],
    );
    let mut cats = preferences(&["cats"], 2);
    cats.trending_share = 0.5;
    assert_eq!(
        chosen(&window, &cats, &SeenPapers::default()).expect("papers"),
        ["x:2", "x:1"]
    );
    cats.trending_share = 0.0;
    assert_eq!(
        chosen(&window, &cats, &SeenPapers::default()).expect("papers"),
        ["x:2", "x:0"]
    );
    let nothing = preferences(&[], 3);
    assert_eq!(
        chosen(&window, &nothing, &SeenPapers::default()).expect("papers"),
        ["x:1", "x:0", "x:3"],
        "trending, then the newest"
    );
}

#[test]
fn papers_from_before_the_last_digest_stay_out_but_for_a_day() {
    let titles = ["on cats"; 30];
    let window = window(&titles, &[]);
    let slot = Timestamp::UNIX_EPOCH;
    let seen = SeenPapers::unpack(&pack(["x:29"].into_iter(), slot));
    let ids = chosen(&window, &preferences(&["cats"], 50), &seen).expect("papers");
    assert_eq!(
        ids.len(),
        24,
        "25 hours up to the slot, without the one that was sent: {ids:?}"
    );
    assert_eq!(
        (ids.first().map(String::as_str), ids.last().map(String::as_str)),
        (Some("x:28"), Some("x:5"))
    );
}

#[test]
fn nothing_says_why() {
    let dogs = window(&["on dogs"], &[]);
    let none = SeenPapers::default();
    assert_eq!(
        chosen(&window(&[], &[]), &preferences(&["cats"], 5), &none),
        Err(EmptyReason::NoNewPaper)
    );
    let seen = SeenPapers::unpack(&pack(["x:0"].into_iter(), Timestamp::UNIX_EPOCH));
    assert_eq!(
        chosen(&dogs, &preferences(&["cats"], 5), &seen),
        Err(EmptyReason::NoNewPaper)
    );
    let mut picky = preferences(&["cats"], 5);
    picky.interests[0].categories = vec!["cs".to_owned()];
    assert_eq!(chosen(&dogs, &picky, &none), Err(EmptyReason::NothingMatched));
    let mut averse = preferences(&["dogs"], 5);
    averse.exclusions.words = vec!["dog".to_owned()];
    assert_eq!(chosen(&dogs, &averse, &none), Err(EmptyReason::EverythingExcluded));
}

#[test]
fn what_the_encoder_cannot_read_goes_by_words_and_says_so() {
    let mut window = Window::default();
    let titles = ["🔥🔥🔥", "采购订单自动审批流程", "on cats"];
    for (number, title) in titles.into_iter().enumerate() {
        let mut entry = entry(&format!("x:{number}"), title, "test@1");
        entry.vectors.sparse = domain::bm25::document_vector(title).expect("a sound vector");
        if number < 2 {
            entry.vectors.dense = unreadable();
        }
        window.add(entry);
    }
    let encoder = EncoderId::parse("test@1").expect("an encoder id");
    let window = window.snapshot(&encoder).expect("one dimension");
    let papers = |words: &str, vector: DenseVector| {
        let preferences = preferences(&[words], 5);
        let reader = DigestReader {
            preferences: &preferences,
            vectors: &[Int8Vector::quantise(&vector)],
            seen: &SeenPapers::default(),
            unwanted: &[],
        };
        let chosen = choose(&window, MATCH_FLOOR, &[reader])
            .expect("one dimension")
            .remove(0)?;
        let one = |paper: &DigestPaper| (paper.paper.id.to_string(), paper.reason.clone());
        Ok(chosen.iter().map(one).collect::<Vec<_>>())
    };
    let reason = "because you follow “采购审批” (by its words alone: the model does not read them)".to_owned();
    let chinese = || vec![("x:1".to_owned(), reason.clone())];
    assert_eq!(papers("采购审批", unreadable()), Ok(chinese()));
    assert_eq!(
        papers("采购审批", vector("dogs")),
        Ok(chinese()),
        "the paper cannot be read"
    );
    assert_eq!(papers("🔥", unreadable()), Err(EmptyReason::NothingMatched));
    let cats = papers("cats", vector("cats")).expect("papers");
    assert_eq!(cats.len(), 1, "{cats:?}");
    assert_eq!(cats[0].0, "x:2");
}

/// What the encoder makes of a text that it cannot read.
fn unreadable() -> DenseVector {
    DenseVector::new(vec![0.0; vector("").dimension()]).expect("a vector")
}

#[test]
fn nothing_like_an_unwanted_paper_comes() {
    let mut window = Window::default();
    let titles = ["on cats", "more on cats", "on dogs"];
    for (number, title) in titles.into_iter().enumerate() {
        window.add(entry(&format!("x:{number}"), title, "test@1"));
    }
    let encoder = EncoderId::parse("test@1").expect("an encoder id");
    let window = window.snapshot(&encoder).expect("one dimension");
    let (preferences, unwanted) = (preferences(&[], 5), [PaperId::parse("x:0").expect("an id")]);
    let reader = DigestReader {
        preferences: &preferences,
        vectors: &[],
        seen: &SeenPapers::default(),
        unwanted: &unwanted,
    };
    let papers = choose(&window, MATCH_FLOOR, &[reader])
        .expect("one dimension")
        .remove(0)
        .expect("papers");
    let ids: Vec<&str> = papers.iter().map(|one| one.paper.id.as_str()).collect();
    assert_eq!(ids, ["x:2"]);
}
