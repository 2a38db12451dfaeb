//! The rules of merging, by example and by property.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + day * 86_400).expect("a timestamp")
}

fn record(provider: Provider, title: &str, authors: &[&str], names: &[(Scheme, &str)]) -> SourceRecord {
    let mut identifiers = Identifiers::new();
    for (scheme, value) in names {
        identifiers.insert_raw(*scheme, value).expect("an id");
    }
    SourceRecord {
        provider,
        submission: Submission {
            title: title.into(),
            authors: crate::names::each(authors),
            source: format!("{provider:?}").to_lowercase(),
            ..Submission::default()
        },
        identifiers,
        version: None,
        datestamp: None,
    }
}

const TITLE: &str = "A long enough title about merging papers";

#[test]
fn a_shared_id_makes_one_work_and_two_arxiv_ids_make_two() {
    let preprint = record(
        Provider::Arxiv,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Arxiv, "2402.14776"), (Scheme::Doi, "10.1145/1")],
    );
    let article = record(Provider::Crossref, "Another title", &[], &[(Scheme::Doi, "10.1145/1")]);
    assert_eq!(
        same_work(&preprint, &article),
        WorkMatch::Match(MatchBasis::Identifier(Scheme::Doi))
    );
    let other = record(
        Provider::Arxiv,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Arxiv, "2402.14777"), (Scheme::Doi, "10.1145/1")],
    );
    assert!(matches!(
        same_work(&preprint, &other),
        WorkMatch::Possible(PossibleMatch::ConflictingIdentifiers {
            shared: Scheme::Doi,
            conflicting: Scheme::Arxiv
        })
    ));
}

#[test]
fn a_catalogue_does_not_overrule_two_dois() {
    let one = record(
        Provider::OpenAlex,
        TITLE,
        &[],
        &[(Scheme::OpenAlex, "W1"), (Scheme::Doi, "10.1145/1")],
    );
    let two = record(
        Provider::OpenAlex,
        TITLE,
        &[],
        &[(Scheme::OpenAlex, "W1"), (Scheme::Doi, "10.1145/2")],
    );
    assert!(matches!(same_work(&one, &two), WorkMatch::Possible(_)));
}

#[test]
fn title_authors_and_date_decide_without_identifiers() {
    let mut one = record(Provider::Feed, TITLE, &["Ada Lovelace", "Alan Turing"], &[]);
    let mut two = record(
        Provider::Repository,
        &TITLE.to_uppercase(),
        &["Lovelace, A.", "Turing, A. M."],
        &[],
    );
    assert_eq!(same_work(&one, &two), WorkMatch::Match(MatchBasis::Text));
    one.submission.published = Some(at(0));
    two.submission.published = Some(at(365 * 9));
    assert_eq!(same_work(&one, &two), WorkMatch::Possible(PossibleMatch::SameTitle));
}

#[test]
fn little_text_and_other_people_never_merge() {
    let of = |title: &str, authors: &[&str]| record(Provider::Feed, title, authors, &[]);
    assert_eq!(
        same_work(&of("Editorial", &["Ada Lovelace"]), &of("Editorial", &["Ada Lovelace"])),
        WorkMatch::NoMatch
    );
    assert_eq!(
        same_work(&of(TITLE, &["Ada Lovelace"]), &of(TITLE, &["Kurt Gödel"])),
        WorkMatch::Possible(PossibleMatch::SameTitle)
    );
    assert_eq!(
        same_work(&of(TITLE, &[]), &of(TITLE, &["Kurt Gödel"])),
        WorkMatch::Possible(PossibleMatch::SameTitle)
    );
    assert_eq!(
        same_work(
            &of(TITLE, &["Ada Lovelace"]),
            &of(&format!("{TITLE} again"), &["Ada Lovelace"])
        ),
        WorkMatch::Possible(PossibleMatch::SimilarTitle)
    );
}

#[test]
fn the_same_text_under_two_dois_is_reported() {
    let one = record(
        Provider::Crossref,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Doi, "10.1145/1")],
    );
    let two = record(
        Provider::Crossref,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Doi, "10.1145/2")],
    );
    assert_eq!(
        same_work(&one, &two),
        WorkMatch::Possible(PossibleMatch::SameText {
            conflicting: Scheme::Doi
        })
    );
}

