//! A paper as the templates see it, and what keeps a text of strangers in its place.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use domain::highlight::Highlight;
use domain::{LinkKind, Paper, text};
use minijinja::Value;
use minijinja::value::Object;

use super::plates::Gap;
use super::templates::escape;
use super::words::Words;
use super::{Links, landing};

const TITLE_CHARS: usize = 300;
/// Longer sentences are cut.
const SENTENCE_CHARS: usize = 480;
/// A mail of more papers has shorter sentences: large providers clip what is above 102 kB.
const MANY_PAPERS: usize = 25;
const SENTENCE_CHARS_OF_MANY: usize = 240;
const NAME_CHARS: usize = 60;
const AUTHORS: usize = 5;
const CATEGORIES: usize = 5;

/// The fields of a paper, which deploy/README.md lists for operators. What a paper lacks is an empty text.
#[derive(Debug)]
pub struct Shown {
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
    marked_sentence: Value,
    reason: Value,
    similar: Value,
    vote: Value,
    dismiss: Value,
}

/// What is shown of a paper to one reader.
#[derive(Debug)]
pub struct Personal<'a> {
    /// Its place in the mail.
    pub number: usize,
    /// The sentence that fits the reader best.
    pub sentence: Cow<'a, str>,
    /// The same as HTML, the words that fit in bold.
    pub marked_sentence: String,
    /// Why it is there.
    pub reason: Cow<'a, str>,
}

impl<'a> Personal<'a> {
    /// With the sentence of the abstract that was found best.
    pub fn new(number: usize, paper: &'a Paper, reason: &'a str, best: &Highlight, sentence_chars: usize) -> Self {
        let text = &paper.abstract_text;
        Self {
            number,
            sentence: shortened(&text[best.sentence.clone()], sentence_chars),
            marked_sentence: marked(text, best.sentence.clone(), &best.sentence_spans, sentence_chars),
            reason: clean(reason),
        }
    }
}

impl Shown {
    /// To one reader.
    pub fn new(paper: &Paper, personal: Personal<'_>, links: &Links, words: &Words) -> Self {
        Self {
            number: Value::from(personal.number),
            sentence: Value::from(personal.sentence.as_ref()),
            marked_sentence: Value::from_safe_string(personal.marked_sentence),
            reason: Value::from(personal.reason.as_ref()),
            ..Self::to_all(paper, links, words)
        }
    }

    /// With marks for what differs, and for the tokens of such links.
    pub fn marked(paper: &Paper, links: &Links, words: &Words) -> Self {
        let sentence = |gap: Gap| {
            if paper.abstract_text.is_empty() {
                String::new()
            } else {
                gap.mark()
            }
        };
        Self {
            number: Value::from(Gap::Number.mark()),
            sentence: Value::from(sentence(Gap::Sentence)),
            marked_sentence: Value::from_safe_string(sentence(Gap::MarkedSentence)),
            reason: Value::from(Gap::Reason.mark()),
            ..Self::to_all(paper, links, words)
        }
    }

    fn to_all(paper: &Paper, links: &Links, words: &Words) -> Self {
        let id = paper.id.as_str();
        let (landing, pdf) = (paper.link(LinkKind::Abstract), paper.link(LinkKind::Pdf));
        let source = landing.filter(|landing| Some(*landing) != pdf);
        let categories = paper.categories.iter().take(CATEGORIES).map(String::as_str);
        let categories = categories.collect::<Vec<_>>().join(" · ");
        let nothing = || Value::from("");
        Self {
            number: nothing(),
            title: Value::from(shortened(&paper.title, TITLE_CHARS).as_ref()),
            language: Value::from(paper.language.as_str()),
            page: Value::from(links.page(id)),
            url: Value::from(landing.or(pdf).unwrap_or_default()),
            source: Value::from(source.unwrap_or_default()),
            source_name: Value::from(source.map(|url| landing::name(url, words)).unwrap_or_default()),
            pdf: Value::from(pdf.unwrap_or_default()),
            authors: Value::from(authors(&paper.authors, words)),
            categories: Value::from(clean(&categories).as_ref()),
            sentence: nothing(),
            marked_sentence: nothing(),
            reason: nothing(),
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
            "marked_sentence" => &self.marked_sentence,
            "reason" => &self.reason,
            "similar" => &self.similar,
            "vote" => &self.vote,
            "dismiss" => &self.dismiss,
            _ => return None,
        };
        Some(value.clone())
    }
}

impl Object for Shown {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.field(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.field(key)
    }
}

/// Characters of a sentence in a mail of so many papers.
pub fn sentence_chars(papers: usize) -> usize {
    if papers > MANY_PAPERS {
        SENTENCE_CHARS_OF_MANY
    } else {
        SENTENCE_CHARS
    }
}

/// Text on one line, without marks that are not seen and change how the text around them is displayed.
pub fn clean(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c != '\n' && !text::is_invisible(c);
    // Most texts are plain ASCII, and bytes that are looked at without a way out are looked at many at a time.
    let is_ascii = text
        .bytes()
        .fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if is_ascii || text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text::one_line(text))
}

/// The beginning of a text on one line.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match clean(text) {
        Cow::Borrowed(text) => cut(text, most),
        Cow::Owned(text) => Cow::Owned(cut(&text, most).into_owned()),
    }
}

/// The beginning of a text, ended at a word where there is one.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    // A text is never of more characters than bytes, so most need no counting.
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let Some((end, _)) = text.char_indices().nth(most) else {
        return Cow::Borrowed(text);
    };
    let head = &text[..end];
    let head = head.rfind(char::is_whitespace).map_or(head, |space| &head[..space]);
    Cow::Owned(format!("{}…", head.trim_end_matches([' ', '\n', ',', ';', ':', '.'])))
}

fn authors(names: &[String], words: &Words) -> String {
    let shown = names
        .iter()
        .take(AUTHORS)
        .map(|name| cut(&clean(name), NAME_CHARS).into_owned());
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(AUTHORS) {
        0 => shown,
        more => words.authors_and_more(&shown, more),
    }
}

/// A sentence as HTML, the words at `spans` in bold.
fn marked(text: &str, sentence: Range<usize>, spans: &[Range<usize>], most: usize) -> String {
    let kept = cut(&text[sentence.clone()], most);
    let is_cut = kept.len() < sentence.len();
    let end = match kept.strip_suffix('…') {
        Some(head) if is_cut => sentence.start + head.len(),
        _ => sentence.end,
    };
    let mut html = String::with_capacity(kept.len() + 16 * spans.len());
    let mut from = sentence.start;
    for span in spans.iter().filter(|span| span.end <= end) {
        escape(&clean(&text[from..span.start]), &mut html);
        html.push_str("<b>");
        escape(&clean(&text[span.clone()]), &mut html);
        html.push_str("</b>");
        from = span.end;
    }
    escape(&clean(&text[from..end]), &mut html);
    if end < sentence.end {
        html.push('…');
    }
    html
}
