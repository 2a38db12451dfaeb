//! Reads bounces (RFC 3464) and complaints (RFC 5965), and what old mail servers send in their place.

use super::parts::{Part, groups};

/// Longest words of a mail server that are kept.
const DETAIL_CHARS: usize = 300;

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The address takes no mail, for good.
    HardBounce,
    /// The mail was not delivered this time.
    SoftBounce,
    /// The mail was not delivered because of what it is or who sends it, which says nothing of the address.
    Rejection,
    /// The reader calls it spam.
    Complaint,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it says.
    pub kind: Kind,
    /// The mail it may be about: return paths and Message-IDs, the surest first.
    pub mails: Vec<String>,
    /// What the mail server said.
    pub detail: String,
}

impl Kind {
    /// As metrics spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::SoftBounce => "soft_bounce",
            Self::Rejection => "rejection",
            Self::Complaint => "complaint",
        }
    }
}

/// Reads a message. `None` where it is no report, or one of success, of mere delay, or that a mail is no spam.
pub fn read(message: &[u8]) -> Option<Report> {
    let text = String::from_utf8_lossy(message);
    let top = Part::read(&text);
    let mut mails = addressed(&top);
    let failed: Vec<String> = top.all("x-failed-recipients").map(str::to_owned).collect();
    let (mut verdict, mut quoted) = (None, Vec::new());
    let answered: Vec<String> = ids(top.field("in-reply-to"))
        .chain(ids(top.field("references")))
        .collect();
    for part in top.leaves() {
        match part.kind().as_str() {
            "message/delivery-status" | "message/global-delivery-status" => {
                verdict = verdict.or_else(|| delivery(&part.body));
            }
            "message/feedback-report" => verdict = verdict.or_else(|| complaint(&part.body, &mut mails)),
            "message/rfc822" | "message/global" | "message/rfc822-headers" | "text/rfc822-headers" | "text/rfc822" => {
                let returned = Part::read(&part.body);
                quoted.extend(returned.all("message-id").flat_map(ids));
                quoted.extend(returned.all("return-path").map(str::to_owned));
            }
            // Exim sends plain text with the mail behind it, and names the address in a field of its own.
            "" | "text/plain" if !failed.is_empty() => {
                verdict = verdict.or_else(|| in_words(&part.body));
                quoted.extend(lines_of(&part.body, "message-id").flat_map(ids));
            }
            _ => {}
        }
    }
    let (kind, detail) = verdict?;
    mails.extend(quoted);
    mails.extend(answered);
    Some(Report {
        kind,
        mails,
        detail: detail.chars().take(DETAIL_CHARS).collect(),
    })
}

/// Where the report itself went, which names the mail where it went to the return path we gave.
fn addressed(top: &Part) -> Vec<String> {
    let names = ["x-original-to", "delivered-to", "envelope-to", "to"];
    let addresses = names
        .iter()
        .flat_map(|name| top.all(name))
        .flat_map(|value| value.split(','));
    let bare = addresses.map(|address| match address.rsplit_once('<') {
        Some((_, address)) => address.trim_end().trim_end_matches('>'),
        None => address.trim(),
    });
    bare.filter(|address| address.contains('+'))
        .map(str::to_owned)
        .collect()
}

/// The worst that a delivery status says.
fn delivery(body: &str) -> Option<(Kind, String)> {
    let groups = groups(body);
    let recipients = groups.iter().filter_map(|group| {
        let field = |wanted: &str| {
            group
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
        };
        let action = field("action")?.trim().to_ascii_lowercase();
        if !action.starts_with("failed") {
            return None;
        }
        let said = field("diagnostic-code").unwrap_or_default();
        let status = field("status")
            .and_then(enhanced)
            .or_else(|| said.split_whitespace().find_map(enhanced));
        let detail = [field("status").unwrap_or_default(), said].join(" ");
        Some((meaning(status), detail.trim().to_owned()))
    });
    let recipients: Vec<(Kind, String)> = recipients.collect();
    let hard = recipients.iter().find(|(kind, _)| *kind == Kind::HardBounce);
    hard.or_else(|| recipients.first()).cloned()
}

/// A complaint, unless it says that there is nothing to complain about.
fn complaint(body: &str, mails: &mut Vec<String>) -> Option<(Kind, String)> {
    let fields: Vec<(String, String)> = groups(body).into_iter().flatten().collect();
    let field = |wanted: &str| {
        fields
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.clone())
    };
    mails.extend(field("original-mail-from"));
    let kind = field("feedback-type").unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "abuse" | "fraud" | "virus" | "other" | "opt-out" | "opt-out-list" => Some((Kind::Complaint, kind)),
        _ => None,
    }
}

/// What a plain text says, by the first enhanced code in it.
fn in_words(body: &str) -> Option<(Kind, String)> {
    let line = body
        .lines()
        .find(|line| line.split_whitespace().any(|word| enhanced(word).is_some()));
    let line = line.or_else(|| body.lines().find(|line| line.trim_start().starts_with("550 ")))?;
    Some((
        meaning(line.split_whitespace().find_map(enhanced)),
        line.trim().to_owned(),
    ))
}

/// Of a status such as `5.1.1`: only what speaks of the address itself is for good, as in the answers of mail servers.
fn meaning(status: Option<(u16, u16, u16)>) -> Kind {
    match status {
        // X.1.7 and X.1.8 speak of the sender's address.
        Some((5, 1, detail)) if !matches!(detail, 7 | 8) => Kind::HardBounce,
        Some((5, 2, 1)) => Kind::HardBounce,
        // X.7 speaks of policy.
        Some((_, 7, _) | (_, 1, 7 | 8)) => Kind::Rejection,
        _ => Kind::SoftBounce,
    }
}

fn enhanced(word: &str) -> Option<(u16, u16, u16)> {
    let first = word
        .split_whitespace()
        .next()?
        .trim_matches(['#', '(', ')', ';', ',', '<', '>', '[', ']', ':']);
    let mut parts = first.split('.').map(|part| part.parse::<u16>().ok());
    let code = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && matches!(code.0, 2 | 4 | 5)).then_some(code)
}

fn lines_of<'a>(body: &'a str, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    body.lines().filter_map(move |line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case(wanted).then_some(value.trim())
    })
}

/// The ids in a field, with or without angle brackets.
fn ids(value: &str) -> impl Iterator<Item = String> {
    value
        .split_whitespace()
        .map(|id| id.trim_matches(['<', '>']).to_owned())
}
