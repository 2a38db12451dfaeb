use proptest::prelude::*;

use super::super::form_body::PostedForm;
use super::*;

fn parse(fields: &[(&str, &str)]) -> ParsedPreferences {
    ParsedPreferences::parse(&FormState::default().with(&PostedForm::from_fields(fields)))
}

#[test]
fn an_address_alone_is_enough() {
    let parsed = parse(&[("email", "ada@example.org")]);
    assert!(parsed.problems.is_empty());
    let preferences = parsed.preferences;
    assert!(preferences.interests.is_empty() && preferences.exclusions.is_none());
    assert_eq!(
        (preferences.paper_count, preferences.trending_share.to_string()),
        (10, "0.2".to_owned())
    );
    let schedule = preferences.schedule.expect("a schedule");
    assert_eq!((schedule.time.as_str(), schedule.time_zone.as_str()), ("07:00", "UTC"));
}

#[test]
fn lines_and_papers_become_interests_with_origins() {
    let parsed = parse(&[
        (
            "interests",
            "sleepy  consensus\r\n\r\nlakes from above\r\nsleepy consensus",
        ),
        ("like", "https://arxiv.org/abs/2402.14776 cats"),
        ("categories", "cs.DC, cs"),
        ("excluded_words", "blockchain, smart contract"),
        ("excluded_authors", "Lovelace, Ada\r\nBabbage"),
    ]);
    let texts: Vec<&str> = parsed
        .preferences
        .interests
        .iter()
        .map(|one| one.text.as_str())
        .collect();
    assert_eq!(texts, ["sleepy consensus", "lakes from above", ""]);
    assert_eq!(
        parsed.origins,
        [
            InterestOrigin::Line(1),
            InterestOrigin::Line(3),
            InterestOrigin::ExamplePaper("https://arxiv.org/abs/2402.14776".to_owned())
        ]
    );
    assert!(
        parsed
            .preferences
            .interests
            .iter()
            .all(|one| one.categories == ["cs.DC", "cs"])
    );
    let exclusions = parsed.preferences.exclusions.expect("exclusions");
    assert_eq!(exclusions.words, ["blockchain", "smart contract"]);
    assert_eq!(exclusions.authors, ["Lovelace, Ada", "Babbage"]);
    assert_eq!(parsed.problems.sentences().len(), 1, "cats are no paper");
}

#[test]
fn what_cannot_be_parsed_is_a_problem() {
    let parsed = parse(&[
        ("paper_count", "ten"),
        ("trending_share", "much"),
        ("frequency", "hourly"),
        ("format", "pdf"),
        ("categories", "cs"),
        ("time", " 06:30 "),
    ]);
    assert_eq!(parsed.problems.sentences().len(), 5, "{:?}", parsed.problems);
    assert_eq!(parsed.preferences.schedule.expect("a schedule").time, "06:30");
}

#[test]
fn only_a_weekly_digest_has_a_day() {
    let weekday = |frequency, weekday| {
        let parsed = parse(&[("frequency", frequency), ("weekday", weekday)]);
        parsed.preferences.schedule.map(|schedule| schedule.weekday)
    };
    assert_eq!(weekday("weekly", "sunday"), Some(7));
    assert_eq!(weekday("daily", "sunday"), Some(0));
    assert!(
        !parse(&[("frequency", "weekly"), ("weekday", "someday")])
            .problems
            .is_empty()
    );
}

#[test]
fn saved_interests_are_edited_emptied_and_removed() {
    let saved = parse(&[("interests", "one\ntwo\nthree\nfour")]).preferences;
    let typed = FormState::from_preferences(&saved).with(&PostedForm::from_fields(&[
        ("interest.0.words", "one and a half"),
        ("interest.0.weight", "2"),
        ("interest.1.words", "two"),
        ("interest.1.remove", "on"),
        ("interest.2.words", " "),
        ("interest.3.words", "four"),
        ("interest.3.like", "1"),
        ("interest.1000000.words", "beyond"),
        ("interests", "five"),
    ]));
    let parsed = ParsedPreferences::parse(&typed);
    let texts: Vec<&str> = parsed
        .preferences
        .interests
        .iter()
        .map(|one| one.text.as_str())
        .collect();
    assert_eq!(texts, ["one and a half", "four", "five"]);
    assert_eq!(
        parsed.origins,
        [
            InterestOrigin::Saved(0),
            InterestOrigin::Saved(3),
            InterestOrigin::Line(1)
        ]
    );
    assert_eq!(parsed.preferences.interests[0].weight, Some(2.0));
    assert_eq!(parsed.problems.sentences().len(), 1);
    let untouched = FormState::from_preferences(&saved).with(&PostedForm::from_fields(&[("paper_count", "3")]));
    assert_eq!(
        untouched.saved_interests.len(),
        4,
        "a form without interests takes none away"
    );
}

fn interests() -> impl Strategy<Value = Vec<Interest>> {
    let entry = "[a-zA-Zéß][a-z0-9. é]{0,12}[a-z]";
    let list = || proptest::collection::vec(entry, 0..3);
    let ids = proptest::collection::vec("(arxiv:[0-9]{4}\\.[0-9]{5}|seed:[a-z0-9,;]{1,8}[a-z])", 0..3);
    let categories = proptest::collection::vec("[a-z]{2,4}\\.[A-Z]{2}", 0..3);
    let interest = (entry, ids, categories, list(), list(), 1..100_u32);
    let interest = interest.prop_map(|(text, like, categories, words, authors, weight)| Interest {
        text,
        like_paper_ids: like,
        categories,
        exclusions: non_empty(Exclusions {
            words,
            authors,
            categories: Vec::new(),
        }),
        weight: Some(f64::from(weight) / 10.0),
        ..Interest::default()
    });
    proptest::collection::vec(interest, 0..4)
}

proptest! {
    #[test]
    fn an_untouched_form_says_what_is_saved(
        interests in interests(),
        share in 0..=1_000_u32,
        paper_count in 1..=50,
        frequency in 1..=3,
        weekday in 1..=7,
        format in 1..=2,
    ) {
        let weekday = if frequency == 3 { weekday } else { 0 };
        let saved = Preferences {
            interests,
            schedule: Some(Schedule {
                time: "06:15".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
                frequency,
                weekday,
            }),
            paper_count,
            trending_share: f64::from(share) / 1_000.0,
            format,
            language: "pt-BR".to_owned(),
            ..Preferences::default()
        };
        let once = ParsedPreferences::parse(&FormState::from_preferences(&saved));
        prop_assert!(once.problems.is_empty(), "{:?}", once.problems);
        // Lists lose what they say twice, and nothing else; after that nothing changes any more.
        let again = ParsedPreferences::parse(&FormState::from_preferences(&once.preferences));
        prop_assert_eq!(&again.preferences, &once.preferences);
        prop_assert_eq!(once.preferences.interests.len(), saved.interests.len());
        prop_assert_eq!(once.preferences.trending_share.to_string(), saved.trending_share.to_string());
        prop_assert_eq!(once.preferences.schedule, saved.schedule);
    }

    #[test]
    fn any_field_is_parsed(name in "[a-z._0-9]{0,20}", value in any::<String>()) {
        let names = ["interests", "like", "excluded_words", "paper_count", "trending_share", "interest.0.words", &name];
        for name in names {
            let parsed = parse(&[(name, &value)]);
            prop_assert_eq!(parsed.origins.len(), parsed.preferences.interests.len());
        }
    }
}
