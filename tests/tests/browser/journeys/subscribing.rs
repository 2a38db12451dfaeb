//! A subscription, from the form to its end, by the mails that arrive.

use tests::mail::titles;
use tests::post;

use crate::journeys::scanning::{header, links, mail_to};
use crate::reader::Reader;
use crate::stage::Stage;

pub fn from_first_to_last(stage: &Stage, reader: &mut Reader) {
    let email = format!("{}@example.org", reader.variant.name());
    subscribe(stage, reader, &email);
    change_preferences(reader);

    stage.platform.must(&["digest", "send", "--to", &email, "--now"]);
    let digest = mail_to(stage, &email, "List-Unsubscribe: ");
    follow_title(stage, reader, &email);
    let of_mail = links(&digest, &stage.web);
    let similar = of_mail.iter().find(|link| link.contains("/search?q=like"));
    reader.open(similar.expect("the digest leads to papers like each of its own"));
    reader.look("similar-from-mail");
    assert!(!reader.papers("#results").is_empty(), "{}", reader.path());
    let vote = of_mail.iter().find(|link| link.contains("/vote?token="));
    reader.open(vote.expect("the digest leads to votes"));
    reader.look("vote-from-mail");
    reader.follow("main form[action='/vote'] button");
    reader.look("voted-from-mail");

    let unsubscribe = header(&digest, "List-Unsubscribe");
    let url = unsubscribe.trim_matches(['<', '>']);
    reader.open(url);
    reader.look("unsubscribe");
    // What a mail program does when its reader presses the button it shows.
    assert_eq!(header(&digest, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    let (status, page) = post(url, &[("List-Unsubscribe", "One-Click")]);
    assert_eq!(status, 200, "{page}");
    let sent = stage.platform.must(&["digest", "send", "--now", "--json"]).json();
    assert!(
        !sent.to_string().contains(&email),
        "nothing is sent after the end: {sent}"
    );
    reader.open(url);
    reader.look("unsubscribed");
}

/// From the mail as it is shown to the page of a paper in it.
fn follow_title(stage: &Stage, reader: &mut Reader, email: &str) {
    let html = stage.platform.digest_of(email);
    reader.read("digest", &html);
    let of_mail = titles(&html);
    // The page makes LaTeX readable and shows all of a title, however long; others are the same on both.
    let is_plain = |title: &str| !title.contains(['$', '\\', '{', '&', '…']);
    let (title, address) = of_mail.iter().find(|(title, _)| is_plain(title)).unwrap();
    reader.follow(&format!("h2 a[href='{address}']"));
    reader.look("paper-from-mail");
    assert_eq!(format!("{}{}", stage.web, reader.path()), *address);
    assert_eq!(reader.text("h1"), *title);
    assert!(reader.sees("#similar"), "{address}");
}

/// By the form, with a look at what would come, and by the link in the mail.
fn subscribe(stage: &Stage, reader: &mut Reader, email: &str) {
    reader.open("/subscribe");
    reader.look("subscribe");
    reader.fill("#subscribe [name='email']", email);
    reader.fill(
        "#subscribe [name='interests']",
        "sorting hedgehogs\nclassifiers that abstain",
    );
    reader.press("#subscribe [data-action='preview']");
    reader.until("the preview is shown", |reader| !reader.papers("#preview").is_empty());
    reader.look("subscribe-preview");
    let value = reader.run("return document.querySelector(\"[name='email']\").value", &[]);
    assert_eq!(value, email, "what was written stays");
    assert!(!is_known(stage, email), "a preview changes nothing");

    reader.follow("#subscribe [data-action='subscribe']");
    reader.look("subscribed");
    let confirm = links(&mail_to(stage, email, "/confirm?token="), &stage.web);
    let confirm = confirm.iter().find(|link| link.contains("/confirm?")).unwrap();
    reader.open(confirm);
    reader.look("confirm");
    reader.follow("main form button");
    reader.look("confirmed");
}

fn change_preferences(reader: &mut Reader) {
    // The page after the confirmation leads there.
    reader.follow("main a[href*='/preferences?token=']");
    reader.look("preferences");
    reader.fill("#preferences [name='interests']", "hedgehogs\nhandwriting in old books");
    reader.fill("#preferences [name='paper_count']", "4");
    reader.follow("#preferences [data-action='save'], #preferences button:not([data-action='preview'])");
    reader.look("preferences-saved");
    let kept = reader.run(
        "return [...document.querySelectorAll('#preferences textarea')].map((one) => one.value)",
        &[],
    );
    assert!(kept.to_string().contains("handwriting in old books"), "{kept}");
}

fn is_known(stage: &Stage, email: &str) -> bool {
    stage.platform.run(&["subscribers", "export", email]).status == 0
}
