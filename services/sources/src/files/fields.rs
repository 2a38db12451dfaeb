//! From the named values of a record to a paper.
//!
//! A value of another type than usual is read where its meaning is plain; one that is not understood is left out and counted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::merging::Scheme;
use domain::submission::FUTURE_TOLERANCE;
use domain::{AuthorName, LinkKind, names};
use jiff::Timestamp;

use super::loose::Loose;
use super::meaning::{MEANINGS, Meaning, meaning, of_field};
use super::unread::UnreadFields;
use crate::arxiv::metadata;
use crate::dates;
use crate::draft::RecordDraft;

/// The values of a record by their meaning.
struct Values<'a> {
    found: [Option<(u8, &'a str, &'a Loose<'a>)>; MEANINGS],
}

impl<'a> Values<'a> {
    /// Sorts the values of a record; those that a mapping names come before those with usual names.
    fn of(record: &'a Loose<'a>, mapping: &'a BTreeMap<String, String>, unread: &mut UnreadFields) -> Self {
        let mut values = Self {
            found: [None; MEANINGS],
        };
        let Loose::Object(members) = record else { return values };
        for (field, path) in mapping {
            if let (Some(meaning), Some(value)) = (of_field(field), record.at(path)) {
                values.found[meaning as usize] = Some((0, path, value));
            }
        }
        for (name, value) in members {
            if value.is_empty() {
                continue;
            }
            let Some((meaning, rank)) = meaning(name) else {
                if !mapping.values().any(|path| path.split('.').next() == Some(name)) {
                    unread.add(name);
                }
                continue;
            };
            let slot = &mut values.found[meaning as usize];
            if slot.is_none_or(|(known, ..)| rank + 1 < known) {
                *slot = Some((rank + 1, name, value));
            }
        }
        values
    }

    fn get(&self, meaning: Meaning) -> Option<&'a Loose<'a>> {
        self.found[meaning as usize].map(|(_, _, value)| value)
    }

    /// What can be made of a value; one of which nothing can is counted.
    fn read<T>(
        &self,
        meaning: Meaning,
        unread: &mut UnreadFields,
        read: impl FnOnce(&'a Loose<'a>) -> Option<T>,
    ) -> Option<T> {
        let (_, name, value) = self.found[meaning as usize]?;
        let made = read(value);
        if made.is_none() {
            unread.add(name);
        }
        made
    }

    fn words(&self, meaning: Meaning, unread: &mut UnreadFields) -> Cow<'a, str> {
        self.read(meaning, unread, Loose::words).unwrap_or_default()
    }
}

/// Makes the draft of a paper.
pub fn draft(record: &Loose<'_>, mapping: &BTreeMap<String, String>, unread: &mut UnreadFields) -> RecordDraft {
    let values = Values::of(record, mapping, unread);
    let mut draft = described(&values, unread);
    let parsed = values.read(Meaning::ParsedAuthors, unread, parsed_authors);
    draft.authors = parsed.unwrap_or_else(|| values.read(Meaning::Authors, unread, authors).unwrap_or_default());
    identify(&mut draft, &values, unread);
    if let Some(Loose::List(versions)) = values.get(Meaning::Versions) {
        let created = |version: Option<&Loose<'_>>| version.and_then(|version| date(version.get("created")?));
        draft.published = created(versions.first()).or(draft.published);
        draft.updated = created(versions.last()).or(draft.updated);
        draft.version = u32::try_from(versions.len()).ok();
    }
    draft.datestamp = draft.updated.or(draft.published);
    for (kind, meaning) in [
        (LinkKind::Abstract, Meaning::Url),
        (LinkKind::Pdf, Meaning::PdfUrl),
        (LinkKind::Code, Meaning::CodeUrl),
    ] {
        draft.link(kind, &values.words(meaning, unread));
    }
    let snapshot = values.get(Meaning::ParsedAuthors).is_some() || values.get(Meaning::Versions).is_some();
    if snapshot {
        let id = std::mem::take(&mut draft.native_id);
        draft.identify(Scheme::Arxiv, &id);
        draft.native_id = id;
        if draft.links.is_empty() {
            metadata::links(&mut draft);
        }
    }
    draft
}

