//! What an answer of a mail server means: for now or for good, for the address or for us.
//!
//! A server that refuses our password answers 5xx to every mail. Only an answer about the address may end a
//! subscription, so the code and the enhanced code (RFC 3463) are read, not the first digit alone.

use std::error::Error as _;

use lettre::transport::smtp::Error;

use super::SendError;

/// The meaning of an error.
pub fn meaning(error: &Error) -> SendError {
    let problem = error.to_string();
    let Some(code) = error.status() else {
        return without_answer(error, problem);
    };
    let answer = error.source().map(ToString::to_string).unwrap_or_default();
    of_answer(u16::from(code), &answer, problem)
}

fn without_answer(error: &Error, problem: String) -> SendError {
    // A connection that was never made took no mail; one that broke may have.
    let never_made = error.is_client() || problem.starts_with("Connection error") || error.is_tls();
    if never_made {
        SendError::Transient(problem)
    } else {
        SendError::Lost(problem)
    }
}

fn of_answer(code: u16, answer: &str, problem: String) -> SendError {
    let enhanced = answer.split_whitespace().find_map(enhanced);
    match (code, enhanced) {
        // From 500 on: our commands or our password. No other address changes that, and an operator can repair it.
        (..=504 | 530 | 534 | 535 | 538, _) => SendError::Transient(problem),
        // X.1.7 and X.1.8 speak of the sender's address.
        (_, Some((1, detail))) if !matches!(detail, 7 | 8) => SendError::NoSuchAddress(problem),
        (_, Some((2, 1))) | (550 | 551 | 553, None) => SendError::NoSuchAddress(problem),
        _ => SendError::Refused(problem),
    }
}

/// Subject and detail of `5.1.1`.
fn enhanced(word: &str) -> Option<(u16, u16)> {
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
        match of_answer(code, answer, String::new()) {
            SendError::Transient(_) => "later",
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
