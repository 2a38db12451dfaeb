use std::sync::Arc;

use super::*;
use crate::testing::entry;
use domain::Link;

fn papers() -> Vec<EditionPaper> {
    let hostile = entry("x:a", "<script>alert(\"1\")</script> & {{ friends }}", "test@1").paper;
    let mut hostile = Arc::unwrap_or_clone(hostile);
    hostile.authors = vec!["Ada <b>Lovelace</b>".into(), "Grace Hopper".into()];
    hostile.abstract_text = "We break <i>mails</i>.\nAnd mend them.".into();
    hostile.links = vec![Link {
        kind: LinkKind::Abstract,
        url: "https://example.org/a?b=\"c\"&d".into(),
    }];
    let plain = entry("x:b", "Cats on keyboards", "test@1").paper;
    let reasons = ["because you follow “cats & <dogs>” (match 0.87)", "new today"];
    [Arc::new(hostile), plain]
        .into_iter()
        .zip(reasons)
        .map(|(paper, reason)| EditionPaper {
            paper,
            score: 0.87,
            reason: reason.to_owned(),
        })
        .collect()
}

fn digest(papers: &[EditionPaper]) -> Mail {
    let links = Links {
        preferences: "https://example.org/preferences?token=t".into(),
        unsubscribe: "https://example.org/unsubscribe?token=t".into(),
    };
    let date = "Monday, 2 March 2026";
    let mail = Letters::new().digest("ada@example.org", date, papers, &links, "<a.1@example.org>".into());
    mail.expect("a mail")
}

#[test]
fn a_digest_looks_like_this() {
    let mail = digest(&papers());
    insta::assert_snapshot!("digest_subject", mail.subject);
    insta::assert_snapshot!("digest_text", mail.text);
    insta::assert_snapshot!("digest_html", mail.html);
    assert!(
        !mail.html.contains("<script>") && !mail.html.contains("<b>Lovelace"),
        "escaped"
    );
}

#[test]
fn a_confirmation_looks_like_this() {
    let url = "https://example.org/confirm?token=t";
    let mail = Letters::new().confirmation("ada@example.org", url, "<a.confirm.1@example.org>".into());
    let mail = mail.expect("a mail");
    assert_eq!(mail.list_unsubscribe_url, None);
    insta::assert_snapshot!("confirmation_subject", mail.subject);
    insta::assert_snapshot!("confirmation_text", mail.text);
    insta::assert_snapshot!("confirmation_html", mail.html);
}

#[test]
fn subjects_fit_any_number_of_papers_and_any_title() {
    assert_eq!(digest(&[]).subject, "No new papers today");
    assert_eq!(digest(&papers()[1..]).subject, "Cats on keyboards");
    let mut long = papers();
    Arc::make_mut(&mut long[0].paper).title = "word ".repeat(100).trim().to_owned();
    let subject = digest(&long).subject;
    assert!(
        subject.ends_with("word… and 1 more") && subject.chars().count() < 110,
        "{subject}"
    );
}
