//! A paper as a BibTeX entry in UTF-8. Its key is made from the id of the paper, so it never changes.

use std::fmt::Write as _;

use domain::AuthorName;
use domain::readable::{PartKind, parts};
use proto::papers::v1::Paper;

use super::text::one_line;
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

/// Text for LaTeX: words escaped, and formulas, quotes and dashes as they were written.
fn escaped(text: &str) -> String {
    let text = one_line(text);
    let mut escaped = String::with_capacity(text.len() + 16);
    for part in parts(&text) {
        let written = text.get(part.source.clone()).unwrap_or_default();
        match part.kind {
            PartKind::Formula(tex) if is_safe(tex) => formula(tex, written, &mut escaped),
            PartKind::Words if !written.is_empty() && written.bytes().all(is_mark) => escaped.push_str(written),
            _ => words(&part.text, &mut escaped),
        }
    }
    escaped
}

/// Quotes and dashes mean in LaTeX what they were written for.
fn is_mark(byte: u8) -> bool {
    matches!(byte, b'-' | b'`' | b'\'')
}

fn words(text: &str, escaped: &mut String) {
    // Two hyphens that stand for themselves must not meet.
    for (index, piece) in text.split("--").enumerate() {
        if index > 0 {
            escaped.push_str("-{}-");
        }
        piece.chars().for_each(|c| push(escaped, c));
    }
}

/// A formula with its dollars. BibTeX counts braces even when escaped, and a sign that would end the line or the formula is
/// escaped.
fn formula(tex: &str, written: &str, escaped: &mut String) {
    let sign = if written.starts_with("$$") { "$$" } else { "$" };
    let count = |brace| tex.matches(brace).count();
    let tex = if count('{') == count('}') && !tex.contains("\\}") {
        tex.to_owned()
    } else {
        tex.replace("\\{", "\\lbrace ").replace("\\}", "\\rbrace ")
    };
    escaped.push_str(sign);
    let mut before = ' ';
    for c in tex.trim().chars() {
        if matches!(c, '%' | '#') && before != '\\' {
            escaped.push('\\');
        }
        escaped.push(c);
        before = if before == '\\' { ' ' } else { c };
    }
    escaped.push_str(sign);
}

/// Whether a formula is only typeset: no command in it defines, reads or writes anything.
fn is_safe(tex: &str) -> bool {
    const UNSAFE: [&str; 12] = [
        "catcode",
        "csname",
        "def",
        "edef",
        "gdef",
        "immediate",
        "include",
        "input",
        "let",
        "openin",
        "read",
        "write",
    ];
    let name = |rest: &str| rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    !tex.split('\\')
        .skip(1)
        .any(|rest| UNSAFE.contains(&&rest[..name(rest)]))
        && !tex.contains("^^")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped_and_formulas_stay() {
        for (text, expected) in [
            (
                "50% of A_b & #1, {0,1} ~ ^",
                "50\\% of A\\_b \\& \\#1, \\textbraceleft{}0,1\\textbraceright{} \\textasciitilde{} \\textasciicircum{}",
            ),
            ("Costs of \\$5, or of $5 to $10", "Costs of \\$5, or of \\$5 to \\$10"),
            (
                "G\\\"odel and H\\\"older's Łojasiewicz",
                "Gödel and Hölder's Łojasiewicz",
            ),
            (
                "Let $\\mathbb {F}_q$ and $$x^2$$ be",
                "Let $\\mathbb {F}_q$ and $$x^2$$ be",
            ),
            ("``two'' 1--2 --- run --help", "``two'' 1--2 --- run -{}-help"),
            ("the $\\{x$ of $5%$ and \\(y\\)", "the $\\lbrace x$ of $5\\%$ and $y$"),
            ("{BERT} and \\emph{more} by \\ours", "BERT and more by ours"),
            ("$\\input{x}$", "input x"),
        ] {
            assert_eq!(escaped(text), expected, "{text}");
        }
    }
}
