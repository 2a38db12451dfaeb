//! The rules of merging, by example and by property.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + day * 86_400).expect("a timestamp")
}

fn claim(provider: Provider, title: &str, authors: &[&str], names: &[(Scheme, &str)]) -> Claim {
    let mut identifiers = Identifiers::new();
    for (scheme, value) in names {
        identifiers.insert_raw(*scheme, value).expect("an id");
    }
    Claim {
        provider,
        submission: Submission {
            title: title.into(),
            authors: authors.iter().map(|name| (*name).to_owned()).collect(),
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
fn a_shared_name_makes_one_work_and_two_arxiv_ids_make_two() {
    let preprint = claim(
        Provider::Arxiv,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Arxiv, "2402.14776"), (Scheme::Doi, "10.1145/1")],
    );
    let article = claim(Provider::Crossref, "Another title", &[], &[(Scheme::Doi, "10.1145/1")]);
    assert_eq!(
        same_work(&preprint, &article),
        Sameness::Same(By::Identifier(Scheme::Doi))
    );
    let other = claim(
        Provider::Arxiv,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Arxiv, "2402.14777"), (Scheme::Doi, "10.1145/1")],
    );
    assert!(matches!(
        same_work(&preprint, &other),
        Sameness::Alike(Alike::ContraryIdentifiers {
            shared: Scheme::Doi,
            contrary: Scheme::Arxiv
        })
    ));
}

#[test]
fn a_catalogue_does_not_overrule_two_dois() {
    let one = claim(
        Provider::OpenAlex,
        TITLE,
        &[],
        &[(Scheme::OpenAlex, "W1"), (Scheme::Doi, "10.1145/1")],
    );
    let two = claim(
        Provider::OpenAlex,
        TITLE,
        &[],
        &[(Scheme::OpenAlex, "W1"), (Scheme::Doi, "10.1145/2")],
    );
    assert!(matches!(same_work(&one, &two), Sameness::Alike(_)));
}

#[test]
fn title_authors_and_date_decide_where_there_are_no_names() {
    let mut one = claim(Provider::Feed, TITLE, &["Ada Lovelace", "Alan Turing"], &[]);
    let mut two = claim(
        Provider::Repository,
        &TITLE.to_uppercase(),
        &["Lovelace, A.", "Turing, A. M."],
        &[],
    );
    assert_eq!(same_work(&one, &two), Sameness::Same(By::Text));
    one.submission.published = Some(at(0));
    two.submission.published = Some(at(365 * 9));
    assert_eq!(same_work(&one, &two), Sameness::Alike(Alike::SameTitle));
}

#[test]
fn little_text_and_other_people_never_merge() {
    let of = |title: &str, authors: &[&str]| claim(Provider::Feed, title, authors, &[]);
    assert_eq!(
        same_work(&of("Editorial", &["Ada Lovelace"]), &of("Editorial", &["Ada Lovelace"])),
        Sameness::Different
    );
    assert_eq!(
        same_work(&of(TITLE, &["Ada Lovelace"]), &of(TITLE, &["Kurt Gödel"])),
        Sameness::Alike(Alike::SameTitle)
    );
    assert_eq!(
        same_work(&of(TITLE, &[]), &of(TITLE, &["Kurt Gödel"])),
        Sameness::Alike(Alike::SameTitle)
    );
    assert_eq!(
        same_work(
            &of(TITLE, &["Ada Lovelace"]),
            &of(&format!("{TITLE} again"), &["Ada Lovelace"])
        ),
        Sameness::Alike(Alike::NearTitle)
    );
}

#[test]
fn the_same_text_under_two_dois_is_reported() {
    let one = claim(
        Provider::Crossref,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Doi, "10.1145/1")],
    );
    let two = claim(
        Provider::Crossref,
        TITLE,
        &["Ada Lovelace"],
        &[(Scheme::Doi, "10.1145/2")],
    );
    assert_eq!(
        same_work(&one, &two),
        Sameness::Alike(Alike::SameText { contrary: Scheme::Doi })
    );
}

