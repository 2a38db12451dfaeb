//! Splits a query into words, phrases, parentheses, operators, papers and restrictions, each with its span.
//!
//! Invisible characters are dropped; curly quotes are quotes.

use unicode_normalization::UnicodeNormalization as _;

use super::Span;
use super::error::{QueryErrorKind, SpannedError};
use super::fields;
use super::token::{Restriction, Token};
use super::words::{self, Sign, Word};
use crate::text;

/// A parenthesis that is not closed yet.
enum Paren {
    /// It groups.
    Group(Span),
    /// It is part of a word, as in O(n log n).
    Letter,
}

/// Splits a text into tokens with balanced parentheses.
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
    for paren in lexer.open {
        if let Paren::Group(span) = paren {
            return Err(QueryErrorKind::OpenParenthesis.at(span));
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
            c if c.is_whitespace() => self.at += 1,
            '(' => self.group(Sign::With, start),
            '-' if self.next_is(1, |c| c == '(') => {
                self.at += 1;
                self.group(Sign::Without, start);
            }
            ')' if !matches!(self.open.last(), Some(Paren::Letter)) => {
                self.at += 1;
                if self.open.pop().is_none() {
                    return Err(QueryErrorKind::StrayParenthesis.at(self.since(start)));
                }
                self.push(Token::Close, start);
            }
            c if is_quote(c) => {
                let phrase = self.quoted()?;
                self.push(Token::Phrase(phrase), start);
            }
            '-' if self.next_is(1, is_quote) => {
                self.at += 1;
                let phrase = self.quoted()?;
                self.push(Token::Restriction(Restriction::WithoutPhrase(phrase)), start);
            }
            _ => self.word()?,
        }
        Ok(())
    }

    fn group(&mut self, sign: Sign, start: usize) {
        self.at += 1;
        self.open.push(Paren::Group(self.since(start)));
        self.push(Token::Open(sign), start);
    }

    /// Reads from an opening quote to the closing one.
    fn quoted(&mut self) -> Result<String, SpannedError> {
        let start = self.at;
        self.at += 1;
        let mut content = String::new();
        while let Some((_, c)) = self.peek(0) {
            self.at += 1;
            if !is_quote(c) {
                content.push(c);
                continue;
            }
            let content = text::one_line(&content);
            if content.is_empty() {
                let example = "\"graph networks\"";
                return Err(QueryErrorKind::EmptyValue("the phrase".to_owned(), example).at(self.since(start)));
            }
            return Ok(content);
        }
        self.at = start + 1;
        Err(QueryErrorKind::OpenQuote.at(self.since(start)))
    }

    fn word(&mut self) -> Result<(), SpannedError> {
        let start = self.at;
        let word = self.letters();
        if self.next_is(0, is_quote)
            && let Some((sign, name)) = words::field_before_quote(&word)
        {
            let value = self.quoted()?;
            let token = fields::read(sign, name, &value).map_err(|kind| kind.at(self.since(start)))?;
            self.push(token, start);
            return Ok(());
        }
        let token = match words::classify(&word) {
            Word::Operator("AND") => Token::And,
            Word::Operator("OR") => Token::Or,
            Word::Operator(_) => Token::Not,
            Word::Field(sign, name, value) => {
                fields::read(sign, name, value).map_err(|kind| kind.at(self.since(start)))?
            }
            Word::Paper(sign, id) => Token::Like(
                sign,
                id.map_err(|error| QueryErrorKind::BadId(error).at(self.since(start)))?,
            ),
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
