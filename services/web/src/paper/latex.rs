//! LaTeX in titles and abstracts, made readable: accents, dashes and quotes become characters, emphasis becomes HTML, formulas
//! a line of text (`formula`), and what only serves typesetting is dropped. Of an unknown command the name and the arguments
//! stay. Everything that is not made here is escaped.

mod commands;
mod formula;
mod symbols;

use std::fmt::Write as _;
use std::ops::Range;

use proto::search::v1::TextSpan;

use super::escape;
use formula::formula_text;

/// Deepest nesting of groups that is read; deeper ones stay as written.
const MAX_DEPTH: usize = 24;
/// Longest formula, in bytes; a lone dollar is money.
const LONGEST_FORMULA: usize = 600;

/// What LaTeX is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatexOutput {
    /// HTML without links, because the text may be inside one.
    Html,
    /// HTML in which addresses are links.
    NamedLink,
    /// Text without markup.
    Plain,
}

/// HTML without links; spans of the source text are highlighted.
pub fn html(text: &str, spans: &[TextSpan]) -> String {
    convert(text, LatexOutput::Html, spans)
}

/// HTML with links.
pub fn html_with_links(text: &str) -> String {
    convert(text, LatexOutput::NamedLink, &[])
}

/// Plain text, for where no markup is possible.
pub fn plain(text: &str) -> String {
    convert(text, LatexOutput::Plain, &[])
}

fn convert(text: &str, output: LatexOutput, spans: &[TextSpan]) -> String {
    let mut reader = LatexReader {
        text,
        at: 0,
        output,
        spans: spans
            .iter()
            .map(|span| span.start as usize..span.end as usize)
            .collect(),
        depth: 0,
        out: String::with_capacity(text.len() + text.len() / 4),
    };
    while reader.at < text.len() {
        reader.group();
    }
    reader.out
}

struct LatexReader<'a> {
    text: &'a str,
    at: usize,
    output: LatexOutput,
    spans: Vec<Range<usize>>,
    depth: usize,
    out: String,
}

