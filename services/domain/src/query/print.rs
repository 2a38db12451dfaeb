//! Writes a query in a canonical spelling that parses to the same query.

use std::fmt;

use super::{ParsedQuery, QueryExpression, dates, words};

/// The canonical spelling: the expression first, then the restrictions. Parsing it gives an equal query.
impl fmt::Display for ParsedQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = Vec::new();
        if let Some(expression) = &self.expression {
            let mut phrases = self.restrictions.phrases.as_slice();
            pieces.push(written(expression, &mut phrases));
        }
        self.push_restrictions(&mut pieces);
        f.write_str(&pieces.join(" "))
    }
}

impl ParsedQuery {
    fn push_restrictions(&self, pieces: &mut Vec<String>) {
        let all = &self.restrictions;
        pieces.extend(all.without_words.iter().map(|word| format!("-{word}")));
        pieces.extend(all.without_phrases.iter().map(|phrase| format!("-\"{phrase}\"")));
        for (field, values) in [
            ("cat", &all.categories),
            ("-cat", &all.without_categories),
            ("author", &all.authors),
            ("-author", &all.without_authors),
            ("source", &all.sources),
            ("-source", &all.without_sources),
            ("lang", &all.languages),
        ] {
            pieces.extend(values.iter().map(|value| format!("{field}:{}", quoted(value))));
        }
        match all.has_code {
            Some(true) => pieces.push("has:code".to_owned()),
            Some(false) => pieces.push("-has:code".to_owned()),
            None => {}
        }
        if let Some((field, value)) = dates::written(all.published_after, all.published_before) {
            pieces.push(format!("{field}:{value}"));
        }
    }
}

/// Writes the expression, with quotes around the phrases that restrict.
fn written(expression: &QueryExpression, phrases: &mut &[String]) -> String {
    match expression {
        QueryExpression::Words(run) => with_quotes(run, phrases),
        QueryExpression::Like(id) => format!("like:{}", quoted(id.as_str())),
        QueryExpression::All(operands) => {
            let mut text = String::new();
            for operand in operands {
                let joint = if matches!(operand, QueryExpression::Not(_)) {
                    " "
                } else {
                    " AND "
                };
                if !text.is_empty() {
                    text.push_str(joint);
                }
                match operand {
                    QueryExpression::Any(_) => text.extend(["(", &written(operand, &mut [].as_slice()), ")"]),
                    _ => text.push_str(&written(operand, phrases)),
                }
            }
            text
        }
        QueryExpression::Any(operands) => {
            let operands: Vec<String> = operands.iter().map(|operand| written(operand, phrases)).collect();
            operands.join(" OR ")
        }
        QueryExpression::Not(operand) => match operand.as_ref() {
            QueryExpression::All(_) | QueryExpression::Any(_) => {
                format!("NOT ({})", written(operand, &mut [].as_slice()))
            }
            _ => format!("NOT {}", written(operand, &mut [].as_slice())),
        },
    }
}

/// Quotes the phrases in a run of words, each at its first position after the previous one.
fn with_quotes(run: &str, phrases: &mut &[String]) -> String {
    let words: Vec<&str> = run.split(' ').collect();
    let mut pieces: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some((phrase, rest)) = phrases.split_first() {
        let wanted = words::plain_words(phrase);
        let found = words[at..]
            .windows(wanted.len().max(1))
            .position(|window| window == wanted.as_slice());
        let Some(found) = found else { break };
        pieces.extend(words[at..at + found].iter().map(|word| (*word).to_owned()));
        pieces.push(format!("\"{phrase}\""));
        at += found + wanted.len();
        *phrases = rest;
    }
    pieces.extend(words[at..].iter().map(|word| (*word).to_owned()));
    pieces.join(" ")
}

/// Quotes around a value that would not be read as one word.
fn quoted(value: &str) -> String {
    if value.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')')) {
        format!("\"{value}\"")
    } else {
        value.to_owned()
    }
}
