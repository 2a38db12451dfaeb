//! Validates requests against the contract, field by field. It never changes a text.

use common::status;
use proto::embedding::v1::{EmbedPriority, EmbedRequest, TextInput, TextKind as WireKind, TruncatePolicy};
use tonic::Status;

use super::{MAX_TEXT_BYTES, MAX_TEXTS};
use crate::engine::{InputText, Truncate};
use crate::priority::Priority;
use encoder::TextKind;

/// The texts of an Embed request.
pub fn texts(request: EmbedRequest) -> Result<Vec<InputText>, Status> {
    let kind = kind(request.kind)?;
    let priority = priority(request.priority, kind)?;
    let truncate = truncate(request.truncate)?;
    check_count(request.texts.len())?;
    for (index, content) in request.texts.iter().enumerate() {
        check_content(&format!("texts[{index}]"), content)?;
    }
    let text = |content| InputText {
        kind,
        priority,
        content,
        title: String::new(),
        truncate,
    };
    Ok(request.texts.into_iter().map(text).collect())
}

/// One text of a request with several.
pub fn text(input: TextInput) -> Result<InputText, Status> {
    let kind = kind(input.kind)?;
    let priority = priority(input.priority, kind)?;
    let truncate = truncate(input.truncate)?;
    check_content("content", &input.content)?;
    Ok(InputText {
        kind,
        priority,
        content: input.content,
        title: String::new(),
        truncate,
    })
}

/// Refuses a request without texts, and one with too many.
pub fn check_count(count: usize) -> Result<(), Status> {
    if (1..=MAX_TEXTS).contains(&count) {
        return Ok(());
    }
    let description = format!("has {count} entries; 1 to {MAX_TEXTS} are allowed");
    Err(status::invalid("texts", description))
}

fn check_content(field: &str, content: &str) -> Result<(), Status> {
    if content.trim().is_empty() {
        let description = "is empty; a text has at least one character that is not a space";
        return Err(status::invalid(field, description));
    }
    let length = content.len();
    if length > MAX_TEXT_BYTES {
        let description = format!("has {length} bytes; at most {MAX_TEXT_BYTES} are allowed");
        return Err(status::invalid(field, description));
    }
    Ok(())
}

fn kind(number: i32) -> Result<TextKind, Status> {
    match WireKind::try_from(number) {
        Ok(WireKind::Query) => Ok(TextKind::Query),
        Ok(WireKind::Document) => Ok(TextKind::Document),
        Ok(WireKind::Unspecified) | Err(_) => Err(status::invalid(
            "kind",
            format!("is {number}; allowed are TEXT_KIND_QUERY (1) and TEXT_KIND_DOCUMENT (2)"),
        )),
    }
}

fn priority(number: i32, kind: TextKind) -> Result<Priority, Status> {
    match EmbedPriority::try_from(number) {
        Ok(EmbedPriority::Unspecified) => Ok(Priority::usual(kind)),
        Ok(EmbedPriority::Interactive) => Ok(Priority::Interactive),
        Ok(EmbedPriority::Bulk) => Ok(Priority::Bulk),
        Ok(EmbedPriority::BestEffort) => Ok(Priority::BestEffort),
        Err(_) => Err(status::invalid(
            "priority",
            format!(
                "is {number}; allowed are EMBED_PRIORITY_INTERACTIVE (1), EMBED_PRIORITY_BULK (2) and \
                 EMBED_PRIORITY_BEST_EFFORT (3)"
            ),
        )),
    }
}

fn truncate(number: i32) -> Result<Truncate, Status> {
    match TruncatePolicy::try_from(number) {
        Ok(TruncatePolicy::Unspecified | TruncatePolicy::Report) => Ok(Truncate::Report),
        Ok(TruncatePolicy::Refuse) => Ok(Truncate::Refuse),
        Err(_) => Err(status::invalid(
            "truncate",
            format!("is {number}; allowed are TRUNCATE_POLICY_REPORT (1) and TRUNCATE_POLICY_REFUSE (2)"),
        )),
    }
}
