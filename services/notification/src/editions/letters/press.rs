//! Digests printed from plates: the frame is set once for each language and count of papers, a paper once for all of its
//! readers in a language.
//!
//! It says what the templates say, letter by letter; a test holds the two against each other.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::highlight::Prepared;
use domain::preferences::Format;
use domain::{Paper, PaperId};
use minijinja::{Environment, Error, Value, context};

use super::abstracts::Abstracts;
use super::plates::{Gap, Plate, is_marked};
use super::shown::{self, Personal, Shown};
use super::sought::Sought;
use super::templates::escape;
use super::words::{self, Words};
use super::{DigestLetter, Links};
use crate::mailer::body::Body;
use crate::mailer::quoted::Quoted;

/// Papers of which plates are kept in a language, some 4 kB each. When there are more, all are forgotten and those in use come
/// back.
const MOST_PAPERS: usize = 4_096;
/// Frames that are kept in a language, some 6 kB each; there are two for each count of papers.
const MOST_FRAMES: usize = 512;
/// What a text takes without papers, and with each, about; the same for HTML. Room for much more would be memory that the
/// allocator has to look for at each mail.
const TEXT_BYTES: (usize, usize) = (1_500, 1_200);
const HTML_BYTES: (usize, usize) = (5_500, 2_300);

/// A digest, but for its plates.
pub struct Digest<'a> {
    /// What it is written from.
    pub letter: &'a DigestLetter<'a>,
    /// What its reader looks for.
    pub sought: Sought<'a>,
    /// Its subject.
    pub subject: &'a str,
    /// What mail programs show beside the subject.
    pub preheader: String,
}

/// The plates.
pub struct Press {
    papers: Environment<'static>,
    /// With a mark in place of each paper.
    frames: Environment<'static>,
    imprint: Value,
    languages: Vec<Language>,
}

/// The plates that say what they say in the words of one language.
struct Language {
    words: &'static Words,
    papers: RwLock<HashMap<PaperId, Arc<Set>>>,
    frames: RwLock<HashMap<Frame, Arc<Plate>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Frame {
    part: Part,
    papers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Plain,
    Html,
}

/// The plates of a paper, and what finds its sentence.
struct Set {
    paper: Arc<Paper>,
    prepared: Arc<Prepared>,
    plain: Plate,
    html: Plate,
}

impl Part {
    fn template(self, what: &str) -> String {
        match self {
            Self::Plain => format!("digest/{what}.txt"),
            Self::Html => format!("digest/{what}.html"),
        }
    }
}

impl Language {
    fn new(words: &'static Words) -> Self {
        Self {
            words,
            papers: RwLock::default(),
            frames: RwLock::default(),
        }
    }
}

impl Press {
    /// Prints with these templates.
    pub fn new(templates: &Environment<'static>, imprint: &Value) -> Result<Self, Error> {
        let mut frames = templates.clone();
        for part in [Part::Plain, Part::Html] {
            frames.add_template_owned(part.template("paper"), Gap::Paper.mark())?;
        }
        Ok(Self {
            papers: templates.clone(),
            frames,
            imprint: imprint.clone(),
            languages: words::all().iter().map(Language::new).collect(),
        })
    }

    fn language(&self, tag: &str) -> &Language {
        let words = words::of(tag);
        let found = self.languages.iter().find(|one| std::ptr::eq(one.words, words));
        found.unwrap_or(&self.languages[0])
    }

