//! Parses bounces (RFC 3464) and complaints (RFC 5965), and what old mail servers send instead.

use super::mime::{MimePart, field_groups};

/// A longer detail is cut.
const MAX_DETAIL_CHARS: usize = 300;
/// What is read of a message to learn whom it was sent to.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// A message to more recipients is none that a mail server sends.
const MAX_RECIPIENTS: usize = 100;

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// The address takes no mail, for good.
    HardBounce,
    /// The mail was not delivered this time.
    SoftBounce,
    /// The mail was not delivered because of what it is or who sends it, which says nothing of the address.
    Rejection,
    /// The reader calls it spam.
    Complaint,
    /// The reader wants no more, and says so by a mail to the address that unsubscribes; no report says it.
    Unsubscription,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackReport {
    /// What it says.
    pub kind: ReportKind,
    /// The mail that it may be about: return paths and Message-IDs, the most reliable first.
    pub mails: Vec<String>,
    /// What the mail server said.
    pub detail: String,
}

impl ReportKind {
    /// As metrics spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::SoftBounce => "soft_bounce",
            Self::Rejection => "rejection",
            Self::Complaint => "complaint",
            Self::Unsubscription => "unsubscription",
        }
    }
}

/// What stands between plus and @ in the addresses that a message was sent to.
pub fn tags(message: &[u8]) -> Vec<String> {
    // The fields end long before this; what is behind them is not needed.
    let head = String::from_utf8_lossy(&message[..message.len().min(MAX_HEAD_BYTES)]);
    let addresses = return_paths(&MimePart::parse(&head));
    let tag = |address: &String| {
        let (left, _) = address.rsplit_once('@')?;
        left.split_once('+').map(|(_, tag)| tag.to_owned())
    };
    addresses.iter().filter_map(tag).collect()
}

/// Parses a message. `None` where it is no report, or one of success, of a delay, or that a mail is no spam.
pub fn parse(message: &[u8]) -> Option<FeedbackReport> {
    let text = String::from_utf8_lossy(message);
    let top = MimePart::parse(&text);
    let mut mails = return_paths(&top);
    let failed: Vec<String> = top.all("x-failed-recipients").map(str::to_owned).collect();
    let (mut finding, mut quoted) = (None, Vec::new());
    let answered: Vec<String> = message_ids(top.field("in-reply-to"))
        .chain(message_ids(top.field("references")))
        .collect();
    for part in top.leaves() {
        match part.content_type().as_str() {
            "message/delivery-status" | "message/global-delivery-status" => {
                finding = finding.or_else(|| delivery_status(&part.body));
            }
            "message/feedback-report" => finding = finding.or_else(|| complaint(&part.body, &mut mails)),
            "message/rfc822" | "message/global" | "message/rfc822-headers" | "text/rfc822-headers" | "text/rfc822" => {
                let returned = MimePart::parse(&part.body);
                // A report may be without the Message-ID where there is this one (RFC 9477, section 3.3).
                quoted.extend(returned.all("cfbl-feedback-id").map(str::to_owned));
                quoted.extend(returned.all("message-id").flat_map(message_ids));
                quoted.extend(returned.all("return-path").map(str::to_owned));
            }
            // Exim sends plain text with the mail behind it, and names the address in a field of its own.
            "" | "text/plain" if !failed.is_empty() => {
                finding = finding.or_else(|| plain_text(&part.body));
                quoted.extend(field_lines(&part.body, "message-id").flat_map(message_ids));
            }
            _ => {}
        }
    }
    let (kind, detail) = finding?;
    mails.extend(quoted);
    mails.extend(answered);
    Some(FeedbackReport {
        kind,
        mails,
        detail: detail.chars().take(MAX_DETAIL_CHARS).collect(),
    })
}

/// The addresses that the report was sent to, where they may be return paths of our mails.
fn return_paths(top: &MimePart) -> Vec<String> {
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
        .take(MAX_RECIPIENTS)
        .map(str::to_owned)
        .collect()
}

/// The worst outcome in a delivery status.
fn delivery_status(body: &str) -> Option<(ReportKind, String)> {
    let groups = field_groups(body);
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
        let diagnostic = field("diagnostic-code").unwrap_or_default();
        let status = field("status")
            .and_then(enhanced_code)
            .or_else(|| diagnostic.split_whitespace().find_map(enhanced_code));
        let detail = [field("status").unwrap_or_default(), diagnostic].join(" ");
        Some((kind_of(status), detail.trim().to_owned()))
    });
    let recipients: Vec<(ReportKind, String)> = recipients.collect();
    let hard = recipients.iter().find(|(kind, _)| *kind == ReportKind::HardBounce);
    hard.or_else(|| recipients.first()).cloned()
}

/// A complaint, unless it says that the mail is no spam.
fn complaint(body: &str, mails: &mut Vec<String>) -> Option<(ReportKind, String)> {
    let fields: Vec<(String, String)> = field_groups(body).into_iter().flatten().collect();
    let field = |wanted: &str| {
        fields
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.clone())
    };
    mails.extend(field("original-mail-from"));
    let kind = field("feedback-type").unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "abuse" | "fraud" | "virus" | "other" | "opt-out" | "opt-out-list" => Some((ReportKind::Complaint, kind)),
        _ => None,
    }
}

/// What a plain text says, by the first enhanced status code in it.
fn plain_text(body: &str) -> Option<(ReportKind, String)> {
    let line = body
        .lines()
        .find(|line| line.split_whitespace().any(|word| enhanced_code(word).is_some()));
    let line = line.or_else(|| body.lines().find(|line| line.trim_start().starts_with("550 ")))?;
    Some((
        kind_of(line.split_whitespace().find_map(enhanced_code)),
        line.trim().to_owned(),
    ))
}

/// The kind of a status such as `5.1.1`: only one about the address itself is permanent, as in the replies of mail servers.
fn kind_of(status: Option<(u16, u16, u16)>) -> ReportKind {
    match status {
        // X.1.7 and X.1.8 are about the sender's address.
        Some((5, 1, detail)) if !matches!(detail, 7 | 8) => ReportKind::HardBounce,
        Some((5, 2, 1)) => ReportKind::HardBounce,
        // X.7 is about policy.
        Some((_, 7, _) | (_, 1, 7 | 8)) => ReportKind::Rejection,
        _ => ReportKind::SoftBounce,
    }
}

fn enhanced_code(word: &str) -> Option<(u16, u16, u16)> {
    let first = word
        .split_whitespace()
        .next()?
        .trim_matches(['#', '(', ')', ';', ',', '<', '>', '[', ']', ':']);
    let mut parts = first.split('.').map(|part| part.parse::<u16>().ok());
    let code = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && matches!(code.0, 2 | 4 | 5)).then_some(code)
}

fn field_lines<'a>(body: &'a str, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    body.lines().filter_map(move |line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case(wanted).then_some(value.trim())
    })
}

/// The Message-IDs in a field, without angle brackets.
fn message_ids(value: &str) -> impl Iterator<Item = String> {
    value
        .split_whitespace()
        .map(|id| id.trim_matches(['<', '>']).to_owned())
}
