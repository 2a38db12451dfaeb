//! The words of the mails: templates filled with what an edition holds. Each mail is a folder of three templates.
//!
//! Where the templates are those in the program, a digest that goes out is printed from plates (see [`press`]): filling a
//! template for each paper of each reader and encoding it was half of what a mail cost. Templates of the operator are filled
//! for each reader; what comes out is the same.
//!
//! It chooses nothing and sends nothing. HTML templates escape what they are given, and what a paper or a reader brings in
//! is on one line and free of marks that reorder text.

mod abstracts;
mod landing;
mod links;
mod notices;
mod plates;
mod press;
mod sample;
mod shown;
mod sought;
mod templates;
pub mod words;

use std::path::Path;

use domain::preferences::Format;
use domain::{Paper, Preferences};
use minijinja::{Environment, Value, context};

pub use links::Links;
pub use notices::{Ended, Rest, WebhookNotice};
use shown::{Personal, Shown};

use self::abstracts::Abstracts;
use self::press::Press;
use self::sought::Sought;
use super::EditionPaper;
use crate::mailer::{Mail, Outgoing};
use crate::subscribers::Subscriber;

/// Longer subjects are cut by most readers; the count of papers stays visible this way.
const SUBJECT_CHARS: usize = 90;
/// As much of the beginning as mail programs show beside the subject.
const PREHEADER_CHARS: usize = 140;
/// Titles that the preheader is made from; the first is the subject already.
const PREHEADER_TITLES: usize = 3;

/// What a digest is written from.
pub struct DigestLetter<'a> {
    /// Whom it is for.
    pub subscriber: &'a Subscriber,
    /// The day of the edition in the reader's words.
    pub date: &'a str,
    /// The papers, in order.
    pub papers: &'a [EditionPaper],
    /// Where the reader can go from it.
    pub links: &'a Links,
    /// With angle brackets; the same at every attempt.
    pub message_id: String,
}

/// The templates, ready to be filled by any number of threads at once.
pub struct Letters {
    templates: Environment<'static>,
    imprint: Value,
    abstracts: Abstracts,
    /// Only where no template is the operator's.
    press: Option<Press>,
}

/// An edition as far as its words go.
struct Issue<'a> {
    to: &'a str,
    preferences: &'a Preferences,
    date: &'a str,
    papers: Vec<(&'a Paper, &'a str)>,
    /// For each paper the interest that brought it; none where there is no entry.
    interests: Vec<Option<u16>>,
    links: &'a Links,
    message_id: String,
}

impl Letters {
    /// Reads the templates: those of the operator's `folder` where it has them, else the ones in the program. The
    /// `imprint` stands at the foot of every mail. A template that does not render is refused by file and line.
    pub fn new(folder: Option<&Path>, imprint: &str) -> Result<Self, String> {
        let templates = templates::read(folder)?;
        let imprint = Value::from(shown::clean(imprint).as_ref());
        let press = templates.built_in.then(|| Press::new(&templates.environment, &imprint));
        let letters = Self {
            templates: templates.environment,
            imprint,
            abstracts: Abstracts::default(),
            press: press.transpose().map_err(|error| templates::place(folder, &error))?,
        };
        sample::check(&letters).map_err(|error| templates::place(folder, &error))?;
        Ok(letters)
    }

    /// The mail that asks for consent. It has no unsubscribe header: there is nothing to end yet.
    pub fn confirmation(
        &self,
        to: &str,
        language: &str,
        confirm_url: &str,
        message_id: String,
    ) -> Result<Mail, minijinja::Error> {
        let words = words::of(language).to_value();
        let context = context! { email => to, confirm_url, words, imprint => self.imprint.clone() };
        Ok(Mail {
            to: to.to_owned(),
            subject: self.subject("confirmation", &context)?,
            text: self.render("confirmation/body.txt", &context)?,
            html: Some(self.render_html("confirmation", &context)?),
            message_id,
            list_unsubscribe_url: None,
        })
    }

    /// A digest.
    pub fn digest(&self, letter: &DigestLetter<'_>) -> Result<Mail, minijinja::Error> {
        self.issue(Issue {
            to: &letter.subscriber.email,
            preferences: &letter.subscriber.preferences,
            date: letter.date,
            papers: letter
                .papers
                .iter()
                .map(|one| (&*one.paper, one.reason.as_str()))
                .collect(),
            interests: letter.papers.iter().map(|one| one.interest).collect(),
            links: letter.links,
            message_id: letter.message_id.clone(),
        })
    }

