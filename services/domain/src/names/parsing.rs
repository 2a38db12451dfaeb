//! The rule by which the parts of one name are found in text.
//!
//! Braces group, as in BibTeX: what is in them is not taken apart.

use super::AuthorName;
use super::vocabulary::{
    is_cjk, is_conjunction, is_group, is_group_word, is_initial, is_particle, is_small, is_suffix,
};
use crate::text;

/// Most notes and addresses that are dropped behind a name.
const MAX_EXTRAS: usize = 8;

/// How the source spells letters, applied to each part once its place is known.
pub type Spelling<'a> = &'a dyn Fn(&str) -> String;

/// Finds the parts of a name, beside which notes and addresses may be written.
pub fn name_with_notes(raw: &str) -> AuthorName {
    name(without_extras(&text::one_line(raw)), &|part| part.to_owned())
}

/// Finds the parts of a name on one line.
pub fn name(bare: &str, spell: Spelling<'_>) -> AuthorName {
    if let Some(inner) = braced(bare) {
        return AuthorName::literal(&spell(inner));
    }
    let parts: Vec<&str> = split(bare, |c| c == ',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if let [group, name] = parts.as_slice()
        && is_group_word(group)
        && !group.contains(' ')
    {
        // `Collaboration, The Lantern`, where somebody took a group for a person.
        return AuthorName::literal(&format!("{} {}", spell(name), spell(group)));
    }
    if is_group(bare) || is_cjk(bare) {
        return AuthorName::literal(&spell(bare));
    }
    match parts.as_slice() {
        [natural] => in_natural_order(natural, "", spell),
        [natural, suffix] if is_suffix(suffix) => in_natural_order(natural, suffix, spell),
        [family, given] => inverted(given, family, "", spell),
        [family, suffix, given] if is_suffix(suffix) => inverted(given, family, suffix, spell),
        [family, given, suffix] if is_suffix(suffix) => inverted(given, family, suffix, spell),
        _ => AuthorName::literal(&spell(bare)),
    }
}

/// Splits a text where a character is outside of braces and parentheses, as far as they are closed.
pub fn split(text: &str, mut is_separator: impl FnMut(char) -> bool) -> impl Iterator<Item = &str> {
    let count = |wanted: char| text.matches(wanted).count();
    let (by_braces, by_parentheses) = (count('{') == count('}'), count('(') == count(')'));
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '{' if by_braces => depth += 1,
            '(' if by_parentheses => depth += 1,
            '}' if by_braces => depth = depth.saturating_sub(1),
            ')' if by_parentheses => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && is_separator(c)
    })
}

/// What is between braces that hold all of a text.
pub fn braced(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut depth = 0_i32;
    let is_whole = inner.chars().all(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth >= 0
    });
    (is_whole && depth == 0).then_some(inner.trim())
}

/// The name alone, without what is written beside it. A text that would be nothing then stays as it is.
fn without_extras(line: &str) -> &str {
    let is_edge = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':');
    let mut bare = line.trim_matches(is_edge);
    // An address and then the name in parentheses, as in RSS.
    if let Some((address, name)) = bare.split_once('(')
        && is_address(address.trim())
        && let Some(name) = name.strip_suffix(')')
    {
        bare = name.trim_matches(is_edge);
    }
    for _ in 0..MAX_EXTRAS {
        let shorter = without_last_extra(bare).trim_matches(is_edge);
        if shorter.is_empty() {
            break;
        }
        bare = shorter;
    }
    bare
}

/// Without an address, a note in parentheses or `et al.` at its end.
fn without_last_extra(bare: &str) -> &str {
    if let Some(before) = bare.strip_suffix([')', '）'])
        && let Some(open) = before.rfind(['(', '（'])
    {
        return &bare[..opening(before).unwrap_or(open)];
    }
    if let Some((before, last)) = bare.rsplit_once(' ') {
        if is_address(last) {
            return before;
        }
        for words in [" et al", " and others"] {
            let cut = before.len() + 1 + last.trim_end_matches('.').len();
            let (start, end) = (cut.saturating_sub(words.len()), cut);
            if bare
                .get(start..end)
                .is_some_and(|found| found.eq_ignore_ascii_case(words))
            {
                return &bare[..start];
            }
        }
    }
    bare
}

/// Where the parenthesis opens that is still open at the end of a text.
fn opening(before: &str) -> Option<usize> {
    let mut open = Vec::new();
    for (at, c) in before.char_indices() {
        match c {
            '(' | '（' => open.push(at),
            ')' | '）' => drop(open.pop()),
            _ => {}
        }
    }
    open.last().copied()
}

fn is_address(word: &str) -> bool {
    let bare = word.trim_matches(['<', '>', '[', ']', ',']);
    let domain = bare.split_once('@').map_or("", |(_, domain)| domain);
    domain.contains('.') && !bare.contains(char::is_whitespace)
}

/// `First von Last`, with a suffix from behind a comma or as the last word.
fn in_natural_order(natural: &str, suffix: &str, spell: Spelling<'_>) -> AuthorName {
    let mut words = words(natural);
    let mut suffix = suffix;
    if let [_, _, .., last] = words.as_slice()
        && suffix.is_empty()
        && is_suffix(last)
    {
        suffix = last;
        words.pop();
    }
    let ends_in_initial = words.last().is_some_and(|last| is_initial(last));
    if words.len() < 2 && suffix.is_empty() || ends_in_initial {
        return AuthorName::literal(&spell(natural));
    }
    let at = family_start(&words);
    person(&words[..at], &words[at..], suffix, spell)
}

/// `von Last, First`; particles that stand behind the given names belong to the family name, too.
fn inverted(given: &str, family: &str, suffix: &str, spell: Spelling<'_>) -> AuthorName {
    let (given, family) = (words(given), words(family));
    let particles = given.iter().rev().take_while(|word| is_small(word)).count();
    // A given name in lower case is no particle.
    let particles = if particles < given.len() { particles } else { 0 };
    let (given, particles) = given.split_at(given.len() - particles);
    person(given, &[particles, &family].concat(), suffix, spell)
}

fn person(given: &[&str], family: &[&str], suffix: &str, spell: Spelling<'_>) -> AuthorName {
    let printed = |words: &[&str]| {
        let words = words.iter().map(|word| spell(braced(word).unwrap_or(word)));
        words.collect::<Vec<_>>().join(" ")
    };
    AuthorName::new(&printed(given), &printed(family), &printed(&[suffix]))
}

/// The words of a part; what is in braces is one.
fn words(part: &str) -> Vec<&str> {
    split(part, |c| c == ' ' || c == '~')
        .filter(|word| !word.is_empty())
        .collect()
}

/// Where the family name begins: at its particles, else at the last word.
fn family_start(words: &[&str]) -> usize {
    let last = words.len().saturating_sub(1);
    // A name in small letters throughout says nothing by them.
    let speaks = !words.first().is_some_and(|word| is_small(word));
    let first_lower = (1..last).find(|at| speaks && is_small(words[*at]));
    let at = match first_lower {
        Some(at) if is_conjunction(words[at]) && at > 1 => at - 1,
        Some(at) => at,
        None => last,
    };
    let capitals = (1..at).rev().take_while(|at| speaks && is_particle(words[*at])).count();
    at - capitals
}