#[test]
fn each_field_comes_from_the_most_trusted_that_has_it() {
    let mut arxiv = claim(
        Provider::Arxiv,
        "By arXiv",
        &["Ada Lovelace"],
        &[(Scheme::Arxiv, "2402.14776")],
    );
    arxiv.submission.links = vec![(crate::LinkKind::Abstract, "https://arxiv.org/abs/2402.14776".into())];
    let mut crossref = claim(
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
fn a_newer_version_replaces_and_an_older_one_that_comes_late_does_not() {
    let version = |number: u32, title: &str| Claim {
        version: Some(number),
        datestamp: Some(at(i64::from(number))),
        ..claim(
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
fn who_named_a_work_can_take_it_back_and_a_catalogue_cannot() {
    let names = [(Scheme::Arxiv, "2402.14776"), (Scheme::Doi, "10.1145/1")];
    let claims = [
        claim(Provider::Arxiv, TITLE, &[], &names),
        claim(Provider::OpenAlex, TITLE, &[], &names),
    ];
    let by = |provider| Withdrawn {
        provider,
        identifiers: claims[0].identifiers.clone(),
        datestamp: Some(at(5)),
    };
    assert_eq!(honour(&claims, &[by(Provider::Arxiv)]), Standing::Withdrawn);
    assert_eq!(
        honour(&claims, &[by(Provider::OpenAlex)]),
        Standing::Stands(vec![claims[0].clone()])
    );
    assert_eq!(honour(&claims[1..], &[by(Provider::OpenAlex)]), Standing::Withdrawn);
    let back = Claim {
        datestamp: Some(at(6)),
        ..claims[0].clone()
    };
    assert_eq!(
        honour(std::slice::from_ref(&back), &[by(Provider::Arxiv)]),
        Standing::Stands(vec![back])
    );
}

fn any_claim() -> impl Strategy<Value = Claim> {
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
        let mut claim = claim(provider, title, &authors, &names);
        claim.version = (version > 0).then_some(version);
        claim.datestamp = (day > 0).then(|| at(day));
        claim.submission.abstract_text.clone_from(&text);
        claim.submission.id = id.to_owned();
        claim.submission.published = Some(at(published));
        claim.submission.links = vec![(crate::LinkKind::Abstract, format!("https://example.org/{text}"))];
        claim
    })
}

proptest! {
    #[test]
    fn sameness_is_symmetric_and_a_claim_is_about_its_own_work(one in any_claim(), two in any_claim()) {
        prop_assert_eq!(same_work(&one, &two), same_work(&two, &one));
        if !one.identifiers.is_empty() && one.identifiers.of(Scheme::Arxiv).count() < 2 {
            prop_assert!(matches!(same_work(&one, &one), Sameness::Same(_)), "{:?}", one);
        }
    }

    #[test]
    fn the_order_and_the_number_of_claims_make_no_difference(
        claims in prop::collection::vec(any_claim(), 1..6),
        seed in any::<prop::sample::Index>(),
    ) {
        let merged = merge(&claims);
        let mut turned = claims.clone();
        turned.rotate_left(seed.index(claims.len()));
        turned.reverse();
        turned.push(claims[seed.index(claims.len())].clone());
        prop_assert_eq!(merge(&turned), merged);
    }

    #[test]
    fn nothing_is_invented(claims in prop::collection::vec(any_claim(), 1..6)) {
        let merged = merge(&claims).expect("a paper");
        let said = |has: &dyn Fn(&Submission) -> bool| claims.iter().any(|claim| has(&claim.submission));
        prop_assert!(said(&|paper| paper.title == merged.submission.title));
        prop_assert!(said(&|paper| paper.abstract_text == merged.submission.abstract_text));
        prop_assert!(said(&|paper| paper.authors == merged.submission.authors));
        for (_, url) in &merged.submission.links {
            prop_assert!(said(&|paper| paper.links.iter().any(|(_, known)| known == url)));
        }
        prop_assert!(merged.submission.clone().into_paper(at(20_000)).is_ok());
    }

    #[test]
    fn withdrawals_only_ever_take_away(claims in prop::collection::vec(any_claim(), 1..5), taken in prop::collection::vec(any_claim(), 0..3)) {
        let withdrawals: Vec<Withdrawn> = taken
            .into_iter()
            .map(|claim| Withdrawn { provider: claim.provider, identifiers: claim.identifiers, datestamp: claim.datestamp })
            .collect();
        if let Standing::Stands(left) = honour(&claims, &withdrawals) {
            prop_assert!(!left.is_empty() && left.iter().all(|claim| claims.contains(claim)));
        }
        prop_assert_eq!(honour(&claims, &[]), Standing::Stands(claims));
    }
}