/// What is wrong with a record that is dated later than `now` allows.
pub fn future(draft: &RecordDraft, now: Timestamp) -> Option<String> {
    let latest = now.saturating_add(FUTURE_TOLERANCE).unwrap_or(Timestamp::MAX);
    let dates = [("published", draft.published), ("updated", draft.updated)];
    dates.into_iter().find_map(|(field, date)| {
        let date = date.filter(|date| *date > latest)?;
        Some(format!("{field} is {date}; at most one day in the future is allowed"))
    })
}

/// The feed that a record says it comes from.
pub fn source<'a>(record: &'a Loose<'a>) -> Option<&'a str> {
    let Some(Loose::Text(source)) = record.get("source") else {
        return None;
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let valid =
        !source.is_empty() && source.len() <= domain::submission::MAX_LABEL_CHARS && source.bytes().all(allowed);
    valid.then_some(source)
}

fn described(values: &Values<'_>, unread: &mut UnreadFields) -> RecordDraft {
    RecordDraft {
        native_id: values.words(Meaning::Id, unread).into_owned(),
        title: values.words(Meaning::Title, unread).into_owned(),
        abstract_text: values.read(Meaning::Abstract, unread, paragraphs).unwrap_or_default(),
        comment: values.words(Meaning::Comment, unread).into_owned(),
        categories: values.read(Meaning::Categories, unread, categories).unwrap_or_default(),
        published: values.read(Meaning::Published, unread, date),
        updated: values.read(Meaning::Updated, unread, date),
        language: values.words(Meaning::Language, unread).into_owned(),
        ..RecordDraft::default()
    }
}

fn identify(draft: &mut RecordDraft, values: &Values<'_>, unread: &mut UnreadFields) {
    for (scheme, meaning) in [(Scheme::Arxiv, Meaning::Arxiv), (Scheme::Pubmed, Meaning::Pubmed)] {
        draft.identify(scheme, &values.words(meaning, unread));
    }
    // The snapshot of arXiv has several in one text where a paper appeared more than once.
    let doi = values.words(Meaning::Doi, unread);
    doi.split_whitespace().for_each(|doi| draft.identify(Scheme::Doi, doi));
    for meaning in [Meaning::Id, Meaning::Url, Meaning::PdfUrl] {
        draft.recognise(&values.words(meaning, unread));
    }
}

/// A text, or the texts of a list as paragraphs.
fn paragraphs(value: &Loose<'_>) -> Option<String> {
    match value {
        Loose::List(list) => {
            let paragraphs: Vec<Cow<'_, str>> = list.iter().filter_map(Loose::words).collect();
            (!paragraphs.is_empty()).then(|| paragraphs.join("\n\n"))
        }
        value => value.words().map(Cow::into_owned),
    }
}

fn authors(value: &Loose<'_>) -> Option<Vec<AuthorName>> {
    let found = match value {
        Loose::Text(text) => names::list(&without_numbers(text)),
        Loose::Object(_) => vec![author(value)?],
        Loose::List(list) => list.iter().filter_map(author).collect(),
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

/// An author in a list: a text, or an object with the name or its parts.
fn author(value: &Loose<'_>) -> Option<AuthorName> {
    let part = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| value.get(name)?.words())
            .unwrap_or_default()
    };
    match value {
        Loose::Text(text) => Some(AuthorName::parse(text)).filter(|name| !name.is_empty()),
        Loose::Object(_) => {
            let family = part(&["family", "last", "lastName", "last_name", "surname", "familyName"]);
            if family.is_empty() {
                let literal = value.get("literal").and_then(Loose::words);
                let literal = literal.map(|name| AuthorName::literal(&name));
                let name = literal.or_else(|| Some(AuthorName::parse(&value.words()?)));
                return name.or_else(|| author(value.get("author")?));
            }
            let given = part(&["given", "first", "firstName", "first_name", "givenName", "forename"]);
            Some(AuthorName::new(&given, &family, &part(&["suffix"])))
        }
        _ => None,
    }
}

/// `[["Lee", "A.", "Jr."], …]`, with affiliations behind.
fn parsed_authors(value: &Loose<'_>) -> Option<Vec<AuthorName>> {
    let Loose::List(list) = value else { return None };
    let mut authors = Vec::with_capacity(list.len());
    for author in list {
        let Loose::List(parts) = author else { return None };
        let part = |index: usize| parts.get(index).and_then(Loose::words).unwrap_or_default();
        authors.push(AuthorName::new(&part(1), &part(0), &part(2)));
    }
    Some(authors)
}

/// Scopus writes a number behind each name: `Lovelace, Ada (57193)`.
fn without_numbers(text: &str) -> Cow<'_, str> {
    if !text.contains('(') {
        return Cow::Borrowed(text);
    }
    let names = text.split(';').map(|name| {
        let name = name.trim();
        let number = name.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
        match number {
            Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name.trim_end(),
            _ => name,
        }
    });
    Cow::Owned(names.collect::<Vec<_>>().join("; "))
}

