//! The fields of one entry: values in braces or quotes, numbers and macros, joined by `#`.

use std::collections::HashMap;

/// Macros that are kept.
const MAX_MACROS: usize = 10_000;
/// The most bytes of the value of a macro.
const MAX_MACRO_BYTES: usize = 16 << 10;

/// The fields of an entry in TeX, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BibtexFields {
    /// Such as `article`, in lower case.
    pub kind: String,
    /// What other entries call it.
    pub key: String,
    fields: Vec<(String, String)>,
}

impl BibtexFields {
    /// The first value of a field, as BibTeX takes it; `None` for an empty one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self
            .fields
            .iter()
            .filter(move |(field, value)| field == name && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }

    /// The first value of the first of these fields.
    pub fn first_of(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Adds the fields of another entry that this one lacks, as far as `passes` lets them through.
    pub fn inherit(&mut self, other: &Self, passes: impl Fn(&str) -> bool) {
        for (name, value) in &other.fields {
            if passes(name) && self.get(name).is_none() {
                self.fields.push((name.clone(), value.clone()));
            }
        }
    }

    /// The same entry with some of its fields.
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let fields = self.fields.iter().filter(|(name, _)| wanted(name)).cloned().collect();
        Self {
            kind: self.kind.clone(),
            key: self.key.clone(),
            fields,
        }
    }

    /// About how many bytes it holds.
    pub fn size(&self) -> usize {
        self.fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 48)
            .sum()
    }
}

/// What `@string` defined.
#[derive(Debug, Default)]
pub struct BibtexMacros(HashMap<String, String>);

impl BibtexMacros {
    /// Defines the macros of a `@string`.
    pub fn define(&mut self, fields: BibtexFields) {
        for (name, mut value) in fields.fields {
            if self.0.len() < MAX_MACROS {
                value.truncate(value.floor_char_boundary(MAX_MACRO_BYTES));
                self.0.insert(name, value);
            }
        }
    }

    /// What a bare word stands for. Months and unknown macros stand for themselves.
    fn value<'a>(&'a self, word: &'a str) -> &'a str {
        self.0.get(&word.to_lowercase()).map_or(word, String::as_str)
    }
}

/// Reads an entry from its `@` to its last brace.
pub fn read(text: &str, macros: &BibtexMacros) -> BibtexFields {
    let (kind, body) = text.split_once(['{', '(']).unwrap_or((text, ""));
    let kind = kind.trim_start_matches('@').trim().to_ascii_lowercase();
    let body = body.strip_suffix(['}', ')']).unwrap_or(body);
    let (key, mut rest) = if kind == "string" { ("", body) } else { key(body) };
    let mut fields = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '{' | '}' | '"' | '#'));
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let Some(behind) = behind.trim_start().strip_prefix('=').filter(|_| !name.is_empty()) else {
            // No field: what follows a value without a comma, or stray text.
            rest = behind_stray(rest, name.len());
            continue;
        };
        let (value, behind) = value(behind, macros);
        fields.push((name.to_ascii_lowercase(), value));
        rest = behind;
    }
    BibtexFields {
        kind,
        key: key.to_owned(),
        fields,
    }
}

/// The key of an entry and what follows it. Some entries have no key, and some no comma behind it.
fn key(body: &str) -> (&str, &str) {
    let body = body.trim_start();
    let end = body
        .find(|c: char| c.is_whitespace() || matches!(c, ',' | '='))
        .unwrap_or(body.len());
    let (key, behind) = body.split_at(end);
    match behind.trim_start().chars().next() {
        Some('=') => ("", body),
        _ => (key, behind),
    }
}

/// What follows a word that is no field: the next word, or what is behind a group.
fn behind_stray(text: &str, word: usize) -> &str {
    if word > 0 {
        return &text[word..];
    }
    match text.chars().next() {
        Some('{' | '"') => part(text).1,
        Some(c) => &text[c.len_utf8()..],
        None => "",
    }
}