    /// A digest as it goes out. It says what [`Self::digest`] says.
    pub fn outgoing(&self, letter: &DigestLetter<'_>) -> Result<Outgoing, minijinja::Error> {
        let Some(press) = &self.press else {
            return Ok(self.digest(letter)?.into());
        };
        let papers = || letter.papers.iter().map(|one| (&*one.paper, one.reason.as_str()));
        let preferences = &letter.subscriber.preferences;
        let context = context! {
            first => first(papers()),
            papers => vec![Value::from(()); letter.papers.len()],
            words => words::of(&preferences.language).to_value(),
        };
        let subject = self.subject("digest", &context)?;
        let digest = press::Digest {
            letter,
            sought: Sought::new(preferences),
            subject: &subject,
            preheader: preheader(&papers().collect::<Vec<_>>()),
        };
        match press.print(&digest, &self.abstracts)? {
            Some(body) => Ok(Outgoing {
                to: letter.subscriber.email.clone(),
                subject,
                body,
                message_id: letter.message_id.clone(),
                list_unsubscribe_url: Some(letter.links.unsubscribe().to_owned()),
            }),
            None => Ok(self.digest(letter)?.into()),
        }
    }

    fn issue(&self, issue: Issue<'_>) -> Result<Mail, minijinja::Error> {
        let sought = Sought::new(issue.preferences);
        let length = shown::sentence_chars(issue.papers.len());
        let words = words::of(&issue.preferences.language);
        let papers = issue.papers.iter().enumerate();
        let shown = papers.map(|(place, (paper, reason))| {
            let interest = issue.interests.get(place).copied().flatten();
            let best = self.abstracts.of(paper).highlight(sought.by(interest));
            let personal = Personal::new(1 + place, paper, reason, &best, length);
            Value::from_object(Shown::new(paper, personal, issue.links, words))
        });
        let shown: Vec<Value> = shown.collect();
        let context = context! {
            date => issue.date,
            first => first(issue.papers.iter().copied()),
            preheader => preheader(&issue.papers),
            papers => Value::from(shown),
            email => issue.to,
            links => issue.links.to_value(),
            language => issue.preferences.language.as_str(),
            words => words.to_value(),
            imprint => self.imprint.clone(),
        };
        let html = match issue.preferences.format {
            Format::Html => Some(self.render_html("digest", &context)?),
            Format::Text => None,
        };
        Ok(Mail {
            to: issue.to.to_owned(),
            subject: self.subject("digest", &context)?,
            text: self.render("digest/body.txt", &context)?,
            html,
            message_id: issue.message_id,
            list_unsubscribe_url: Some(issue.links.unsubscribe().to_owned()),
        })
    }

    fn subject(&self, mail: &str, context: &Value) -> Result<String, minijinja::Error> {
        let subject = self.render(&format!("{mail}/subject.txt"), context)?;
        Ok(shown::clean(&subject).trim().to_owned())
    }

    fn render_html(&self, mail: &str, context: &Value) -> Result<String, minijinja::Error> {
        let subject = self.subject(mail, context)?;
        self.render(&format!("{mail}/body.html"), &context! { subject, ..context.clone() })
    }

    fn render(&self, template: &str, context: &Value) -> Result<String, minijinja::Error> {
        self.templates.get_template(template)?.render(context.clone())
    }
}

/// The title that the subject begins with.
fn first<'a>(mut papers: impl Iterator<Item = (&'a Paper, &'a str)>) -> Option<String> {
    let (paper, _) = papers.next()?;
    Some(shown::shortened(&paper.title, SUBJECT_CHARS).into_owned())
}

fn preheader(papers: &[(&Paper, &str)]) -> String {
    let titles: Vec<&str> = match papers {
        [(only, _)] => vec![only.abstract_text.as_str()],
        many => many
            .iter()
            .skip(1)
            .take(PREHEADER_TITLES)
            .map(|(paper, _)| paper.title.as_str())
            .collect(),
    };
    let joined = titles.join(" · ");
    shown::cut(&shown::clean(&joined), PREHEADER_CHARS).into_owned()
}

#[cfg(test)]
mod tests;
