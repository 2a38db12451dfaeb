//! Assembles digests from template fragments: the layout is rendered once for each language and count of papers, a paper once
//! for all of its readers in a language.
//!
//! The result is what the templates say, character by character; a test compares the two.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use domain::preferences::MailFormat;
use domain::{AuthorName, Paper, PaperId};
use minijinja::{Environment, Error, Value, context};

use super::abstract_cache::{AbstractCache, ReadableAbstract};
use super::fragments::{Placeholder, TemplateFragments, holds_delimiter};
use super::highlight_terms::HighlightTerms;
use super::locale::Locale;
use super::templates::escape;
use super::view::{PaperView, PersonalView, sentence_chars};
use super::{DigestContent, Links};
use crate::mailer::body::MimeBody;
use crate::mailer::quoted_printable::QuotedPrintable;

/// Papers whose fragments are cached in a language, some 4 kB each. When there are more, the cache is emptied, and those in
/// use come back.
const MAX_PAPERS: usize = 4_096;
/// Layouts that are cached in a language, some 6 kB each; there are two for each count of papers.
const MAX_LAYOUTS: usize = 512;
/// The usual size of a body: without papers, and for each paper. Much more would be memory that the allocator has to find for
/// each mail.
const TEXT_BYTES: (usize, usize) = (1_500, 1_200);
const HTML_BYTES: (usize, usize) = (5_500, 2_300);

/// A digest, and what is derived from it for its reader.
pub struct RenderInput<'a> {
    /// What it is written from.
    pub digest: &'a DigestContent<'a>,
    /// What is highlighted in its papers.
    pub terms: HighlightTerms<'a>,
    /// Its subject.
    pub subject: &'a str,
    /// What mail programs show beside the subject.
    pub preheader: String,
}

/// Renders the bodies of digests.
pub struct DigestRenderer {
    papers: Environment<'static>,
    /// With a placeholder instead of each paper.
    layouts: Environment<'static>,
    imprint: Value,
    languages: Vec<FragmentCache>,
}

/// The fragments in one language.
struct FragmentCache {
    locale: &'static Locale,
    papers: RwLock<HashMap<PaperId, Arc<PaperFragments>>>,
    layouts: RwLock<HashMap<LayoutKey, Arc<TemplateFragments>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LayoutKey {
    format: MailFormat,
    papers: usize,
}

/// The fragments of a paper, and the abstract that its sentence is taken from.
struct PaperFragments {
    paper: Arc<Paper>,
    readable: Arc<ReadableAbstract>,
    text: TemplateFragments,
    html: TemplateFragments,
}

impl DigestRenderer {
    /// Renders with these templates.
    pub fn new(templates: &Environment<'static>, imprint: &Value) -> Result<Self, Error> {
        let mut layouts = templates.clone();
        for format in [MailFormat::Text, MailFormat::Html] {
            layouts.add_template_owned(template("paper", format), Placeholder::Paper.marker())?;
        }
        Ok(Self {
            papers: templates.clone(),
            layouts,
            imprint: imprint.clone(),
            languages: Locale::all().iter().map(FragmentCache::new).collect(),
        })
    }

