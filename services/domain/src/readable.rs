//! Text with TeX in it, as people read it: formulas and what is left of commands as one line of Unicode.
//!
//! `$\mathcal{O}(n\log n)$` is O(n log n), and `\$5` is $5. Dashes, quotes and ties become characters, emphasis is named, and
//! what only serves typesetting is dropped. Of an unknown command the name and the arguments stay: no word is lost. It writes
//! no markup, and takes time in proportion to the text.

mod commands;
mod formula;
mod maths;
mod symbols;

use std::borrow::Cow;
use std::ops::Range;

use crate::text::is_invisible;
use formula::formula_line;
pub use maths::{FormulaPlace, LONGEST_FORMULA, formulas};
pub(crate) use symbols::{accent, is_letter};

/// Deepest nesting of groups that is read; the braces of deeper ones are dropped.
const MAX_DEPTH: usize = 24;
/// Longest argument that is looked for as a whole, in bytes.
const LONGEST_ARGUMENT: usize = 1_000;
/// Longest set in braces, in bytes.
const LONGEST_SET: usize = 100;
/// What begins something other than plain words.
const SPECIAL: [char; 10] = ['\\', '{', '}', '$', '~', '`', '\'', '-', '^', '_'];

/// A piece of a text, in the order of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadablePart<'a> {
    /// What it is.
    pub kind: PartKind<'a>,
    /// How it reads, borrowed where it is the source itself; empty where emphasis begins or ends.
    pub text: Cow<'a, str>,
    /// The bytes of the source that it stands for.
    pub source: Range<usize>,
}

/// What a part of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind<'a> {
    /// Words.
    Words,
    /// A formula, as written but without its dollars.
    Formula(&'a str),
    /// The words of a link to an address.
    Link(&'a str),
    /// Here emphasis begins.
    Begin(Emphasis),
    /// Here it ends.
    End(Emphasis),
}

/// How words are emphasised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emphasis {
    /// In bold.
    Bold,
    /// In italics.
    Italic,
    /// As stressed.
    Stress,
    /// As program text.
    Code,
    /// In small capitals.
    SmallCaps,
    /// Underlined.
    Underline,
}

/// A text as people read it. Line breaks stay.
pub fn readable(text: &str) -> Cow<'_, str> {
    if !is_tex(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(parts(text).into_iter().map(|part| part.text).collect())
}

/// The same on one line, for titles.
pub fn readable_line(text: &str) -> String {
    crate::text::one_line(&readable(text))
}

/// The parts of a text.
pub fn parts(text: &str) -> Vec<ReadablePart<'_>> {
    let mut reader = TextReader::new(text, 0);
    while reader.at < text.len() {
        reader.group();
    }
    reader.parts
}

/// Whether anything in a text reads other than it is written.
fn is_tex(text: &str) -> bool {
    text.contains(['\\', '{', '}', '$', '~', '`', '\''])
        || text.contains("--")
        || text.chars().any(|c| is_invisible(c) && c != '\n')
}

impl ReadablePart<'_> {
    /// The part cut where spans of the source begin and end, each piece with whether it is in one. What reads other than it is
    /// written is in a span as a whole or not at all.
    pub fn cut(&self, spans: &[Range<usize>]) -> Vec<(&str, bool)> {
        let touches = |span: &&Range<usize>| span.start < self.source.end && span.end > self.source.start;
        let mut spans = spans.iter().filter(touches);
        let Cow::Borrowed(text) = self.text else {
            return vec![(&*self.text, spans.next().is_some())];
        };
        let (mut pieces, mut at) = (Vec::new(), 0);
        for span in spans {
            let start = span.start.saturating_sub(self.source.start).max(at);
            let end = (span.end - self.source.start).min(text.len());
            if let (Some(before), Some(inside)) = (text.get(at..start), text.get(start..end)) {
                pieces.extend([(before, false), (inside, true)]);
                at = end;
            }
        }
        pieces.push((text.get(at..).unwrap_or_default(), false));
        pieces.retain(|(piece, _)| !piece.is_empty());
        pieces
    }
}

