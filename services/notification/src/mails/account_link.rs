//! The mail with a link to the account, for a reader who asked for one.

use minijinja::{Error, context};

use super::{Locale, MailWriter};
use crate::mailer::{Mail, MailKind};

/// What the mail is written from.
pub struct AccountLinkMail<'a> {
    /// The reader's address.
    pub to: &'a str,
    /// BCP 47 tag of the reader's language.
    pub language: &'a str,
    /// The link.
    pub url: &'a str,
    /// With angle brackets.
    pub message_id: String,
}

impl MailWriter {
    /// The mail. It has no unsubscribe header: it comes once, because its reader asked for it.
    pub fn account_link(&self, link: &AccountLinkMail<'_>) -> Result<Mail, Error> {
        let locale = Locale::of(link.language).to_value();
        let context = context! { email => link.to, url => link.url, locale, imprint => self.imprint.clone() };
        Ok(Mail {
            to: link.to.to_owned(),
            subject: self.subject("account", &context)?,
            text: self.render("account/body.txt", &context)?,
            html: Some(self.render_html("account", &context)?),
            message_id: link.message_id.clone(),
            list_unsubscribe_url: None,
            kind: MailKind::AccountLink,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_names_the_address_and_the_link() {
        let writer = MailWriter::new(None, "Broadsheet, 1 Example Street").expect("the templates render");
        for language in ["en", "de", "fr", "es"] {
            let mail = writer.account_link(&AccountLinkMail {
                to: "ada@example.org",
                language,
                url: "https://example.org/preferences?token=a.b",
                message_id: "<ada.account.0@example.org>".to_owned(),
            });
            let mail = mail.expect("a mail");
            let html = mail.html.expect("HTML");
            for text in [
                "ada@example.org",
                "https://example.org/preferences?token=a.b",
                "1 Example Street",
            ] {
                assert!(mail.text.contains(text) && html.contains(text), "{language}: {text}");
            }
            assert_eq!(mail.list_unsubscribe_url, None);
        }
    }
}