#[test]
fn each_field_comes_from_the_most_trusted_that_has_it() {
    let mut arxiv = record(
        Provider::Arxiv,
        "By arXiv",
        &["Ada Lovelace"],
        &[(Scheme::Arxiv, "2402.14776")],
    );
    arxiv.submission.links = vec![(crate::LinkKind::Abstract, "https://arxiv.org/abs/2402.14776".into())];
    let mut crossref = record(
        Provider::Crossref,
        "By Crossref",
        &["A. Lovelace"],
        &[(Scheme::Doi, "10.1145/1")],
    );
    crossref.submission.abstract_text = "Text.".into();
    crossref.submission.links = vec![(crate::LinkKind::Abstract, "https://doi.org/10.1145/1".into())];
    let merged = merge(&[crossref, arxiv]).expect("a paper");
    let paper = &merged.submission;
    assert_eq!(merged.id.as_str(), "arxiv:2402.14776");
    assert_eq!(
        (paper.title.as_str(), paper.abstract_text.as_str()),
        ("By arXiv", "Text.")
    );
    assert_eq!(paper.links.len(), 2);
    assert_eq!(paper.links[0].1, "https://arxiv.org/abs/2402.14776");
    assert_eq!(merged.identifiers.len(), 2);
    assert!(merged.conflicts.is_empty());
}

#[test]
fn an_older_version_that_arrives_late_does_not_replace_a_newer() {
    let version = |number: u32, title: &str| SourceRecord {
        version: Some(number),
        datestamp: Some(at(i64::from(number))),
        ..record(
            Provider::Arxiv,
            title,
            &["Ada Lovelace"],
            &[(Scheme::Arxiv, "2402.14776")],
        )
    };
    let merged = merge(&[version(3, "Third"), version(1, "First"), version(2, "Second")]).expect("a paper");
    assert_eq!(merged.submission.title, "Third");
}

#[test]
fn a_later_version_without_a_date_keeps_the_first_date() {
    let version = |number: u32, published: Option<i64>| {
        let mut one = record(Provider::Biorxiv, TITLE, &[], &[(Scheme::Doi, "10.1101/1")]);
        one.version = Some(number);
        one.submission.published = published.map(at);
        one
    };
    let dated_by_merging = |records: &[SourceRecord]| merge(records).expect("a paper").submission.published;
    let (first, second) = (version(1, Some(0)), version(2, None));
    assert_eq!(dated_by_merging(&[first.clone(), second.clone()]), Some(at(0)));
    assert_eq!(dated_by_merging(&[second.clone(), first.clone()]), Some(at(0)));
    assert_eq!(dated_by_merging(std::slice::from_ref(&second)), None);
    // The source itself corrects it.
    assert_eq!(
        dated_by_merging(&[version(3, Some(7)), first.clone(), second.clone()]),
        Some(at(7))
    );
    // Another source, trusted less, gives the only date.
    let mut other = record(Provider::OpenAlex, TITLE, &[], &[(Scheme::Doi, "10.1101/1")]);
    other.submission.published = Some(at(3));
    assert_eq!(dated_by_merging(&[second.clone(), other.clone()]), Some(at(3)));
    assert_eq!(dated_by_merging(&[second, other, first]), Some(at(0)));
}

#[test]
fn the_month_of_an_arxiv_id_is_the_last_resort() {
    let month = "2024-02-01T00:00:00Z".parse().expect("a time");
    let version = |number: u32, published: Timestamp| {
        let mut one = record(Provider::Arxiv, TITLE, &[], &[(Scheme::Arxiv, "2402.14776")]);
        one.version = Some(number);
        one.submission.published = Some(published);
        one
    };
    let dated_by_merging = |records: &[SourceRecord]| merge(records).expect("a paper").submission.published;
    let (announced, replaced) = (version(1, at(0)), version(2, month));
    assert_eq!((announced.own_date(), replaced.own_date()), (Some(at(0)), None));
    assert_eq!(dated_by_merging(&[announced.clone(), replaced.clone()]), Some(at(0)));
    assert_eq!(dated_by_merging(std::slice::from_ref(&replaced)), Some(month));
    assert_eq!(replaced.clone().with_date_of(&announced).own_date(), Some(at(0)));
    let mut other = version(1, at(3));
    other.submission.source = "another list of arXiv".into();
    assert_eq!(dated_by_merging(&[replaced, other]), Some(at(3)));
}