/// A value and what follows it.
fn value<'a>(text: &'a str, macros: &BibtexMacros) -> (String, &'a str) {
    let mut value = String::new();
    let mut rest = text.trim_start();
    loop {
        let (part, behind) = part(rest);
        match part {
            ValuePart::Written(text) => value.push_str(text),
            ValuePart::Word(word) => value.push_str(macros.value(word)),
        }
        rest = behind;
        match rest.trim_start().strip_prefix('#') {
            Some(more) => rest = more.trim_start(),
            None => break,
        }
    }
    (value.trim().to_owned(), rest)
}

/// A part of a value.
enum ValuePart<'a> {
    /// What braces or quotes hold.
    Written(&'a str),
    /// A number or a macro.
    Word(&'a str),
}

/// One part of a value and what follows it. Only braces count; a quote within them ends nothing.
fn part(text: &str) -> (ValuePart<'_>, &str) {
    let Some(first @ ('{' | '"')) = text.chars().next() else {
        let end = text.find(|c: char| c.is_whitespace() || matches!(c, ',' | '#' | '}' | '{' | '"' | '='));
        let (word, behind) = text.split_at(end.unwrap_or(text.len()));
        return (ValuePart::Word(word), behind);
    };
    let inner = &text[1..];
    let mut depth = 0_u64;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'"' if first == '"' && depth == 0 => return (ValuePart::Written(&inner[..at]), &inner[at + 1..]),
            b'}' if first == '{' && depth == 0 => return (ValuePart::Written(&inner[..at]), &inner[at + 1..]),
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    (ValuePart::Written(inner), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(text: &str) -> BibtexFields {
        let mut macros = BibtexMacros::default();
        macros.define(read(
            "@string{cacm = \"Communications\", ACM = cacm # \" of the \" # \"ACM\"}",
            &macros,
        ));
        macros.define(read("@string( acm = cacm # {!} )", &macros));
        read(text, &macros)
    }

    #[test]
    fn values_are_joined_and_macros_expanded() {
        let entry = fields(
            "@Article{k:1, title = {A} # \" B\", month=jul # \"~28\", journal = CACM # { of}, note = acm, year=1931}",
        );
        assert_eq!((entry.kind.as_str(), entry.key.as_str()), ("article", "k:1"));
        for (name, value) in [
            ("title", "A B"),
            ("month", "jul~28"),
            ("journal", "Communications of"),
            ("note", "Communications!"),
            ("year", "1931"),
        ] {
            assert_eq!(entry.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn quotes_and_braces_hold_each_other() {
        let entry = fields("@a{k, title = \"A {\"}quoted{\"} title with {\\\"U}ber\", b = {x \" y}, c = {\\{O}}}");
        assert_eq!(entry.get("title"), Some("A {\"}quoted{\"} title with {\\\"U}ber"));
        assert_eq!(entry.get("b"), Some("x \" y"));
        assert_eq!(entry.get("c"), Some("\\{O}"));
    }

    #[test]
    fn missing_commas_and_keys_are_forgiven() {
        for text in [
            "@a{k title = {T} author = \"A\"\n year = 2020}",
            "@a{title = {T}, author = \"A\", year = 2020}",
            "@a{k,, title = {T},, stray author = \"A\",\n year = 2020,}",
            "@a(k, title = {T}, author = \"A\", {x} year = 2020)",
        ] {
            let entry = fields(text);
            let read = [entry.get("title"), entry.get("author"), entry.get("year")];
            assert_eq!(read, [Some("T"), Some("A"), Some("2020")], "{text}");
        }
    }

    #[test]
    fn repeated_fields_are_kept_and_the_first_counts() {
        let entry = fields("@a{k, keywords = {a}, keywords = \"b\", year = 1, YEAR = 2}");
        assert_eq!(entry.all("keywords").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(entry.get("year"), Some("1"));
    }

    proptest! {
        #[test]
        fn anything_is_read(text in "@?([a-c{}()\"#=, \n\\\\@]|\\PC){0,80}") {
            let _ = fields(&text);
        }
    }
}
