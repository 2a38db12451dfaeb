//! Writes mails: templates filled with what a digest, a confirmation or a notice says. Each mail is a folder of templates.
//!
//! Where no template is the operator's, a digest that goes out is assembled from template fragments that are rendered and
//! encoded once for all readers (see [`renderer`]): to render and encode each paper for each reader was half of what a mail
//! cost. An operator's templates are rendered for each reader. The mail is the same either way.
//!
//! Titles and abstracts are as people read them ([`domain::readable`]), in subjects too.
//!
//! It chooses no papers and sends nothing. HTML templates escape what they are given, and what a paper or a reader brings in
//! is on one line and free of invisible characters that reorder text.
//!
//! A digest is rendered from prepared fragments: the frame once per language and number of papers, each paper once per
//! language, with placeholders for what is personal; values are encoded straight into the body. The body is written in
//! DKIM's relaxed form, so it is hashed as it is. It stays quoted-printable even if a server accepts 8-bit, because a later
//! server that does not would invalidate the signature. A test compares the result with the templates. Together with pipelining this took a mail from 1.42 ms of
//! processor time (platform, stores and sink) to about 0.95 ms (`just bench-mail`).
//!
//! The words around the papers come from one table per language; other languages use English. The title links to the paper's
//! page on this site ([`domain::pages`]); its page at the source is a separate link.

mod abstract_cache;
mod account_link;
mod fragments;
mod highlight_terms;
mod link_targets;
mod links;
pub mod locale;
mod renderer;
mod samples;
mod templates;
mod text;
mod view;
mod webhook_notice;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use domain::preferences::MailFormat;
use domain::readable::readable;
use domain::{Paper, Preferences};
use jiff::civil::Date;
use minijinja::{Environment, Error, Value, context};

pub use account_link::AccountLinkMail;
pub use links::Links;
pub use webhook_notice::{RemainingChannel, WebhookEnd, WebhookNotice};

use self::abstract_cache::AbstractCache;
use self::highlight_terms::HighlightTerms;
use self::locale::Locale;
use self::renderer::{DigestRenderer, RenderInput};
use self::text::{single_line, truncated, truncated_line};
use self::view::{PaperView, PersonalView, sentence_chars};
use crate::mailer::{EncodedMail, Mail, MailKind};

/// Most mail programs cut longer subjects; the count of papers stays visible this way.
const SUBJECT_CHARS: usize = 90;
/// As much as mail programs show beside the subject.
const PREHEADER_CHARS: usize = 140;
/// Titles in the preheader; the first title is in the subject already.
const PREHEADER_TITLES: usize = 3;

/// What a digest's mail is written from.
pub struct DigestContent<'a> {
    /// The reader's address.
    pub to: &'a str,
    /// The reader's language, format and interests.
    pub preferences: &'a Preferences,
    /// The day of the digest where the reader lives.
    pub day: Date,
    /// In the order of the mail.
    pub papers: Vec<MailPaper<'a>>,
    /// The reader's links.
    pub links: &'a Links,
    /// With angle brackets; the same at every attempt.
    pub message_id: String,
}

/// A paper of a digest.
#[derive(Debug, Clone, Copy)]
pub struct MailPaper<'a> {
    /// The paper.
    pub paper: &'a Arc<Paper>,
    /// Why it is in the digest, in the reader's language.
    pub reason: &'a str,
    /// The index of the interest that brought it among the reader's interests.
    pub interest: Option<u16>,
}

/// What a mail that asks for consent is written from.
pub struct ConfirmationContent<'a> {
    /// The address that somebody gave.
    pub to: &'a str,
    /// BCP 47 tag.
    pub language: &'a str,
    /// The page that confirms.
    pub confirm_url: &'a str,
    /// The page that declines.
    pub decline_url: &'a str,
    /// With angle brackets.
    pub message_id: String,
}

/// Writes mails from templates, for any number of threads at once.
pub struct MailWriter {
    templates: Environment<'static>,
    imprint: Value,
    abstracts: AbstractCache,
    /// Only where no template is the operator's.
    renderer: Option<DigestRenderer>,
}

impl MailWriter {
    /// Reads the templates: those of the operator's `folder` where it has them, else the built-in ones. The `imprint` stands
    /// at the foot of every mail. A template that does not render is refused with its file and line.
    pub fn new(folder: Option<&Path>, imprint: &str) -> Result<Self, String> {
        let templates = templates::read(folder)?;
        let located = |error: Error| templates::located(folder, &error);
        let imprint = Value::from(single_line(imprint).as_ref());
        let renderer = if templates.built_in {
            Some(DigestRenderer::new(&templates.environment, &imprint).map_err(located)?)
        } else {
            None
        };
        let writer = Self {
            templates: templates.environment,
            imprint,
            abstracts: AbstractCache::default(),
            renderer,
        };
        samples::write_all(&writer).map_err(located)?;
        Ok(writer)
    }

