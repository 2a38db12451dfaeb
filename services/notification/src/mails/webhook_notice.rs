//! The mail that tells a reader that a webhook was disabled.

use jiff::civil::Date;
use minijinja::{Error, context};

use super::text::{single_line, truncated_line};
use super::{Links, Locale, MailWriter};
use crate::mailer::{Mail, MailKind};

/// Longer URLs are cut: whoever set one knows it by its beginning.
const URL_CHARS: usize = 300;

/// What the mail is written from.
pub struct WebhookNotice<'a> {
    /// The reader's address.
    pub email: &'a str,
    /// BCP 47 tag of the reader's language.
    pub language: &'a str,
    /// The webhook.
    pub url: &'a str,
    /// Its last response.
    pub answer: &'a str,
    /// Why it is disabled.
    pub end: WebhookEnd,
    /// What that means for the reader.
    pub remaining: RemainingChannel,
    /// Since when it has failed, or when it said that it is gone.
    pub day: Date,
    /// The reader's links.
    pub links: &'a Links,
    /// With angle brackets.
    pub message_id: String,
}

/// Why a webhook is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookEnd {
    /// It said that it is gone.
    Gone,
    /// It took no digest for too long.
    Failing,
}

/// How digests reach the reader without the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemainingChannel {
    /// By mail.
    Mail,
    /// Not at all: the subscription is paused.
    None,
}

impl MailWriter {
    /// The mail. It has no unsubscribe header: it is about something that the reader set up, and comes once.
    pub fn webhook_notice(&self, notice: &WebhookNotice<'_>) -> Result<Mail, Error> {
        let locale = Locale::of(notice.language);
        let context = context! {
            email => notice.email,
            url => truncated_line(notice.url, URL_CHARS).into_owned(),
            answer => single_line(notice.answer).into_owned(),
            date => locale.date(notice.day),
            gone => notice.end == WebhookEnd::Gone,
            paused => notice.remaining == RemainingChannel::None,
            links => notice.links.to_value(),
            locale => locale.to_value(),
            imprint => self.imprint.clone(),
        };
        Ok(Mail {
            to: notice.email.to_owned(),
            subject: self.subject("webhook", &context)?,
            text: self.render("webhook/body.txt", &context)?,
            html: Some(self.render_html("webhook", &context)?),
            message_id: notice.message_id.clone(),
            list_unsubscribe_url: None,
            kind: MailKind::Notice,
        })
    }
}

/// One notice for each reason.
pub(super) fn samples<'a>(language: &'a str, links: &'a Links) -> [WebhookNotice<'a>; 2] {
    let cases = [
        (WebhookEnd::Failing, RemainingChannel::None),
        (WebhookEnd::Gone, RemainingChannel::Mail),
    ];
    cases.map(|(end, remaining)| WebhookNotice {
        email: "ada@example.org",
        language,
        url: "https://hooks.example.org/papers?a=1&b=<2>",
        answer: "500 Internal Server Error",
        end,
        remaining,
        day: jiff::civil::date(2026, 3, 2),
        links,
        message_id: "<ada.webhook.0@example.org>".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::signing_keys::SigningKeys;
    use crate::tokens::{LinkHolder, Scope, Tokens};

    fn mails(language: &str) -> [Mail; 2] {
        let tokens = Tokens::new(SigningKeys::single(b"secret"));
        let (at, ada) = (Timestamp::UNIX_EPOCH, LinkHolder { id: "ada", epoch: 0 });
        let token = tokens.issue(Scope::Preferences, ada, at);
        let links = Links::new("https://example.org", &tokens, ada, at);
        let writer = MailWriter::new(None, "Broadsheet, 1 Example Street, Springfield").expect("the templates render");
        samples(language, &links).map(|notice| {
            let mut mail = writer.webhook_notice(&notice).expect("a mail");
            mail.text = mail.text.replace(&token, "PREFERENCES");
            mail.html = mail.html.map(|html| html.replace(&token, "PREFERENCES"));
            mail
        })
    }

    #[test]
    fn a_notice_of_a_disabled_webhook_looks_like_this() {
        let [failing, _] = mails("en");
        let html = failing.html.as_deref().unwrap_or("none");
        let whole = format!("Subject: {}\n\n{}\n\n{html}", failing.subject, failing.text);
        insta::assert_snapshot!("webhook_failing", whole);
        let [_, gone] = mails("de");
        insta::assert_snapshot!(
            "german_webhook_gone",
            format!("Subject: {}\n\n{}", gone.subject, gone.text)
        );
    }

    #[test]
    fn every_language_names_the_webhook_and_the_next_step() {
        for language in ["en", "de", "fr", "es"] {
            for mail in mails(language) {
                let html = mail.html.expect("HTML");
                for text in [
                    "500 Internal Server Error",
                    "/preferences?token=PREFERENCES#webhook",
                    "2026",
                ] {
                    assert!(mail.text.contains(text) && html.contains(text), "{language}: {text}");
                }
                assert!(mail.text.contains("papers?a=1&b=<2>"), "{}", mail.text);
                assert!(html.contains("papers?a=1&amp;b=&lt;2&gt;"), "{html}");
            }
        }
    }
}
