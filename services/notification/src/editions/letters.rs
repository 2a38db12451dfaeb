//! The words of the mails: templates filled with what an edition holds. Each mail is a folder of three templates.
//!
//! It chooses nothing and sends nothing. HTML templates escape what they are given.

use domain::{LinkKind, Paper};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

use super::EditionPaper;
use crate::mailer::Mail;

/// Longer subjects are cut by most readers; the count of papers stays visible this way.
const SUBJECT_CHARS: usize = 90;
/// A mail above some 100 kB is clipped by large providers; 50 papers at this length stay below.
const ABSTRACT_CHARS: usize = 700;

const SOURCES: [(&str, &str); 6] = [
    (
        "confirmation/subject.txt",
        include_str!("../templates/confirmation/subject.txt"),
    ),
    (
        "confirmation/body.txt",
        include_str!("../templates/confirmation/body.txt"),
    ),
    (
        "confirmation/body.html",
        include_str!("../templates/confirmation/body.html"),
    ),
    ("digest/subject.txt", include_str!("../templates/digest/subject.txt")),
    ("digest/body.txt", include_str!("../templates/digest/body.txt")),
    ("digest/body.html", include_str!("../templates/digest/body.html")),
];

/// The links at the foot of a digest.
#[derive(Debug, Clone)]
pub struct Links {
    /// Shows the subscription.
    pub preferences: String,
    /// Ends it.
    pub unsubscribe: String,
}

/// The templates.
pub struct Letters {
    templates: Environment<'static>,
}

#[derive(Debug, Clone, Serialize)]
struct Shown {
    title: String,
    authors: String,
    reason: String,
    url: Option<String>,
    abstract_text: String,
}

impl Letters {
    /// Reads the templates, which are part of the program.
    pub fn new() -> Self {
        let mut templates = Environment::new();
        for (name, source) in SOURCES {
            templates
                .add_template(name, source)
                .unwrap_or_else(|error| panic!("template {name}: {error}"));
        }
        Self { templates }
    }

    /// The mail that asks for consent. It has no unsubscribe header: there is nothing to end yet.
    pub fn confirmation(&self, to: &str, confirm_url: &str, message_id: String) -> Result<Mail, minijinja::Error> {
        let context = context! { email => to, confirm_url };
        self.mail("confirmation", &context, to, message_id, None)
    }

    /// A digest.
    pub fn digest(
        &self,
        to: &str,
        date: &str,
        papers: &[EditionPaper],
        links: &Links,
        message_id: String,
    ) -> Result<Mail, minijinja::Error> {
        let shown: Vec<Shown> = papers.iter().map(|one| shown(&one.paper, &one.reason)).collect();
        let context = context! {
            date,
            papers => Serde(shown),
            first => papers.first().map(|one| cut(&one.paper.title, SUBJECT_CHARS)),
            email => to,
            preferences_url => links.preferences.clone(),
            unsubscribe_url => links.unsubscribe.clone(),
        };
        self.mail("digest", &context, to, message_id, Some(links.unsubscribe.clone()))
    }

    fn mail(
        &self,
        folder: &str,
        context: &Value,
        to: &str,
        message_id: String,
        list_unsubscribe_url: Option<String>,
    ) -> Result<Mail, minijinja::Error> {
        let render = |part: &str, context: &Value| {
            let template = self.templates.get_template(&format!("{folder}/{part}"))?;
            template.render(context.clone())
        };
        let subject = render("subject.txt", context)?.trim().to_owned();
        let body = context! { subject => subject.clone(), ..context.clone() };
        Ok(Mail {
            to: to.to_owned(),
            text: render("body.txt", &body)?,
            html: render("body.html", &body)?,
            subject,
            message_id,
            list_unsubscribe_url,
        })
    }
}

fn shown(paper: &Paper, reason: &str) -> Shown {
    let url = paper.link(LinkKind::Abstract).or_else(|| paper.link(LinkKind::Pdf));
    Shown {
        title: paper.title.clone(),
        authors: paper.authors.join(", "),
        reason: reason.to_owned(),
        url: url.map(str::to_owned),
        abstract_text: cut(&paper.abstract_text, ABSTRACT_CHARS),
    }
}

/// The beginning of a text, ended at a word.
fn cut(text: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else {
        return text.to_owned();
    };
    let head = &text[..end];
    let head = head.rfind(char::is_whitespace).map_or(head, |space| &head[..space]);
    format!("{}…", head.trim_end_matches([' ', '\n', ',', ';', ':', '.']))
}

#[cfg(test)]
mod tests;