#[test]
fn registrars_can_withdraw_a_work_and_aggregators_cannot() {
    let names = [(Scheme::Arxiv, "2402.14776"), (Scheme::Doi, "10.1145/1")];
    let records = [
        record(Provider::Arxiv, TITLE, &[], &names),
        record(Provider::OpenAlex, TITLE, &[], &names),
    ];
    let by = |provider| SourceWithdrawal {
        provider,
        identifiers: records[0].identifiers.clone(),
        datestamp: Some(at(5)),
    };
    assert_eq!(
        apply_withdrawals(&records, &[by(Provider::Arxiv)]),
        WorkState::Withdrawn
    );
    assert_eq!(
        apply_withdrawals(&records, &[by(Provider::OpenAlex)]),
        WorkState::Current(vec![records[0].clone()])
    );
    assert_eq!(
        apply_withdrawals(&records[1..], &[by(Provider::OpenAlex)]),
        WorkState::Withdrawn
    );
    let back = SourceRecord {
        datestamp: Some(at(6)),
        ..records[0].clone()
    };
    assert_eq!(
        apply_withdrawals(std::slice::from_ref(&back), &[by(Provider::Arxiv)]),
        WorkState::Current(vec![back])
    );
}

fn any_record() -> impl Strategy<Value = SourceRecord> {
    let provider = prop::sample::select(trust::order(Field::Title).to_vec());
    let names = prop::collection::vec(
        prop::sample::select(vec![
            (Scheme::Arxiv, "2402.14776"),
            (Scheme::Arxiv, "2402.14777"),
            (Scheme::Doi, "10.1145/1"),
            (Scheme::Doi, "10.1145/2"),
            (Scheme::OpenAlex, "W1"),
        ]),
        0..4,
    );
    let title = prop::sample::select(vec![
        TITLE,
        "A long enough title about merging paper",
        "Reply",
        "Another title of sufficient length",
    ]);
    let authors = prop::collection::vec(
        prop::sample::select(vec!["Ada Lovelace", "Lovelace, A.", "Kurt Gödel", "X"]),
        0..4,
    );
    let rest = (
        0_u32..3,
        0_i64..4,
        "[ab]{0,2}",
        0_i64..4_000,
        prop::sample::select(vec!["s", "t"]),
    );
    (provider, names, title, authors, rest).prop_map(|(provider, names, title, authors, rest)| {
        let (version, day, text, published, id) = rest;
        let mut record = record(provider, title, &authors, &names);
        record.version = (version > 0).then_some(version);
        record.datestamp = (day > 0).then(|| at(day));
        record.submission.abstract_text.clone_from(&text);
        record.submission.id = id.to_owned();
        record.submission.published = (published % 3 > 0).then(|| at(published));
        record.submission.links = vec![(crate::LinkKind::Abstract, format!("https://example.org/{text}"))];
        record
    })
}

proptest! {
    #[test]
    fn same_work_is_symmetric_and_reflexive(one in any_record(), two in any_record()) {
        prop_assert_eq!(same_work(&one, &two), same_work(&two, &one));
        if !one.identifiers.is_empty() && one.identifiers.of(Scheme::Arxiv).count() < 2 {
            prop_assert!(matches!(same_work(&one, &one), WorkMatch::Match(_)), "{:?}", one);
        }
    }

    #[test]
    fn the_order_and_number_of_records_make_no_difference(
        records in prop::collection::vec(any_record(), 1..6),
        seed in any::<prop::sample::Index>(),
    ) {
        let merged = merge(&records);
        let mut turned = records.clone();
        turned.rotate_left(seed.index(records.len()));
        turned.reverse();
        turned.push(records[seed.index(records.len())].clone());
        prop_assert_eq!(merge(&turned), merged);
    }

    #[test]
    fn nothing_is_invented(records in prop::collection::vec(any_record(), 1..6)) {
        let merged = merge(&records).expect("a paper");
        let said = |has: &dyn Fn(&Submission) -> bool| records.iter().any(|record| has(&record.submission));
        prop_assert!(said(&|paper| paper.title == merged.submission.title));
        prop_assert!(said(&|paper| paper.abstract_text == merged.submission.abstract_text));
        prop_assert!(said(&|paper| paper.authors == merged.submission.authors));
        for (_, url) in &merged.submission.links {
            prop_assert!(said(&|paper| paper.links.iter().any(|(_, known)| known == url)));
        }
        prop_assert!(merged.submission.clone().into_paper(at(20_000)).is_ok());
    }

    #[test]
    fn withdrawals_only_remove(records in prop::collection::vec(any_record(), 1..5), taken in prop::collection::vec(any_record(), 0..3)) {
        let withdrawals: Vec<SourceWithdrawal> = taken
            .into_iter()
            .map(|record| SourceWithdrawal { provider: record.provider, identifiers: record.identifiers, datestamp: record.datestamp })
            .collect();
        if let WorkState::Current(left) = apply_withdrawals(&records, &withdrawals) {
            prop_assert!(!left.is_empty() && left.iter().all(|record| records.contains(record)));
        }
        prop_assert_eq!(apply_withdrawals(&records, &[]), WorkState::Current(records));
    }
}