    /// The body of a digest; none where a paper holds what could be taken for a placeholder.
    pub fn render(&self, input: &RenderInput<'_>, abstracts: &AbstractCache) -> Result<Option<MimeBody>, Error> {
        let digest = input.digest;
        let cache = self.language(&digest.preferences.language);
        let mut fragments = Vec::with_capacity(digest.papers.len());
        for one in &digest.papers {
            match self.paper_fragments(cache, one.paper, digest.links, abstracts)? {
                Some(paper) => fragments.push(paper),
                None => return Ok(None),
            }
        }
        let sentence_chars = sentence_chars(digest.papers.len());
        let personal = digest.papers.iter().zip(&fragments).zip(1..);
        let personal = personal.map(|((one, fragments), number)| {
            let readable = &fragments.readable;
            let best = readable.prepared.highlight(input.terms.of_interest(one.interest));
            PersonalView::new(number, one, &readable.text, &best, sentence_chars)
        });
        let papers: Vec<(&PaperFragments, PersonalView<'_>)> =
            fragments.iter().map(AsRef::as_ref).zip(personal).collect();
        let capacity = |(layout, paper): (usize, usize)| layout + paper * papers.len();
        let date = cache.locale.date(digest.day);
        let body = |format| {
            let body = BodyWriter {
                format,
                layout: self.layout(cache, format, digest)?,
                date: &date,
                input,
                papers: &papers,
            };
            Ok::<_, Error>(move |out: &mut QuotedPrintable| body.write(out))
        };
        let text = body(MailFormat::Text)?;
        Ok(Some(match digest.preferences.format {
            MailFormat::Text => MimeBody::plain(capacity(TEXT_BYTES), text),
            MailFormat::Html => MimeBody::alternatives(
                capacity(TEXT_BYTES) + capacity(HTML_BYTES),
                text,
                body(MailFormat::Html)?,
            ),
        }))
    }

    fn language(&self, tag: &str) -> &FragmentCache {
        let locale = Locale::of(tag);
        let found = self.languages.iter().find(|one| std::ptr::eq(one.locale, locale));
        found.unwrap_or(&self.languages[0])
    }

    fn paper_fragments(
        &self,
        cache: &FragmentCache,
        paper: &Arc<Paper>,
        links: &Links,
        abstracts: &AbstractCache,
    ) -> Result<Option<Arc<PaperFragments>>, Error> {
        let cached = cache.papers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(fragments) = cached.get(&paper.id)
            && Arc::ptr_eq(&fragments.paper, paper)
        {
            return Ok(Some(Arc::clone(fragments)));
        }
        drop(cached);
        if paper_holds_delimiter(paper) {
            return Ok(None);
        }
        let links = Links::with_placeholders(links.base());
        let context = context! {
            paper => Value::from_object(PaperView::with_placeholders(paper, &links, cache.locale)),
            locale => cache.locale.to_value(),
        };
        let rendered = |format| {
            let template = self.papers.get_template(&template("paper", format))?;
            let rendered = template.render(context.clone())?;
            Ok::<_, Error>(TemplateFragments::new(&rendered))
        };
        let fragments = Arc::new(PaperFragments {
            paper: Arc::clone(paper),
            readable: abstracts.of(paper),
            text: rendered(MailFormat::Text)?,
            html: rendered(MailFormat::Html)?,
        });
        insert(&cache.papers, MAX_PAPERS, paper.id.clone(), &fragments);
        Ok(Some(fragments))
    }

    fn layout(
        &self,
        cache: &FragmentCache,
        format: MailFormat,
        digest: &DigestContent<'_>,
    ) -> Result<Arc<TemplateFragments>, Error> {
        let key = LayoutKey {
            format,
            papers: digest.papers.len(),
        };
        let cached = cache.layouts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = cached.get(&key) {
            return Ok(Arc::clone(layout));
        }
        drop(cached);
        let context = context! {
            date => Placeholder::Date.marker(),
            subject => Placeholder::Subject.marker(),
            preheader => Placeholder::Preheader.marker(),
            papers => vec![Value::from(()); key.papers],
            email => Placeholder::Email.marker(),
            links => Links::with_placeholders(digest.links.base()).to_value(),
            locale => cache.locale.to_value(),
            imprint => self.imprint.clone(),
        };
        let rendered = self.layouts.get_template(&template("body", format))?.render(context)?;
        let layout = Arc::new(TemplateFragments::new(&rendered));
        insert(&cache.layouts, MAX_LAYOUTS, key, &layout);
        Ok(layout)
    }
}

impl FragmentCache {
    fn new(locale: &'static Locale) -> Self {
        Self {
            locale,
            papers: RwLock::default(),
            layouts: RwLock::default(),
        }
    }
}

/// Writes a body in one format.
struct BodyWriter<'a> {
    format: MailFormat,
    layout: Arc<TemplateFragments>,
    date: &'a str,
    input: &'a RenderInput<'a>,
    papers: &'a [(&'a PaperFragments, PersonalView<'a>)],
}

impl BodyWriter<'_> {
    fn write(&self, out: &mut QuotedPrintable) {
        let digest = self.input.digest;
        let mut papers = self.papers.iter();
        self.layout.write(out, |placeholder, out| match placeholder {
            Placeholder::Paper => {
                if let Some((fragments, personal)) = papers.next() {
                    self.write_paper(fragments, personal, out);
                }
            }
            Placeholder::Date => self.write_text(self.date, out),
            Placeholder::Email => self.write_text(digest.to, out),
            Placeholder::PreferencesToken => out.push(digest.links.preferences_token()),
            Placeholder::UnsubscribeToken => out.push(digest.links.unsubscribe_token()),
            Placeholder::Preheader => self.write_text(&self.input.preheader, out),
            Placeholder::Subject => self.write_text(self.input.subject, out),
            _ => {}
        });
    }

    fn write_paper(&self, fragments: &PaperFragments, personal: &PersonalView<'_>, out: &mut QuotedPrintable) {
        let fragments = match self.format {
            MailFormat::Text => &fragments.text,
            MailFormat::Html => &fragments.html,
        };
        fragments.write(out, |placeholder, out| match placeholder {
            Placeholder::HighlightedSentence => out.push(&personal.highlighted_sentence),
            Placeholder::Number => out.push(&personal.number.to_string()),
            Placeholder::ReactToken => out.push(self.input.digest.links.react_token()),
            Placeholder::Reason => self.write_text(&personal.reason, out),
            Placeholder::Sentence => self.write_text(&personal.sentence, out),
            _ => {}
        });
    }

    fn write_text(&self, text: &str, out: &mut QuotedPrintable) {
        match self.format {
            MailFormat::Text => out.push(text),
            MailFormat::Html => escape(text, out),
        }
    }
}

/// The name of a digest's template.
fn template(name: &str, format: MailFormat) -> String {
    match format {
        MailFormat::Text => format!("digest/{name}.txt"),
        MailFormat::Html => format!("digest/{name}.html"),
    }
}

/// Whether what is printed of a paper could be taken for a placeholder.
fn paper_holds_delimiter(paper: &Paper) -> bool {
    let links = paper.links.iter().map(|link| &link.url);
    let texts = [&paper.title, &paper.language].into_iter().chain(&paper.categories);
    let mut texts = texts
        .chain(links)
        .map(String::as_str)
        .chain(paper.authors.iter().map(AuthorName::as_str));
    texts.any(holds_delimiter) || holds_delimiter(paper.id.as_str())
}

fn insert<K: Eq + Hash, V>(cache: &RwLock<HashMap<K, Arc<V>>>, max_entries: usize, key: K, value: &Arc<V>) {
    let mut cached = cache.write().unwrap_or_else(PoisonError::into_inner);
    if cached.len() >= max_entries {
        cached.clear();
    }
    cached.insert(key, Arc::clone(value));
}
