//! Splits a query into words, phrases, parentheses, operators, papers and restrictions, each with its span.
//!
//! Invisible characters are dropped; curly quotes are quotes. A quote, a parenthesis or a dash that cannot be one of these is
//! text: `12"`, `:)`, `a -- b`.

use unicode_normalization::UnicodeNormalization as _;

use super::error::SpannedError;
use super::fields;
use super::token::{Restriction, Token};
use super::words::{self, Sign, Word};
use super::{MAX_DEPTH, Span};
use crate::text;

/// A parenthesis that is not closed yet.
#[derive(PartialEq)]
enum Paren {
    /// It groups; its token is at this place.
    Group(usize),
    /// It is text, as in O(n log n).
    Letter,
}

/// Splits a text into tokens with balanced parentheses, none of them around nothing.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, SpannedError> {
    let mut lexer = Lexer {
        chars: text
            .char_indices()
            .filter(|(_, c)| c.is_whitespace() || !text::is_invisible(*c))
            .collect(),
        at: 0,
        open: Vec::new(),
        tokens: Vec::new(),
    };
    while let Some((_, c)) = lexer.peek(0) {
        lexer.piece(c)?;
    }
    for paren in lexer.open.iter().rev() {
        if let Paren::Group(place) = paren {
            lexer.tokens.remove(*place);
        }
    }
    Ok(lexer.tokens)
}

struct Lexer {
    chars: Vec<(usize, char)>,
    at: usize,
    open: Vec<Paren>,
    tokens: Vec<(Token, Span)>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<(usize, char)> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next_is(&self, ahead: usize, wanted: impl Fn(char) -> bool) -> bool {
        self.peek(ahead).is_some_and(|(_, c)| wanted(c))
    }

    /// The bytes from a character to the last one that was read.
    fn since(&self, start: usize) -> Span {
        let byte = |at: usize| self.chars.get(at).map_or(0, |(byte, _)| *byte);
        let (last, c) = self.chars[self.at - 1];
        byte(start)..last + c.len_utf8()
    }

    fn push(&mut self, token: Token, start: usize) {
        let span = self.since(start);
        self.tokens.push((token, span));
    }

    fn piece(&mut self, c: char) -> Result<(), SpannedError> {
        let start = self.at;
        match c {
            '(' => self.group(Sign::With, start),
            '-' if self.begins_word() && self.next_is(1, |c| c == '(') => {
                self.at += 1;
                self.group(Sign::Without, start);
            }
            ')' if !matches!(self.open.last(), Some(Paren::Letter)) => self.close(start),
            c if is_quote(c) => {
                if let Some(phrase) = self.quoted()
                    && !words::plain_words(&phrase).is_empty()
                {
                    self.push(Token::Phrase(phrase), start);
                }
            }
            '-' if self.begins_word() && self.next_is(1, is_quote) => {
                self.at += 1;
                if let Some(phrase) = self.quoted()
                    && !text::fold(&phrase).is_empty()
                {
                    self.push(Token::Restriction(Restriction::WithoutPhrase(phrase)), start);
                }
            }
            c if c.is_whitespace() || c == '-' && !self.begins_word() => self.at += 1,
            _ => self.word()?,
        }
        Ok(())
    }

    /// Whether a dash here would be the first character of a word.
    fn begins_word(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|before| self.chars.get(before));
        before.is_none_or(|(_, c)| c.is_whitespace() || *c == '(')
    }

    fn group(&mut self, sign: Sign, start: usize) {
        self.at += 1;
        let depth = self.open.iter().filter(|paren| **paren != Paren::Letter).count();
        if depth == MAX_DEPTH {
            self.open.push(Paren::Letter);
            return;
        }
        self.open.push(Paren::Group(self.tokens.len()));
        self.push(Token::Open(sign), start);
    }

    /// Closes a group; one that holds nothing is dropped.
    fn close(&mut self, start: usize) {
        self.at += 1;
        match self.open.pop() {
            Some(Paren::Group(place)) if place + 1 == self.tokens.len() => {
                self.tokens.pop();
            }
            Some(_) => self.push(Token::Close, start),
            None => {}
        }
    }

    /// Reads from an opening quote to the closing one. Without a partner, or behind a letter or digit, it is text.
    fn quoted(&mut self) -> Option<String> {
        let before = self.at.checked_sub(1).and_then(|before| self.chars.get(before));
        let opens = before.is_none_or(|(_, c)| !c.is_alphanumeric());
        self.at += 1;
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|(_, c)| is_quote(*c)).filter(|_| opens)?;
        let content: String = rest.iter().take(length).map(|(_, c)| *c).collect();
        self.at += length + 1;
        Some(text::one_line(&content))
    }

    fn word(&mut self) -> Result<(), SpannedError> {
        let start = self.at;
        let word = self.letters();
        if self.next_is(0, is_quote)
            && let Some((sign, field)) = words::field_before_quote(&word)
            && let Some(value) = self.quoted()
        {
            let token = fields::read(sign, field, &value).map_err(|kind| kind.at(self.since(start)))?;
            self.push(token, start);
            return Ok(());
        }
        let token = match words::classify(&word) {
            Word::Operator("AND") => Token::And,
            Word::Operator("OR") => Token::Or,
            Word::Operator(_) => Token::Not,
            Word::Field(sign, field, value) => {
                fields::read(sign, field, value).map_err(|kind| kind.at(self.since(start)))?
            }
            Word::Without(word) => match words::plain_words(word).as_slice() {
                [] => return Ok(()),
                [word] => Token::Restriction(Restriction::WithoutWord(word.clone())),
                words => Token::Restriction(Restriction::WithoutPhrase(words.join(" "))),
            },
            Word::Nothing | Word::Plain(_) => match words::plain_words(&word) {
                words if words.is_empty() => return Ok(()),
                words => Token::Words(words),
            },
        };
        self.push(token, start);
        Ok(())
    }

    /// Reads to the end of a word: white space, a quote, or the parenthesis that ends its group.
    fn letters(&mut self) -> String {
        let mut word = String::new();
        while let Some((_, c)) = self.peek(0) {
            match c {
                c if c.is_whitespace() || is_quote(c) => break,
                '(' if matches!(word.as_str(), "AND" | "OR" | "NOT") => break,
                '(' => self.open.push(Paren::Letter),
                ')' if !matches!(self.open.last(), Some(Paren::Letter)) => break,
                ')' => {
                    self.open.pop();
                }
                _ => {}
            }
            word.push(c);
            self.at += 1;
        }
        word.nfc().collect()
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟')
}