struct TextReader<'a> {
    text: &'a str,
    at: usize,
    /// Where what is being read begins.
    token: usize,
    depth: usize,
    parts: Vec<ReadablePart<'a>>,
}

impl<'a> TextReader<'a> {
    fn new(text: &'a str, depth: usize) -> Self {
        Self {
            text,
            at: 0,
            token: 0,
            depth,
            parts: Vec::new(),
        }
    }

    /// Reads to the end of a group, including its brace, or of the text.
    fn group(&mut self) {
        let mut open = Vec::new();
        while let Some(c) = self.rest().chars().next() {
            self.token = self.at;
            match c {
                '}' => {
                    self.at += 1;
                    break;
                }
                '{' => self.braced(),
                '\\' => self.command(&mut open),
                c if SPECIAL.contains(&c) => self.punctuation(c),
                _ => self.plain_run(),
            }
        }
        self.token = self.at;
        for emphasis in open.into_iter().rev() {
            self.mark(PartKind::End(emphasis));
        }
    }

    /// Words up to the next special character.
    fn plain_run(&mut self) {
        let start = self.at;
        let rest = self.rest();
        self.at += rest.find(SPECIAL).unwrap_or(rest.len());
        self.words(start..self.at);
    }

    /// A group that is no argument. One that lists something is a set, which keeps its braces.
    fn braced(&mut self) {
        let inner = self.peek_argument(LONGEST_SET).unwrap_or_default();
        let is_set = inner.trim().len() > 1 && inner.contains(',') && !inner.starts_with('\\');
        self.at += 1;
        if is_set {
            self.push("{");
        }
        self.nested();
        if is_set {
            self.push("}");
        }
    }