    /// The body of a digest; none where a paper has something in it that could be taken for a mark.
    pub fn print(&self, digest: &Digest<'_>, abstracts: &Abstracts) -> Result<Option<Body>, Error> {
        let papers = digest.letter.papers;
        let language = self.language(&digest.letter.subscriber.preferences.language);
        let mut sets = Vec::with_capacity(papers.len());
        for one in papers {
            match self.set_of(language, &one.paper, digest, abstracts)? {
                Some(set) => sets.push(set),
                None => return Ok(None),
            }
        }
        let length = shown::sentence_chars(papers.len());
        let personal = papers.iter().zip(&sets).zip(1..).map(|((one, set), number)| {
            let best = set.prepared.highlight(digest.sought.by(one.interest));
            Personal::new(number, &one.paper, &one.reason, &best, length)
        });
        let papers: Vec<(&Set, Personal<'_>)> = sets.iter().map(AsRef::as_ref).zip(personal).collect();
        let room = |(frame, paper): (usize, usize)| frame + paper * papers.len();
        let plain = self.frame(language, Part::Plain, digest)?;
        let write_plain = |out: &mut Quoted| print_part(Part::Plain, &plain, digest, &papers, out);
        Ok(Some(match digest.letter.subscriber.preferences.format {
            Format::Text => Body::plain(room(TEXT_BYTES), write_plain),
            Format::Html => {
                let html = self.frame(language, Part::Html, digest)?;
                let write_html = |out: &mut Quoted| print_part(Part::Html, &html, digest, &papers, out);
                Body::alternatives(room(TEXT_BYTES) + room(HTML_BYTES), write_plain, write_html)
            }
        }))
    }

    fn set_of(
        &self,
        language: &Language,
        paper: &Arc<Paper>,
        digest: &Digest<'_>,
        abstracts: &Abstracts,
    ) -> Result<Option<Arc<Set>>, Error> {
        let kept = language.papers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = kept.get(&paper.id)
            && Arc::ptr_eq(&set.paper, paper)
        {
            return Ok(Some(Arc::clone(set)));
        }
        drop(kept);
        if could_be_marked(paper) {
            return Ok(None);
        }
        let links = Links::marked(digest.letter.links.base());
        let context = context! {
            paper => Value::from_object(Shown::marked(paper, &links, language.words)),
            words => language.words.to_value(),
        };
        let plate = |part: Part| {
            let rendered = self
                .papers
                .get_template(&part.template("paper"))?
                .render(context.clone());
            rendered.map(|rendered| Plate::new(&rendered))
        };
        let set = Arc::new(Set {
            paper: Arc::clone(paper),
            prepared: abstracts.of(paper),
            plain: plate(Part::Plain)?,
            html: plate(Part::Html)?,
        });
        keep(&language.papers, MOST_PAPERS, paper.id.clone(), &set);
        Ok(Some(set))
    }

    fn frame(&self, language: &Language, part: Part, digest: &Digest<'_>) -> Result<Arc<Plate>, Error> {
        let frame = Frame {
            part,
            papers: digest.letter.papers.len(),
        };
        let kept = language.frames.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(plate) = kept.get(&frame) {
            return Ok(Arc::clone(plate));
        }
        drop(kept);
        let context = context! {
            date => Gap::Date.mark(),
            subject => Gap::Subject.mark(),
            preheader => Gap::Preheader.mark(),
            papers => vec![Value::from(()); frame.papers],
            email => Gap::Email.mark(),
            links => Links::marked(digest.letter.links.base()).to_value(),
            words => language.words.to_value(),
            imprint => self.imprint.clone(),
        };
        let rendered = self.frames.get_template(&part.template("body"))?.render(context)?;
        let plate = Arc::new(Plate::new(&rendered));
        keep(&language.frames, MOST_FRAMES, frame, &plate);
        Ok(plate)
    }
}

fn print_part(part: Part, frame: &Plate, digest: &Digest<'_>, papers: &[(&Set, Personal<'_>)], out: &mut Quoted) {
    let letter = digest.letter;
    let mut rest = papers.iter();
    frame.print(out, |gap, out| match gap {
        Gap::Paper => {
            if let Some((set, personal)) = rest.next() {
                print_paper(part, set, personal, letter.links, out);
            }
        }
        Gap::Date => part.write(letter.date, out),
        Gap::Email => part.write(&letter.subscriber.email, out),
        Gap::Manage => out.push(letter.links.manage()),
        Gap::Preheader => part.write(&digest.preheader, out),
        Gap::Subject => part.write(digest.subject, out),
        _ => {}
    });
}

fn print_paper(part: Part, set: &Set, personal: &Personal<'_>, links: &Links, out: &mut Quoted) {
    let plate = match part {
        Part::Plain => &set.plain,
        Part::Html => &set.html,
    };
    plate.print(out, |gap, out| match gap {
        Gap::MarkedSentence => out.push(&personal.marked_sentence),
        Gap::Number => out.push(&personal.number.to_string()),
        Gap::React => out.push(links.react()),
        Gap::Reason => part.write(&personal.reason, out),
        Gap::Sentence => part.write(&personal.sentence, out),
        _ => {}
    });
}

impl Part {
    fn write(self, text: &str, out: &mut Quoted) {
        match self {
            Self::Plain => out.push(text),
            Self::Html => escape(text, out),
        }
    }
}

/// What of a paper is printed as it is.
fn could_be_marked(paper: &Paper) -> bool {
    let links = paper.links.iter().map(|link| &link.url);
    let texts = [&paper.title, &paper.language].into_iter().chain(&paper.authors);
    texts.chain(&paper.categories).chain(links).any(|text| is_marked(text)) || is_marked(paper.id.as_str())
}

fn keep<K: Eq + std::hash::Hash, V>(kept: &RwLock<HashMap<K, Arc<V>>>, most: usize, key: K, value: &Arc<V>) {
    let mut kept = kept.write().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= most {
        kept.clear();
    }
    kept.insert(key, Arc::clone(value));
}
