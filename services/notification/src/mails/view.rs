//! A paper as the templates see it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use domain::highlight::Highlight;
use domain::readable::readable;
use domain::{AuthorName, LinkKind, Paper};
use minijinja::Value;
use minijinja::value::Object;

use super::fragments::Placeholder;
use super::link_targets::site_name;
use super::locale::Locale;
use super::templates::escape;
use super::text::{single_line, truncated, truncated_line};
use super::{Links, MailPaper};

const TITLE_CHARS: usize = 300;
/// Longer sentences are cut.
const SENTENCE_CHARS: usize = 480;
/// A mail of more papers has shorter sentences: large providers clip mails above 102 kB.
const MANY_PAPERS: usize = 25;
const SHORT_SENTENCE_CHARS: usize = 240;
const NAME_CHARS: usize = 60;
const MAX_AUTHORS: usize = 5;
const MAX_CATEGORIES: usize = 5;

/// The fields of a paper, which deploy/README.md lists for operators. What a paper lacks is empty.
#[derive(Debug)]
pub struct PaperView {
    number: Value,
    title: Value,
    language: Value,
    page: Value,
    url: Value,
    source: Value,
    source_name: Value,
    pdf: Value,
    authors: Value,
    categories: Value,
    sentence: Value,
    highlighted_sentence: Value,
    reason: Value,
    similar: Value,
    vote: Value,
    dismiss: Value,
}

/// What a paper has for one reader alone.
#[derive(Debug)]
pub struct PersonalView<'a> {
    /// Its number in the mail, from 1.
    pub number: usize,
    /// The sentence that fits the reader best.
    pub sentence: Cow<'a, str>,
    /// The same as HTML, with terms in bold.
    pub highlighted_sentence: String,
    /// Why it is in the digest.
    pub reason: Cow<'a, str>,
}

impl<'a> PersonalView<'a> {
    /// With the best sentence of the abstract, which is given as people read it.
    pub fn new(number: usize, one: &MailPaper<'a>, text: &'a str, best: &Highlight, sentence_chars: usize) -> Self {
        Self {
            number,
            sentence: truncated_line(&text[best.sentence.clone()], sentence_chars),
            highlighted_sentence: highlighted(text, best.sentence.clone(), &best.sentence_spans, sentence_chars),
            reason: single_line(one.reason),
        }
    }
}

impl PaperView {
    /// For one reader.
    pub fn new(paper: &Paper, personal: PersonalView<'_>, links: &Links, locale: &Locale) -> Self {
        Self {
            number: Value::from(personal.number),
            sentence: Value::from(personal.sentence.as_ref()),
            highlighted_sentence: Value::from_safe_string(personal.highlighted_sentence),
            reason: Value::from(personal.reason.as_ref()),
            ..Self::shared(paper, links, locale)
        }
    }

    /// With placeholders for what differs from reader to reader.
    pub fn with_placeholders(paper: &Paper, links: &Links, locale: &Locale) -> Self {
        let sentence = |placeholder: Placeholder| {
            if paper.abstract_text.is_empty() {
                String::new()
            } else {
                placeholder.marker()
            }
        };
        Self {
            number: Value::from(Placeholder::Number.marker()),
            sentence: Value::from(sentence(Placeholder::Sentence)),
            highlighted_sentence: Value::from_safe_string(sentence(Placeholder::HighlightedSentence)),
            reason: Value::from(Placeholder::Reason.marker()),
            ..Self::shared(paper, links, locale)
        }
    }

    /// What is the same for all readers.
    fn shared(paper: &Paper, links: &Links, locale: &Locale) -> Self {
        let id = paper.id.as_str();
        let (abstract_page, pdf) = (paper.link(LinkKind::Abstract), paper.link(LinkKind::Pdf));
        let source = abstract_page.filter(|url| Some(*url) != pdf);
        let categories = paper.categories.iter().take(MAX_CATEGORIES).map(String::as_str);
        let categories = categories.collect::<Vec<_>>().join(" · ");
        let empty = || Value::from("");
        Self {
            number: empty(),
            title: Value::from(truncated_line(&readable(&paper.title), TITLE_CHARS).as_ref()),
            language: Value::from(paper.language.as_str()),
            page: Value::from(links.page(id)),
            url: Value::from(abstract_page.or(pdf).unwrap_or_default()),
            source: Value::from(source.unwrap_or_default()),
            source_name: Value::from(source.map(|url| site_name(url, locale)).unwrap_or_default()),
            pdf: Value::from(pdf.unwrap_or_default()),
            authors: Value::from(authors(&paper.authors, locale)),
            categories: Value::from(single_line(&categories).as_ref()),
            sentence: empty(),
            highlighted_sentence: empty(),
            reason: empty(),
            similar: Value::from(links.similar(id)),
            vote: Value::from(links.vote(id)),
            dismiss: Value::from(links.dismiss(id)),
        }
    }

    fn field(&self, name: &str) -> Option<Value> {
        let value = match name {
            "number" => &self.number,
            "title" => &self.title,
            "language" => &self.language,
            "page" => &self.page,
            "url" => &self.url,
            "source" => &self.source,
            "source_name" => &self.source_name,
            "pdf" => &self.pdf,
            "authors" => &self.authors,
            "categories" => &self.categories,
            "sentence" => &self.sentence,
            "highlighted_sentence" => &self.highlighted_sentence,
            "reason" => &self.reason,
            "similar" => &self.similar,
            "vote" => &self.vote,
            "dismiss" => &self.dismiss,
            _ => return None,
        };
        Some(value.clone())
    }
}

impl Object for PaperView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.field(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.field(key)
    }
}

/// How long a sentence may be in a mail of so many papers.
pub fn sentence_chars(papers: usize) -> usize {
    if papers > MANY_PAPERS {
        SHORT_SENTENCE_CHARS
    } else {
        SENTENCE_CHARS
    }
}

fn authors(names: &[AuthorName], locale: &Locale) -> String {
    let names_shown = names
        .iter()
        .take(MAX_AUTHORS)
        .map(|name| truncated(&single_line(name.as_str()), NAME_CHARS).into_owned());
    let names_shown = names_shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_AUTHORS) {
        0 => names_shown,
        more => locale.authors_and_more(&names_shown, more),
    }
}

/// A sentence as HTML, with the terms at `spans` in bold.
fn highlighted(text: &str, sentence: Range<usize>, spans: &[Range<usize>], max_chars: usize) -> String {
    let kept = truncated(&text[sentence.clone()], max_chars);
    let is_cut = kept.len() < sentence.len();
    let end = match kept.strip_suffix('…') {
        Some(head) if is_cut => sentence.start + head.len(),
        _ => sentence.end,
    };
    let mut html = String::with_capacity(kept.len() + 16 * spans.len());
    let mut from = sentence.start;
    for span in spans.iter().filter(|span| span.end <= end) {
        escape(&single_line(&text[from..span.start]), &mut html);
        html.push_str("<b>");
        escape(&single_line(&text[span.clone()]), &mut html);
        html.push_str("</b>");
        from = span.end;
    }
    escape(&single_line(&text[from..end]), &mut html);
    if end < sentence.end {
        html.push('…');
    }
    html
}
