//! A paper as a BibTeX entry in UTF-8. Its key is made from the id of the paper, so it never changes.

use std::fmt::Write as _;

use domain::AuthorName;
use proto::papers::v1::Paper;

use super::text::{TextPiece, one_line, pieces};
use super::{published_day, without_scheme};
use crate::paper::url_of;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// The entry.
pub fn render(paper: &Paper, page: &str) -> String {
    let mut entry = format!("@misc{{{},\n", key(&paper.id));
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(entry, "  {name} = {{{value}}},");
        }
    };
    // Inner braces keep the capitals of the title.
    field("title", format!("{{{}}}", escaped(&paper.title)));
    let authors: Vec<String> = paper.authors.iter().map(|author| person(&author.into())).collect();
    field("author", authors.join(" and "));
    let day = published_day(paper);
    field("year", day.map(|day| day.year().to_string()).unwrap_or_default());
    if let Some(eprint) = without_scheme("arxiv", &paper.id) {
        field("eprint", escaped(eprint));
        field("archiveprefix", "arXiv".to_owned());
        field(
            "primaryclass",
            paper.categories.first().map(|one| escaped(one)).unwrap_or_default(),
        );
    }
    field(
        "doi",
        without_scheme("doi", &paper.id).map(verbatim).unwrap_or_default(),
    );
    field("url", verbatim(&url_of(paper).unwrap_or_else(|| page.to_owned())));
    field("abstract", escaped(&paper.r#abstract));
    if let Some(day) = day {
        // A month is a macro, without braces.
        let _ = writeln!(
            entry,
            "  month = {},",
            MONTHS[usize::from(day.month().unsigned_abs()) - 1]
        );
    }
    entry.push_str("}\n");
    entry
}

/// What BibTeX and biber both accept in a key stays; anything else becomes an underscore.
fn key(id: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '/' | '-' | '+') {
            c
        } else {
            '_'
        }
    };
    id.chars().map(plain).collect()
}

/// A name as `Family, Suffix, Given`. What BibTeX would take apart is in braces.
fn person(name: &AuthorName) -> String {
    let part = |part: &str| {
        let splits = |word: &str| word.eq_ignore_ascii_case("and");
        if part.contains(',') || part.split_whitespace().any(splits) {
            format!("{{{}}}", escaped(part))
        } else {
            escaped(part)
        }
    };
    match name.family() {
        Some(family) => {
            let parts = [family, name.suffix(), name.given()]
                .into_iter()
                .filter(|part| !part.is_empty());
            parts.map(part).collect::<Vec<_>>().join(", ")
        }
        None if name.as_str().contains(' ') => format!("{{{}}}", escaped(name.as_str())),
        None => part(name.as_str()),
    }
}

/// Text escaped for LaTeX; formulas stay formulas.
fn escaped(text: &str) -> String {
    let text = one_line(text);
    let mut escaped = String::with_capacity(text.len() + 16);
    for piece in pieces(&text) {
        match piece {
            TextPiece::Formula(formula) => escaped.push_str(formula),
            TextPiece::Words(words) => words.chars().for_each(|c| push(&mut escaped, c)),
        }
    }
    escaped
}

fn push(escaped: &mut String, c: char) {
    match c {
        // BibTeX counts braces even when escaped, so only commands keep the entry balanced.
        '{' => escaped.push_str("\\textbraceleft{}"),
        '}' => escaped.push_str("\\textbraceright{}"),
        '\\' => escaped.push_str("\\textbackslash{}"),
        '~' => escaped.push_str("\\textasciitilde{}"),
        '^' => escaped.push_str("\\textasciicircum{}"),
        '$' | '&' | '%' | '#' | '_' => {
            escaped.push('\\');
            escaped.push(c);
        }
        c => escaped.push(c),
    }
}

/// An address or DOI, typeset as is; what would break the entry is percent-encoded.
fn verbatim(text: &str) -> String {
    let mut verbatim = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '{' => verbatim.push_str("%7B"),
            '}' => verbatim.push_str("%7D"),
            '\\' => verbatim.push_str("%5C"),
            ' ' => verbatim.push_str("%20"),
            c => verbatim.push(c),
        }
    }
    verbatim
}
