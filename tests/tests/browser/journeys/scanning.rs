//! Mails as programs read them: their heads, their links, and a scanner that follows every link before any person sees one.

use std::collections::BTreeSet;

use tests::{get, until};

use crate::stage::Stage;

/// Follows every link of a confirmation and of a digest, and finds everything as it was.
pub fn changes_nothing(stage: &Stage) {
    let (waiting, active) = ("waiting@example.org", "scanned@example.org");
    stage.platform.must(&["subscribe", waiting]);
    stage
        .platform
        .must(&["subscribe", active, "--interest", "hedgehogs", "--confirm"]);
    stage.platform.must(&["digest", "send", "--to", active, "--now"]);
    let mails = [
        mail_to(stage, waiting, "/confirm?token="),
        mail_to(stage, active, "List-Unsubscribe: "),
    ];
    let of_mails: BTreeSet<String> = mails.iter().flat_map(|mail| links(mail, &stage.web)).collect();
    assert!(of_mails.len() > 8, "{of_mails:?}");
    let before = state_of(stage, [waiting, active]);
    for link in &of_mails {
        let (status, page) = get(link);
        assert_eq!(status, 200, "{link}: {page}");
    }
    assert_eq!(state_of(stage, [waiting, active]), before);
}

/// What is known of these readers: what waits for a confirmation, and everything about a subscriber.
fn state_of(stage: &Stage, [waiting, active]: [&str; 2]) -> [String; 2] {
    [
        stage.platform.must(&["subscribers", "show", waiting, "--json"]).out,
        stage.platform.must(&["subscribers", "export", active]).out,
    ]
}

/// The newest mail to an address that holds some text, once it is there.
pub fn mail_to(stage: &Stage, email: &str, text: &str) -> String {
    until(&format!("a mail to {email} with {text}"), || {
        let mails = stage.platform.mails();
        mails
            .into_iter()
            .find(|mail| header(mail, "To").contains(email) && mail.contains(text))
    })
}

/// What a line of the head of a mail says, unfolded.
pub fn header(mail: &str, name: &str) -> String {
    let head = mail
        .split_once("\r\n\r\n")
        .map_or(mail, |(head, _)| head)
        .replace("\r\n ", " ");
    let line = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(": ")?.trim().to_owned());
    head.lines().find_map(line).unwrap_or_default()
}

/// Every address of ours in a mail.
pub fn links(mail: &str, web: &str) -> BTreeSet<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | ']');
    let starts = mail.match_indices(web).map(|(at, _)| &mail[at..]);
    let links = starts.map(|rest| rest[..rest.find(ends).unwrap_or(rest.len())].replace("&amp;", "&"));
    links.filter(|link| link.len() > web.len()).collect()
}