    fn nested(&mut self) {
        if self.depth >= MAX_DEPTH {
            return;
        }
        self.depth += 1;
        self.group();
        self.depth -= 1;
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Adds words as written.
    fn words(&mut self, run: Range<usize>) {
        let mut start = run.start;
        let text = self.text.get(run.clone()).unwrap_or_default();
        // Invisible characters could change the direction of the text around them.
        for (at, hidden) in text.match_indices(|c| is_invisible(c) && c != '\n') {
            self.borrow(start..run.start + at);
            start = run.start + at + hidden.len();
        }
        self.borrow(start..run.end);
    }

    fn borrow(&mut self, source: Range<usize>) {
        if let Some(last) = self.parts.last_mut()
            && last.source.end == source.start
            && let Cow::Borrowed(_) = last.text
        {
            last.source.end = source.end;
            last.text = Cow::Borrowed(self.text.get(last.source.clone()).unwrap_or_default());
            return;
        }
        let text = Cow::Borrowed(self.text.get(source.clone()).unwrap_or_default());
        if !text.is_empty() {
            let kind = PartKind::Words;
            self.parts.push(ReadablePart { kind, text, source });
        }
    }

    /// Adds what stands for the source from `token` on.
    fn push(&mut self, text: &str) {
        self.add(PartKind::Words, text.to_owned());
    }

    fn add(&mut self, kind: PartKind<'a>, mut text: String) {
        text.retain(|c| !is_invisible(c) || c == '\n');
        let source = self.token..self.at.max(self.token);
        let text = Cow::Owned(text);
        self.parts.push(ReadablePart { kind, text, source });
    }

    fn mark(&mut self, kind: PartKind<'a>) {
        self.add(kind, String::new());
    }

    /// Takes white space back that belongs to what is dropped.
    fn trim_end(&mut self, ends: &[char]) {
        let Some(last) = self.parts.last_mut().filter(|last| last.kind == PartKind::Words) else {
            return;
        };
        let length = last.text.trim_end_matches(ends).len();
        match &mut last.text {
            Cow::Borrowed(text) => {
                *text = &text[..length];
                last.source.end = last.source.start + length;
            }
            Cow::Owned(text) => text.truncate(length),
        }
    }

    /// Dollars, ties, quotes, dashes and scripts.
    fn punctuation(&mut self, c: char) {
        let (before, rest) = (self.text.get(..self.at).unwrap_or_default(), self.rest());
        let starts = |text: &str| rest.starts_with(text);
        let (length, text) = match c {
            '$' => return self.dollar(),
            '^' | '_' => return self.script(),
            '~' if is_tie(before, &rest[1..]) => (1, " "),
            '`' if starts("``") => (2, "“"),
            '`' => (1, "‘"),
            '\'' if starts("''") => (2, "”"),
            '\'' => (1, "’"),
            '-' if starts("---") => (3, "—"),
            // As in 1--2; two dashes before a word are a command-line option.
            '-' if starts("--") && (!before.ends_with(' ') || starts("-- ")) => (2, "–"),
            '-' if starts("--") => return self.as_written(2),
            _ => return self.as_written(1),
        };
        self.at += length;
        self.push(text);
    }

    fn as_written(&mut self, length: usize) {
        self.at += length;
        self.words(self.at - length..self.at);
    }

    /// A formula, or money.
    fn dollar(&mut self) {
        match maths::formula_at(self.text, self.at) {
            Some(formula) => {
                self.at = formula.source.end;
                self.formula(formula.tex);
            }
            None => self.as_written(maths::dollars(self.rest()).len()),
        }
    }

    /// A superscript or subscript outside of a formula: only braces show that it is one.
    fn script(&mut self) {
        self.at += 1;
        if self.rest().starts_with('{') && self.argument().is_some() {
            return self.formula(&self.text[self.token..self.at]);
        }
        self.words(self.token..self.at);
    }

    fn formula(&mut self, tex: &'a str) {
        self.add(PartKind::Formula(tex), formula_line(tex, self.depth));
    }

    /// Reads an argument in place.
    fn inline_argument(&mut self) {
        if self.rest().starts_with('{') {
            self.at += 1;
            self.nested();
        }
    }

    /// An argument as written.
    fn argument(&mut self) -> Option<&'a str> {
        let argument = self.peek_argument(LONGEST_ARGUMENT)?;
        self.at += argument.len() + 2;
        Some(argument)
    }

    fn peek_argument(&self, longest: usize) -> Option<&'a str> {
        let rest = self.rest().strip_prefix('{')?;
        let mut open = 1_usize;
        for (at, byte) in rest.bytes().enumerate().take(longest) {
            match byte {
                b'{' => open += 1,
                b'}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return rest.get(..at);
            }
        }
        None
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn skip_empty_group(&mut self) {
        if self.rest().starts_with("{}") {
            self.at += 2;
        }
    }
}

/// Whether a tilde stands between words. After a space it means "about", and between numbers "to".
fn is_tie(before: &str, after: &str) -> bool {
    let is_word = |c: char| c.is_alphabetic() || matches!(c, '.' | ',' | ';' | ':' | ')' | '}' | '$');
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '\\' | '$' | '(' | '{');
    before.ends_with(is_word) && after.starts_with(goes_on)
        || before.ends_with(char::is_numeric) && after.starts_with(|c: char| c.is_alphabetic() || c == '\\')
}

/// An argument within another text as people read it; too deep, as it is written.
fn readable_within(text: &str, depth: usize) -> Cow<'_, str> {
    if depth >= MAX_DEPTH || !is_tex(text) {
        return Cow::Borrowed(text);
    }
    let mut reader = TextReader::new(text, depth + 1);
    while reader.at < text.len() {
        reader.group();
    }
    Cow::Owned(reader.parts.into_iter().map(|part| part.text).collect())
}

#[cfg(test)]
mod tests;