    /// The mail that asks for consent. It has no unsubscribe header: there is no subscription yet.
    pub fn confirmation(&self, asked: &ConfirmationContent<'_>) -> Result<Mail, Error> {
        let ConfirmationContent {
            to: email,
            confirm_url,
            decline_url,
            ..
        } = *asked;
        let locale = Locale::of(asked.language).to_value();
        let context = context! { email, confirm_url, decline_url, locale, imprint => self.imprint.clone() };
        Ok(Mail {
            to: email.to_owned(),
            subject: self.subject("confirmation", &context)?,
            text: self.render("confirmation/body.txt", &context)?,
            html: Some(self.render_html("confirmation", &context)?),
            message_id: asked.message_id.clone(),
            list_unsubscribe_url: None,
            kind: MailKind::Confirmation,
        })
    }

    /// A digest, to be read.
    pub fn digest(&self, digest: &DigestContent<'_>) -> Result<Mail, Error> {
        let context = self.digest_context(digest);
        let html = match digest.preferences.format {
            MailFormat::Html => Some(self.render_html("digest", &context)?),
            MailFormat::Text => None,
        };
        Ok(Mail {
            to: digest.to.to_owned(),
            subject: self.subject("digest", &context)?,
            text: self.render("digest/body.txt", &context)?,
            html,
            message_id: digest.message_id.clone(),
            list_unsubscribe_url: Some(digest.links.unsubscribe().to_owned()),
            kind: MailKind::Digest,
        })
    }

    /// A digest, to be sent. It says what [`Self::digest`] says.
    pub fn encoded_digest(&self, digest: &DigestContent<'_>) -> Result<EncodedMail, Error> {
        let Some(renderer) = &self.renderer else {
            return Ok(self.digest(digest)?.into());
        };
        let context = context! {
            first => first_title(&digest.papers),
            papers => vec![Value::from(()); digest.papers.len()],
            locale => Locale::of(&digest.preferences.language).to_value(),
        };
        let subject = self.subject("digest", &context)?;
        let input = RenderInput {
            digest,
            terms: HighlightTerms::new(digest.preferences),
            subject: &subject,
            preheader: preheader(&digest.papers),
        };
        match renderer.render(&input, &self.abstracts)? {
            Some(body) => Ok(EncodedMail {
                to: digest.to.to_owned(),
                subject,
                body,
                message_id: digest.message_id.clone(),
                list_unsubscribe_url: Some(digest.links.unsubscribe().to_owned()),
                kind: MailKind::Digest,
            }),
            None => Ok(self.digest(digest)?.into()),
        }
    }

    /// What the templates of a digest are filled with.
    fn digest_context(&self, digest: &DigestContent<'_>) -> Value {
        let terms = HighlightTerms::new(digest.preferences);
        let sentence_chars = sentence_chars(digest.papers.len());
        let locale = Locale::of(&digest.preferences.language);
        let papers = digest.papers.iter().zip(1..).map(|(one, number)| {
            let readable = self.abstracts.of(one.paper);
            let best = readable.prepared.highlight(terms.of_interest(one.interest));
            let personal = PersonalView::new(number, one, &readable.text, &best, sentence_chars);
            Value::from_object(PaperView::new(one.paper, personal, digest.links, locale))
        });
        let papers: Vec<Value> = papers.collect();
        context! {
            date => locale.date(digest.day),
            first => first_title(&digest.papers),
            preheader => preheader(&digest.papers),
            papers => Value::from(papers),
            email => digest.to,
            links => digest.links.to_value(),
            language => digest.preferences.language.as_str(),
            locale => locale.to_value(),
            imprint => self.imprint.clone(),
        }
    }

    fn subject(&self, mail: &str, context: &Value) -> Result<String, Error> {
        let subject = self.render(&format!("{mail}/subject.txt"), context)?;
        Ok(single_line(&subject).trim().to_owned())
    }

    fn render_html(&self, mail: &str, context: &Value) -> Result<String, Error> {
        let subject = self.subject(mail, context)?;
        self.render(&format!("{mail}/body.html"), &context! { subject, ..context.clone() })
    }

    fn render(&self, template: &str, context: &Value) -> Result<String, Error> {
        self.templates.get_template(template)?.render(context.clone())
    }
}

/// The title that the subject begins with.
fn first_title(papers: &[MailPaper<'_>]) -> Option<String> {
    let first = papers.first()?;
    Some(truncated_line(&readable(&first.paper.title), SUBJECT_CHARS).into_owned())
}

/// The beginning of the abstract of a single paper, else the titles after the first.
fn preheader(papers: &[MailPaper<'_>]) -> String {
    let texts: Vec<Cow<'_, str>> = match papers {
        [only] => vec![readable(&only.paper.abstract_text)],
        many => {
            let others = many.iter().skip(1).take(PREHEADER_TITLES);
            others.map(|one| readable(&one.paper.title)).collect()
        }
    };
    truncated(&single_line(&texts.join(" · ")), PREHEADER_CHARS).into_owned()
}

#[cfg(test)]
mod tests;
