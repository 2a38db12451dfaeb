//! The mail that says that a webhook went out of use.

use jiff::civil::Date;
use minijinja::context;

use super::{Letters, Links, shown, words};
use crate::mailer::Mail;

/// Longer addresses are cut: whoever set one knows it by its beginning.
const URL_CHARS: usize = 300;

/// What it is written from.
pub struct WebhookNotice<'a> {
    /// Whom it is for.
    pub email: &'a str,
    /// BCP 47 tag of the reader's language.
    pub language: &'a str,
    /// The webhook.
    pub url: &'a str,
    /// What it last said.
    pub answer: &'a str,
    /// Why it is out of use.
    pub reason: Ended,
    /// What that means for the reader.
    pub rest: Rest,
    /// Since when it has failed, or when it said that it is gone.
    pub day: Date,
    /// Where the reader can go from it.
    pub links: &'a Links,
    /// With angle brackets.
    pub message_id: String,
}

/// Why a webhook is out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It said that it is gone.
    Gone,
    /// It took no edition for too long.
    Disabled,
}

/// Which ways are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Editions come by mail.
    Mail,
    /// None.
    Nothing,
}

impl Letters {
    /// The mail. It has no unsubscribe header: it is about something of the reader's own, and comes once.
    pub fn webhook_ended(&self, notice: &WebhookNotice<'_>) -> Result<Mail, minijinja::Error> {
        let words = words::of(notice.language);
        let context = context! {
            email => notice.email,
            url => shown::shortened(notice.url, URL_CHARS).into_owned(),
            answer => shown::clean(notice.answer).into_owned(),
            date => words.date(notice.day),
            gone => notice.reason == Ended::Gone,
            paused => notice.rest == Rest::Nothing,
            links => notice.links.to_value(),
            words => words.to_value(),
            imprint => self.imprint.clone(),
        };
        Ok(Mail {
            to: notice.email.to_owned(),
            subject: self.subject("webhook", &context)?,
            text: self.render("webhook/body.txt", &context)?,
            html: Some(self.render_html("webhook", &context)?),
            message_id: notice.message_id.clone(),
            list_unsubscribe_url: None,
        })
    }
}

/// One for each reason.
pub(super) fn samples<'a>(language: &'a str, links: &'a Links) -> [WebhookNotice<'a>; 2] {
    [(Ended::Disabled, Rest::Nothing), (Ended::Gone, Rest::Mail)].map(|(reason, rest)| WebhookNotice {
        email: "ada@example.org",
        language,
        url: "https://hooks.example.org/papers?a=1&b=<2>",
        answer: "500 Internal Server Error",
        reason,
        rest,
        day: jiff::civil::date(2026, 3, 2),
        links,
        message_id: "<ada.webhook.0@example.org>".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::tokens::{Scope, Tokens};

    fn mails(language: &str) -> [Mail; 2] {
        let tokens = Tokens::new(b"secret");
        let at = Timestamp::UNIX_EPOCH;
        let token = tokens.issue(Scope::Manage, "ada", at);
        let links = Links::new("https://example.org", &tokens, "ada", at);
        let letters = Letters::new(None, "Broadsheet, 1 Example Street, Springfield").expect("the templates render");
        samples(language, &links).map(|notice| {
            let mut mail = letters.webhook_ended(&notice).expect("a mail");
            mail.text = mail.text.replace(&token, "MANAGE");
            mail.html = mail.html.map(|html| html.replace(&token, "MANAGE"));
            mail
        })
    }

    #[test]
    fn a_webhook_out_of_use_is_told_like_this() {
        let [disabled, _] = mails("en");
        let html = disabled.html.as_deref().unwrap_or("none");
        let whole = format!("Subject: {}\n\n{}\n\n{html}", disabled.subject, disabled.text);
        insta::assert_snapshot!("webhook_disabled", whole);
        let [_, gone] = mails("de");
        insta::assert_snapshot!(
            "german_webhook_gone",
            format!("Subject: {}\n\n{}", gone.subject, gone.text)
        );
    }

    #[test]
    fn every_language_says_which_webhook_and_what_to_do() {
        for language in ["en", "de", "fr", "es"] {
            for mail in mails(language) {
                let html = mail.html.expect("HTML");
                for said in ["500 Internal Server Error", "/preferences?token=MANAGE#webhook", "2026"] {
                    assert!(mail.text.contains(said) && html.contains(said), "{language}: {said}");
                }
                assert!(mail.text.contains("papers?a=1&b=<2>"), "{}", mail.text);
                assert!(html.contains("papers?a=1&amp;b=&lt;2&gt;"), "{html}");
            }
        }
    }
}