fn categories(value: &Loose<'_>) -> Option<Vec<String>> {
    let found: Vec<String> = match value {
        Loose::Text(text) => separated(text),
        Loose::List(list) if list.len() == 1 => {
            let one = list[0].words()?;
            if are_archives(&one) {
                separated(&one)
            } else {
                vec![one.into_owned()]
            }
        }
        Loose::List(list) => list.iter().filter_map(Loose::words).map(Cow::into_owned).collect(),
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

/// A list in one text: separated by `;` or `,`, or by blanks where all parts are categories of arXiv.
fn separated(text: &str) -> Vec<String> {
    let separator = match text {
        text if are_archives(text) => ' ',
        text if text.contains(';') => ';',
        text if text.contains(',') => ',',
        text => return vec![text.trim().to_owned()],
    };
    let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn are_archives(text: &str) -> bool {
    text.split_whitespace().all(|part| {
        let archive = part.split('.').next().unwrap_or_default();
        part.contains(['.', '-']) && archive.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    })
}

/// A date as text, a year, seconds or milliseconds since 1970, or numbers of year, month and day.
fn date(value: &Loose<'_>) -> Option<Timestamp> {
    match value {
        Loose::Text(text) => dates::parse(text),
        Loose::Integer(number) => numbered(*number),
        #[expect(clippy::cast_possible_truncation, reason = "a float that is a year or a moment fits")]
        Loose::Real(number) => numbered(*number as i64),
        Loose::List(parts) => {
            if let [Loose::List(_)] = parts.as_slice() {
                return date(&parts[0]);
            }
            let part = |index: usize| match parts.get(index) {
                Some(Loose::Integer(number)) => Some(*number),
                Some(value) => value.words()?.parse().ok(),
                None => None,
            };
            dates::day(part(0)?, part(1).unwrap_or(1), part(2).unwrap_or(1))
        }
        Loose::Object(_) => {
            let named = ["date-time", "date-parts", "$date", "iso", "date"];
            named.iter().find_map(|name| date(value.get(name)?)).or_else(|| {
                let part = |name: &str| value.get(name)?.words()?.parse().ok();
                dates::day(part("year")?, part("month").unwrap_or(1), part("day").unwrap_or(1))
            })
        }
        Loose::Nothing | Loose::Flag(_) => None,
    }
}

fn numbered(number: i64) -> Option<Timestamp> {
    match number {
        1_000..=9_999 => dates::day(number, 1, 1),
        10_000_101..=99_991_231 => dates::parse(&number.to_string()),
        100_000_000..=99_999_999_999 => Timestamp::from_second(number).ok(),
        100_000_000_000..=99_999_999_999_999 => Timestamp::from_millisecond(number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (RecordDraft, UnreadFields) {
        let record: Loose<'_> = serde_json::from_str(json).expect("JSON");
        let mut unread = UnreadFields::default();
        let draft = draft(&record, &BTreeMap::new(), &mut unread);
        (draft, unread)
    }

    fn dated(json: &str) -> String {
        let (draft, unread) = read(&format!("{{\"title\":\"T\",\"published\":{json}}}"));
        match draft.published {
            Some(published) => published.to_string(),
            None => unread.to_string(),
        }
    }

    #[test]
    fn dates_of_any_type_are_read() {
        for (json, expected) in [
            ("2024", "2024-01-01T00:00:00Z"),
            ("2024.0", "2024-01-01T00:00:00Z"),
            ("\"2024-03-01\"", "2024-03-01T00:00:00Z"),
            ("20240301", "2024-03-01T00:00:00Z"),
            ("1709251200", "2024-03-01T00:00:00Z"),
            ("1709251200000", "2024-03-01T00:00:00Z"),
            ("[2024, 3]", "2024-03-01T00:00:00Z"),
            ("{\"date-parts\":[[2024,\"3\",2]]}", "2024-03-02T00:00:00Z"),
            ("{\"year\":2024,\"month\":\"05\"}", "2024-05-01T00:00:00Z"),
            ("\"soon\"", "published 1×"),
            ("true", "published 1×"),
            ("null", ""),
        ] {
            assert_eq!(dated(json), expected, "{json}");
        }
    }

    #[test]
    fn names_in_every_shape_are_read() {
        for json in [
            r#"["Ada Lovelace","Alan Turing"]"#,
            r#""Ada Lovelace; Alan Turing""#,
            r#""Ada Lovelace and Alan Turing""#,
            r#""Lovelace, Ada (57193); Turing, Alan (9)""#,
            r#"[{"name":"Ada Lovelace"},{"family":"Turing","given":"Alan"}]"#,
            r#"[{"author":{"display_name":"Ada Lovelace"}},{"firstName":"Alan","lastName":"Turing"}]"#,
            r#"["Lovelace, Ada", null, {"literal":"Alan Turing"}]"#,
        ] {
            let (draft, unread) = read(&format!("{{\"title\":\"T\",\"authors\":{json}}}"));
            assert_eq!(draft.authors, ["Ada Lovelace", "Alan Turing"], "{json}");
            assert!(unread.is_empty(), "{unread}");
        }
        assert_eq!(read(r#"{"title":"T","authors":7}"#).1.to_string(), "authors 1×");
    }

    #[test]
    fn the_snapshot_of_arxiv_is_read() {
        let (draft, unread) = read(
            r#"{"id":"0704.0001","submitter":"A","authors":"A. Lee, Jr.","authors_parsed":[["Lee","A.","Jr."],["van Dam","C. D.",""]],
            "title":"T","comments":"37 pages","journal-ref":"Phys. Rev. D","doi":"10.1103/a 10.1103/b","categories":"hep-ph math.GT",
            "versions":[{"version":"v1","created":"Mon, 2 Apr 2007 19:18:42 GMT"},{"version":"v2","created":"Tue, 24 Jul 2007 20:10:27 GMT"}],
            "update_date":"2008-11-26"}"#,
        );
        assert_eq!(draft.authors, ["A. Lee Jr.", "C. D. van Dam"]);
        assert_eq!(draft.categories, ["hep-ph", "math.GT"]);
        assert_eq!(
            draft.published.map(|date| date.to_string()).as_deref(),
            Some("2007-04-02T19:18:42Z")
        );
        assert_eq!(
            draft.updated.map(|date| date.to_string()).as_deref(),
            Some("2007-07-24T20:10:27Z")
        );
        assert_eq!((draft.version, draft.identifiers.len()), (Some(2), 3));
        assert_eq!(draft.links[0].1, "https://arxiv.org/abs/0704.0001");
        assert!(unread.is_empty(), "{unread}");
        let (draft, _) = read(r#"{"id":"0704.0002","title":"T","update_date":"2008-11-26"}"#);
        assert_eq!(draft.published, None, "the day of an update is no day of publication");
    }

    #[test]
    fn a_date_in_the_future_is_named() {
        let now = "2026-12-01T00:00:00Z".parse().expect("a timestamp");
        let refused = future(&read(r#"{"title":"T","updated":"2999-01-01"}"#).0, now);
        assert!(refused.is_some_and(|why| why.starts_with("updated is 2999-01-01")));
        assert_eq!(future(&read(r#"{"title":"T","published":"2026-12-01"}"#).0, now), None);
    }

    #[test]
    fn what_is_not_understood_is_counted() {
        let (draft, unread) =
            read(r#"{"title":["T"],"abstract":["One.","Two."],"journal":"J","pages":null,"volume":""}"#);
        assert_eq!(
            (draft.title.as_str(), draft.abstract_text.as_str()),
            ("T", "One.\n\nTwo.")
        );
        assert_eq!(unread.to_string(), "journal 1×");
    }

    #[test]
    fn lists_in_one_text_are_split() {
        for (json, expected) in [
            (r#""cs.LG stat.ML""#, vec!["cs.LG", "stat.ML"]),
            (r#"["cs.LG stat.ML"]"#, vec!["cs.LG", "stat.ML"]),
            (r#""tides; harbour lights""#, vec!["tides", "harbour lights"]),
            (r#"["tides, and more"]"#, vec!["tides, and more"]),
            (
                r#"[{"category":"Biology"},{"term":"Physics"}]"#,
                vec!["Biology", "Physics"],
            ),
        ] {
            let (draft, _) = read(&format!("{{\"title\":\"T\",\"categories\":{json}}}"));
            assert_eq!(draft.categories, expected, "{json}");
        }
    }
}
