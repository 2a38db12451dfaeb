//! Lists of names in one text.

use super::AuthorName;
use super::parsing::{self, Spelling};
use super::vocabulary::{is_cjk, is_group, is_group_word, is_initial, is_small, is_suffix, stands_for_others};
use crate::text;

/// Names that are given one by one. What stands for further authors (`et al.`, `others`) is left out.
pub fn each<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Vec<AuthorName> {
    let names = names.into_iter().filter(|name| !is_no_name(name.as_ref()));
    let names = names.map(|name| AuthorName::parse(name.as_ref()));
    names.filter(|name| !name.is_empty()).collect()
}

/// A list in one text: separated by semicolons, by `and` in any case, or by commas, where these do not stand between family
/// name and given names. `Lantern Collaboration: A. Author, B. Author` is a group and its members. Nothing in braces or
/// parentheses separates.
pub fn list(text: &str) -> Vec<AuthorName> {
    let text = text::one_line(text);
    let mut rest = text.as_str();
    if is_company(rest) {
        return each([rest]);
    }
    let mut names = Vec::new();
    if let Some(group) = parsing::split(rest, |c| c == ':').next()
        && group.len() < rest.len()
        && is_group(group)
    {
        names.push(group.trim());
        rest = &rest[group.len() + 1..];
    }
    if parsing::split(rest, |c| c == ';').nth(1).is_some() {
        let parts = parsing::split(rest, |c| c == ';').map(|part| without_and(part.trim()));
        names.extend(parts);
        return each(names);
    }
    let mut names = each(names);
    for part in between(rest, is_and) {
        names.extend(by_commas(part));
    }
    names
}

/// A list of which the source says that every comma separates.
pub fn between_commas(text: &str) -> Vec<AuthorName> {
    each(comma_parts(&text::one_line(text)))
}

fn is_no_name(text: &str) -> bool {
    text.trim().is_empty() || stands_for_others(text)
}

/// The names of a BibTeX field: separated by `and` in any case and with any white space around it, outside of braces.
/// `spell` makes letters of what is still written in TeX.
pub fn bibtex_list(field: &str, spell: Spelling<'_>) -> Vec<AuthorName> {
    let line = text::one_line(field);
    let parts = between(&line, |word| word.eq_ignore_ascii_case("and")).into_iter();
    let names = parts.map(|part| part.trim_matches([' ', ',']));
    let names = names
        .filter(|name| !is_no_name(name))
        .map(|name| parsing::name(name, spell));
    names.filter(|name| !name.is_empty()).collect()
}

/// The parts of a line between words that separate, outside of braces and parentheses.
fn between(line: &str, separates: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    for word in parsing::split(line, |c| c == ' ') {
        if separates(word) {
            parts.push(line[start..at].trim());
            start = at + word.len();
        }
        at += word.len() + 1;
    }
    parts.push(line[start..].trim());
    parts
}

/// What follows the `and` in front of the last name of a list.
fn without_and(part: &str) -> &str {
    match part.split_once(' ') {
        Some((word, name)) if is_and(word) => name,
        _ => part,
    }
}

fn is_and(word: &str) -> bool {
    word.eq_ignore_ascii_case("and") || word == "&"
}

/// `Ada Lovelace, Alan Turing` is two names; `Lovelace, Ada` and `Lovelace, A. K.` are one, and four such parts are two.
fn by_commas(text: &str) -> Vec<AuthorName> {
    let parts = comma_parts(text);
    match parts.len() {
        2.. if are_names(&parts) => each(parts),
        // Pairs of family and given names.
        4.. if parts.len().is_multiple_of(2) => each(parts.chunks(2).map(|pair| pair.join(", "))),
        3.. => each(parts),
        _ => each([text]),
    }
}

/// Whether each part is a whole name: of several words, and with initials at the end of all or of none.
fn are_names(parts: &[&str]) -> bool {
    if parts.iter().all(|part| is_cjk(part)) {
        // A single letter is a family name, and the given name follows.
        return parts.iter().all(|part| part.chars().count() > 1);
    }
    let ends_in_initial = |part: &&str| part.rsplit(' ').next().is_some_and(is_initial);
    let with_initials = parts.iter().filter(|part| ends_in_initial(part)).count();
    let is_name = |part: &&str| part.contains(' ') && !is_small(part);
    parts.iter().all(is_name) && (with_initials == 0 || with_initials == parts.len())
}

/// The parts between commas; a suffix belongs to the part before it.
fn comma_parts(text: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    let mut at = 0;
    let mut start = 0;
    for piece in parsing::split(text, |c| matches!(c, ',' | '，' | '、')) {
        let is_continued = is_suffix(piece.trim()) && !parts.is_empty();
        if is_continued {
            parts.pop();
        } else {
            start = at;
        }
        at += piece.len();
        let part = text[start..at].trim();
        if !is_no_name(part) {
            parts.push(part);
        }
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    parts
}

/// Whether a text is one name with a comma in it, such as `Barnard and Sons, Inc.`.
fn is_company(text: &str) -> bool {
    let mut parts = text.split(',').map(str::trim);
    matches!((parts.next(), parts.next(), parts.next()), (Some(_), Some(form), None) if is_group_word(form) && !form.contains(' '))
}