impl<'a> LatexReader<'a> {
    /// Reads to the end of a group, including its brace, or of the text.
    fn group(&mut self) {
        let mut closing = Vec::new();
        let mut run = self.at;
        while let Some(c) = self.rest().chars().next() {
            if !matches!(c, '\\' | '{' | '}' | '$' | '~' | '`' | '\'' | '-') {
                self.at += c.len_utf8();
                continue;
            }
            let before = self.at;
            self.plain_run(run..before);
            match c {
                '}' => {
                    self.at += 1;
                    break;
                }
                '{' => {
                    self.at += 1;
                    self.nested();
                }
                '\\' => self.command(&mut closing),
                _ => self.punctuation(c),
            }
            run = self.at;
        }
        if run < self.at && !self.text.get(run..self.at).unwrap_or_default().ends_with('}') {
            self.plain_run(run..self.at);
        }
        for tag in closing.iter().rev() {
            self.tag("</", tag);
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

    fn is_plain(&self) -> bool {
        self.output == LatexOutput::Plain
    }

    fn push(&mut self, text: &str) {
        // Invisible characters could change the direction of the text around them.
        if text.chars().any(|c| domain::text::is_invisible(c) && c != '\n') {
            let visible: String = text.chars().filter(|c| !domain::text::is_invisible(*c)).collect();
            return self.push(&visible);
        }
        if self.is_plain() {
            self.out.push_str(text);
        } else {
            self.out.push_str(&escape(text));
        }
    }

    fn tag(&mut self, opening: &str, name: &str) {
        if !self.is_plain() {
            let name = if opening == "</" {
                name.split(' ').next().unwrap_or(name)
            } else {
                name
            };
            let _ = write!(self.out, "{opening}{name}>"); // writing to a String cannot fail
        }
    }

    /// Text without LaTeX, with its highlights and links.
    fn plain_run(&mut self, run: Range<usize>) {
        if self.output == LatexOutput::NamedLink {
            return self.linked(run);
        }
        let mut at = run.start;
        for index in 0..self.spans.len() {
            let span = &self.spans[index];
            let (start, end) = (span.start.max(at), span.end.min(run.end));
            let (Some(before), Some(word)) = (self.text.get(at..start), self.text.get(start..end)) else {
                continue;
            };
            if word.is_empty() || self.is_plain() {
                continue;
            }
            self.push(before);
            self.tag("<", "mark");
            self.push(word);
            self.tag("</", "mark");
            at = end;
        }
        self.push(self.text.get(at..run.end).unwrap_or_default());
    }

    /// Text in which web addresses are links.
    fn linked(&mut self, run: Range<usize>) {
        let mut text = self.text.get(run).unwrap_or_default();
        while let Some(start) = text.find("https://").or_else(|| text.find("http://")) {
            let (before, rest) = text.split_at(start);
            self.push(before);
            let is_end = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '“' | '”');
            let address = rest.split(is_end).next().unwrap_or_default();
            let address = address.trim_end_matches(['.', ',', ';', ':', ')', ']', '\'']);
            self.link(address, address);
            text = rest.get(address.len().max(1)..).unwrap_or_default();
        }
        self.push(text);
    }

    fn link(&mut self, address: &str, text: &str) {
        let is_web = address
            .strip_prefix("https://")
            .or_else(|| address.strip_prefix("http://"));
        if self.output != LatexOutput::NamedLink || is_web.is_none_or(str::is_empty) {
            return self.push(text);
        }
        let (href, text) = (escape(address), escape(text));
        let _ = write!(self.out, "<a href=\"{href}\" rel=\"nofollow noopener\">{text}</a>"); // writing to a String cannot fail
    }

    /// Dollars, ties, quotes and dashes.
    fn punctuation(&mut self, c: char) {
        let (before, rest) = (self.text.get(..self.at).unwrap_or_default(), self.rest());
        let starts = |text: &str| rest.starts_with(text);
        let (length, text) = match c {
            '$' => return self.dollar(),
            // Before a number it means "about"; between words it is a tie.
            '~' if before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '}'))
                && rest.chars().nth(1).is_some_and(|c| c.is_alphabetic() || c == '\\') =>
            {
                (1, "\u{a0}")
            }
            '`' if starts("``") => (2, "“"),
            '`' => (1, "‘"),
            '\'' if starts("''") => (2, "”"),
            '\'' => (1, "’"),
            '-' if starts("---") => (3, "—"),
            // As in 1--2; two dashes before a word are a command-line option.
            '-' if starts("--") && (!before.ends_with(' ') || starts("-- ")) => (2, "–"),
            '-' if starts("--") => (2, "--"),
            '-' => (1, "-"),
            _ => (1, "~"),
        };
        let plain = if length == 1 { self.at..self.at + 1 } else { 0..0 };
        if text.len() == 1 && !plain.is_empty() {
            self.at += 1;
            return self.plain_run(plain);
        }
        self.at += length;
        self.push(text);
    }

    /// A formula, or money.
    fn dollar(&mut self) {
        let rest = self.rest();
        let sign = if rest.starts_with("$$") { "$$" } else { "$" };
        if let Some(formula) = formula(&rest[sign.len()..], sign) {
            self.at += formula.len() + 2 * sign.len();
            self.formula(formula);
        } else {
            self.at += sign.len();
            self.push(sign);
        }
    }

    fn formula(&mut self, formula: &str) {
        self.out.push_str(&formula_text(formula, self.output));
    }

    fn argument(&mut self) {
        if self.rest().starts_with('{') {
            self.at += 1;
            self.nested();
        }
    }

    /// An argument as written.
    fn raw(&mut self) -> Option<&'a str> {
        let rest = self.rest().strip_prefix('{')?;
        let mut open = 1;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                self.at += at + 2;
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

/// The formula at the start of a text, up to its closing sign.
fn formula<'a>(text: &'a str, sign: &str) -> Option<&'a str> {
    let mut from = 0;
    let end = loop {
        let found = from + text.get(from..)?.find(sign)?;
        if !text[..found].ends_with('\\') {
            break found;
        }
        from = found + 1;
    };
    let formula = &text[..end];
    let after = text[end + sign.len()..].chars().next();
    let is_signed = formula.contains(['\\', '^', '_', '=', '<', '>', '{', '+', '|', '/', '-']);
    // `$5 and $10` is money: a space before the second dollar, and a digit after it.
    let is_money = formula.ends_with(' ') && after.is_some_and(|c| c.is_ascii_digit());
    let is_prose = !is_signed && formula.split_whitespace().count() > 3;
    let is_formula = !formula.trim().is_empty() && end <= LONGEST_FORMULA && !is_money && !is_prose;
    is_formula.then_some(formula)
}

#[cfg(test)]
mod tests;
