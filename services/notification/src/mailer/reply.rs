//! What a mail server's reply means: for now or for good, about the address or about us.
//!
//! A server that refuses our password answers 5xx to every mail. Only an answer about the address may end a
//! subscription, so the code and the enhanced code (RFC 3463) are read, not the first digit alone.

use std::error::Error as _;

use lettre::transport::smtp::Error;

use super::SendError;

/// The meaning of an error before any content was sent: without a reply the mail server has nothing.
pub fn envelope_error(error: &Error) -> SendError {
    meaning(error).unwrap_or_else(|| SendError::Transient(describe(error)))
}

/// The meaning of an error once content was sent: without a reply the mail server may have the mail.
pub fn content_error(error: &Error) -> SendError {
    meaning(error).unwrap_or_else(|| SendError::Lost(describe(error)))
}

/// An error in words, its cause included.
pub fn describe(error: &Error) -> String {
    error.to_string()
}

fn meaning(error: &Error) -> Option<SendError> {
    let code = error.status()?;
    let answer = error.source().map(ToString::to_string).unwrap_or_default();
    Some(reply_error(u16::from(code), &answer, describe(error)))
}

fn reply_error(code: u16, text: &str, problem: String) -> SendError {
    let enhanced = text.split_whitespace().find_map(enhanced_code);
    match (code, enhanced) {
        // These 5xx codes are about our commands or our password: the same for every address, and for an operator to repair.
        (..=504 | 530 | 534 | 535 | 538, _) => SendError::Transient(problem),
        // X.1.7 and X.1.8 speak of the sender's address.
        (_, Some((1, detail))) if !matches!(detail, 7 | 8) => SendError::NoSuchAddress(problem),
        (_, Some((2, 1))) | (550 | 551 | 553, None) => SendError::NoSuchAddress(problem),
        _ => SendError::Refused(problem),
    }
}

/// Subject and detail of `5.1.1`.
fn enhanced_code(word: &str) -> Option<(u16, u16)> {
    let mut parts = word.trim_start_matches("5.").split('.');
    if !word.starts_with("5.") {
        return None;
    }
    let subject = parts.next()?.parse().ok()?;
    let detail = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: u16, answer: &str) -> &'static str {
        match reply_error(code, answer, String::new()) {
            SendError::Transient(_) | SendError::Paused { .. } => "later",
            SendError::NoSuchAddress(_) => "address",
            SendError::Refused(_) => "mail",
            SendError::Lost(_) => "lost",
        }
    }

    #[test]
    fn only_an_answer_about_the_address_ends_a_subscription() {
        for (code, answer, expected) in [
            (450, "4.2.0 greylisted", "later"),
            (550, "5.1.1 no such user", "address"),
            (550, "no such user", "address"),
            (550, "5.2.1 mailbox disabled", "address"),
            (552, "5.2.2 mailbox full", "mail"),
            (550, "5.7.1 looks like spam", "mail"),
            (553, "5.1.8 sender's domain does not exist", "mail"),
            (554, "transaction failed", "mail"),
            (535, "5.7.8 wrong password", "later"),
            (530, "5.7.0 authenticate first", "later"),
            (501, "5.1.3 syntax", "later"),
        ] {
            assert_eq!(kind(code, answer), expected, "{code} {answer}");
        }
    }
}
