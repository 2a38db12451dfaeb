//! The keys by which authors are found and excluded: the same for searches, for exclusions and for every store.
//!
//! A name is indexed under its [`keys`], and a reader's text is looked up under its [`search_keys`]; a name fits if they share
//! one.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::AuthorName;
use super::vocabulary::is_cjk;

/// Names with more words, or longer, have no keys but their words and the whole.
const MOST_WORDS: usize = 8;
const MOST_BYTES: usize = 120;

/// Comparison form of a name: lower case, compatibility forms, letters of Latin alphabets as their plainest relatives
/// (`ł` as `l`, `ß` as `ss`), without accents, single spaces for punctuation. Never shown.
///
/// [`crate::text::fold`] is another: ids are made of it, so it never changes.
pub fn fold(text: &str) -> String {
    words_of(text, |_| ' ')
}

/// The keys under which a name is found. `Ada K. Lovelace` has `ada`, `lovelace`, `ada lovelace`, `a lovelace`,
/// `a k lovelace` and the whole name; `Al-Rfou` has `al`, `rfou`, `al rfou` and `alrfou`. Sorted, each once.
pub fn keys(name: &AuthorName) -> Vec<String> {
    let mut found = Vec::new();
    let apart = fold(name.as_str());
    push_keys(name, fold, &mut found);
    // Hyphens and apostrophes are left out as often as they are written.
    if joined(name.as_str()) != apart {
        push_keys(name, joined, &mut found);
    }
    found.retain(|key| !key.is_empty());
    found.sort_unstable();
    found.dedup();
    found
}

/// The keys that a reader's text stands for, in any order of the name: `Zhang, Wei` finds `Wei Zhang`. None for a text without
/// letters and digits.
pub fn search_keys(text: &str) -> Vec<String> {
    let name = AuthorName::parse(text);
    let mut found = Vec::new();
    for spelling in [name.as_str(), text] {
        // Catalogues of earlier versions have letters such as ł as they are.
        for key in [fold(spelling), joined(spelling), crate::text::fold(spelling)] {
            if !key.is_empty() && !found.contains(&key) {
                found.push(key);
            }
        }
    }
    found
}

/// The keys of all authors of a paper, sorted, each once.
pub fn keys_of_all(names: &[AuthorName]) -> Vec<String> {
    let mut found: Vec<String> = names.iter().flat_map(keys).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn push_keys(name: &AuthorName, fold: fn(&str) -> String, found: &mut Vec<String>) {
    let whole = fold(name.as_str());
    let person = fold(name.without_suffix());
    let words: Vec<&str> = person.split(' ').collect();
    let is_initial = |word: &str| word.len() == 1 && words.len() > 1;
    let said = words.iter().filter(|word| !is_initial(word));
    found.extend(said.map(|word| (*word).to_owned()));
    if words.len() <= MOST_WORDS && person.len() <= MOST_BYTES {
        match name.family() {
            Some(_) => push_ends(&words, found),
            None => push_runs(&words, found),
        }
        // Given names alone, and words of several parts.
        let parts = [name.given()].into_iter().chain(name.as_str().split(' '));
        let parts = parts.filter(|part| !part.contains('.')).map(fold);
        found.extend(parts.filter(|part| part.contains(' ')));
    }
    if is_cjk(&whole) {
        found.push(whole.replace(' ', ""));
    }
    found.push(person);
    found.push(whole);
}

/// Every end of a name, because a family name may have several words; and each with the first name, the first initial, or
/// all initials in front.
fn push_ends(words: &[&str], found: &mut Vec<String>) {
    let initial = |word: &str| word.chars().next().unwrap_or_default();
    for start in 1..words.len() {
        if words[start].len() == 1 {
            continue;
        }
        let (before, end) = (&words[..start], words[start..].join(" "));
        let initials: Vec<String> = before.iter().map(|word| initial(word).to_string()).collect();
        found.push(format!("{} {end}", initials.join(" ")));
        if before.len() > 1 {
            found.push(format!("{} {end}", initials[0]));
            found.push(format!("{} {end}", before[0]));
        }
        found.push(end);
    }
}

/// Every run of words, because nothing says what a group is called in short.
fn push_runs(words: &[&str], found: &mut Vec<String>) {
    let starts = 0..words.len();
    found.extend(starts.flat_map(|start| (start + 2..=words.len()).map(move |end| words[start..end].join(" "))));
}

/// Like [`fold`], but what is written as one word stays one: `O'Neil` as `oneil`.
fn joined(text: &str) -> String {
    words_of(text, |c| if c.is_whitespace() { ' ' } else { '\0' })
}

/// Folds letters; `other` says what becomes of the rest, where NUL is nothing.
fn words_of(text: &str, other: impl Fn(char) -> char) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut push = |c: char| {
        let c = if c.is_alphanumeric() && !is_apostrophe(c) {
            c
        } else {
            other(c)
        };
        let follows_space = folded.is_empty() || folded.ends_with(' ');
        if c != '\0' && !(c == ' ' && follows_space) {
            folded.push(c);
        }
    };
    if text.is_ascii() {
        text.chars().for_each(|c| push(c.to_ascii_lowercase()));
    } else {
        let plain = text
            .nfkd()
            .filter(|c| !is_combining_mark(*c))
            .flat_map(char::to_lowercase);
        for c in plain.filter(|c| !is_combining_mark(*c)) {
            match relative(c) {
                Some(letters) => letters.chars().for_each(&mut push),
                None => push(c),
            }
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// Marks that Unicode counts as letters, as in `Oʼahu`.
fn is_apostrophe(c: char) -> bool {
    matches!(c, '\u{2b9}'..='\u{2bf}' | '\u{2c8}')
}

/// The plain letters for a lower-case letter that is no letter with a mark.
fn relative(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' | 'ɔ' => "o",
        'ł' | 'ƚ' => "l",
        'đ' | 'ð' | 'ɖ' => "d",
        'þ' => "th",
        'ħ' => "h",
        'ı' | 'ɨ' => "i",
        'ȷ' => "j",
        'ŋ' => "n",
        'ĸ' => "k",
        'ŧ' => "t",
        'ƀ' => "b",
        'ǥ' => "g",
        'ƶ' => "z",
        'ə' | 'ǝ' | 'ɛ' => "e",
        'ƒ' => "f",
        _ => return None,
    })
}
