//! What a language needs: its texts, its names of days and months, and how dates and numbers are written. Each language has
//! a table in `templates/locales`, and a table that misses a key, or has an unknown one, does not parse. A language without a
//! table gets English.

use std::sync::LazyLock;

use domain::Interest;
use jiff::civil::Date;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Error, Value};
use serde::{Deserialize, Serialize};

/// The first one stands in for languages without a table.
const TABLES: [&str; 4] = [
    include_str!("../templates/locales/en.toml"),
    include_str!("../templates/locales/de.toml"),
    include_str!("../templates/locales/fr.toml"),
    include_str!("../templates/locales/es.toml"),
];

static LOCALES: LazyLock<[Locale; 4]> = LazyLock::new(|| {
    TABLES.map(|table| {
        let mut locale: Locale = toml::from_str(table).expect("every table has every key, as a test says");
        locale.value = Value::from(Serde(&locale));
        locale
    })
});

/// The table of a language.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Locale {
    tag: String,
    decimal_mark: String,
    weekdays: [String; 7],
    months: [String; 12],
    date: String,
    first_of_month: String,
    colon: String,
    tagline: String,
    digest: DigestTexts,
    reason: ReasonTexts,
    confirmation: ConfirmationTexts,
    account: AccountTexts,
    webhook: WebhookTexts,
    /// All of it, as templates see it.
    #[serde(skip)]
    value: Value,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DigestTexts {
    subject_one_more: String,
    subject_more: String,
    subject_none: String,
    paper_for_you: String,
    papers_for_you: String,
    authors_one_more: String,
    authors_more: String,
    read: String,
    pdf: String,
    source: String,
    similar: String,
    vote: String,
    dismiss: String,
    footer: String,
    preferences: String,
    pause: String,
    unsubscribe: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ReasonTexts {
    interest: String,
    words: String,
    like_one: String,
    like_one_more: String,
    like_more: String,
    trending: String,
    new: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ConfirmationTexts {
    subject: String,
    preheader: String,
    masthead_left: String,
    masthead_right: String,
    headline: String,
    request: String,
    button: String,
    or_open: String,
    open_link: String,
    footer: String,
    decline: String,
    decline_link: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AccountTexts {
    subject: String,
    preheader: String,
    masthead_left: String,
    masthead_right: String,
    headline: String,
    request: String,
    button: String,
    or_open: String,
    open_link: String,
    footer: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WebhookTexts {
    subject: String,
    preheader: String,
    masthead_left: String,
    masthead_right: String,
    headline: String,
    disabled: String,
    gone: String,
    url: String,
    answer: String,
    mail_continues: String,
    paused: String,
    what_next: String,
    button: String,
    open_link: String,
    footer: String,
}

impl Locale {
    /// All tables.
    pub fn all() -> &'static [Self] {
        &*LOCALES
    }

    /// The table of a BCP 47 tag, by its language.
    pub fn of(tag: &str) -> &'static Self {
        let language = tag.split('-').next().unwrap_or_default();
        let found = LOCALES.iter().find(|one| one.tag.eq_ignore_ascii_case(language));
        found.unwrap_or(&LOCALES[0])
    }

    /// As templates see it.
    pub fn to_value(&self) -> Value {
        self.value.clone()
    }

    /// A date, with the day of the week.
    pub fn date(&self, date: Date) -> String {
        let index = |number: i8| usize::try_from(number - 1).unwrap_or_default();
        let (weekday, month) = (index(date.weekday().to_monday_one_offset()), index(date.month()));
        let day = match date.day() {
            1 => self.first_of_month.clone(),
            day => day.to_string(),
        };
        let year = date.year().to_string();
        let parts = [
            ("weekday", self.weekdays[weekday].as_str()),
            ("day", &day),
            ("month", &self.months[month]),
            ("year", &year),
        ];
        filled(&self.date, parts)
    }

    /// Authors and how many more there are.
    pub fn authors_and_more(&self, names: &str, more: usize) -> String {
        let count = more.to_string();
        let text = match more {
            1 => &self.digest.authors_one_more,
            _ => &self.digest.authors_more,
        };
        filled(text, [("names", names), ("count", count.as_str())])
    }

    /// The text of a link to a paper at its source where its host tells a reader nothing.
    pub fn source(&self) -> &str {
        &self.digest.source
    }

    /// The reason of a paper that matches an interest, with their cosine.
    pub fn interest_reason(&self, interest: &Interest, cosine: f32) -> String {
        let matched = format!("{cosine:.2}").replace('.', &self.decimal_mark);
        let interest = self.interest_name(interest);
        let parts = [("match", matched.as_str()), ("interest", interest.as_str())];
        filled(&self.reason.interest, parts)
    }

    /// The reason of a paper that has the words of an interest, where the model cannot read it.
    pub fn words_reason(&self, interest: &Interest) -> String {
        let interest = self.interest_name(interest);
        filled(&self.reason.words, [("interest", interest.as_str())])
    }

    /// The reason of a paper that is trending.
    pub fn trending_reason(&self) -> String {
        self.reason.trending.clone()
    }

    /// The reason of a paper that is new.
    pub fn new_reason(&self) -> String {
        self.reason.new.clone()
    }

    /// The name of an interest: its words, or the papers that it names as examples.
    fn interest_name(&self, interest: &Interest) -> String {
        let Some(first) = interest.like.first().filter(|_| interest.words.is_empty()) else {
            return interest.words.clone();
        };
        let more = interest.like.len() - 1;
        let text = match more {
            0 => &self.reason.like_one,
            1 => &self.reason.like_one_more,
            _ => &self.reason.like_more,
        };
        filled(text, [("paper", first.as_str()), ("count", &more.to_string())])
    }
}

/// The filter `{{ text|fill(count=3) }}` of templates: a text with the names in braces replaced by values.
pub fn fill(text: &str, parts: &Kwargs) -> Result<String, Error> {
    let mut values = Vec::new();
    for name in parts.args() {
        values.push((name.to_owned(), parts.get::<Value>(name)?.to_string()));
    }
    let parts = values.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(filled(text, parts))
}

/// Values are never searched for braces: they come from readers and papers.
fn filled<'a>(text: &str, parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let parts: Vec<(&str, &str)> = parts.into_iter().collect();
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let (name, behind) = behind.split_once('}').unwrap_or((behind, ""));
        let value = parts.iter().find(|(known, _)| *known == name);
        out.push_str(value.map_or("", |(_, value)| value));
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of a table by key, those of an inner table behind its name.
    fn texts(table: &toml::Table, before: &str, found: &mut Vec<(String, String)>) {
        for (key, value) in table {
            let key = format!("{before}{key}");
            match value {
                toml::Value::Table(inner) => texts(inner, &format!("{key}."), found),
                toml::Value::Array(list) => found.extend(list.iter().map(|one| (key.clone(), one.to_string()))),
                text => found.push((key, text.as_str().expect("a text").to_owned())),
            }
        }
    }

    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_language_has_every_key_and_placeholder() {
        let read = |table: &str| {
            let mut found = Vec::new();
            texts(&table.parse().expect("a table"), "", &mut found);
            found
        };
        let english = read(TABLES[0]);
        for table in TABLES {
            toml::from_str::<Locale>(table).expect("every key");
            for ((key, text), (known, in_english)) in read(table).iter().zip(&english) {
                assert_eq!(key, known);
                assert!(!text.trim().is_empty(), "{key}");
                assert_eq!(placeholders(text), placeholders(in_english), "{key}");
            }
        }
    }

    #[test]
    fn a_tag_finds_its_language_or_english() {
        for (tag, expected) in [
            ("de", "de"),
            ("de-AT", "de"),
            ("FR-ca", "fr"),
            ("pt-BR", "en"),
            ("", "en"),
        ] {
            assert_eq!(Locale::of(tag).tag, expected, "{tag}");
        }
    }

    #[test]
    fn dates_and_reasons_are_in_the_language() {
        let day = jiff::civil::date(2026, 3, 2);
        let said: Vec<String> = ["en", "de", "fr", "es"].map(|tag| Locale::of(tag).date(day)).into();
        let expected = [
            "Monday, 2 March 2026",
            "Montag, 2. März 2026",
            "lundi 2 mars 2026",
            "lunes, 2 de marzo de 2026",
        ];
        assert_eq!(said, expected);
        let first = jiff::civil::date(2026, 2, 1);
        let said: Vec<String> = ["en", "de", "fr", "es"].map(|tag| Locale::of(tag).date(first)).into();
        let expected = [
            "Sunday, 1 February 2026",
            "Sonntag, 1. Februar 2026",
            "dimanche 1er février 2026",
            "domingo, 1 de febrero de 2026",
        ];
        assert_eq!(said, expected);
        let mut interest = Interest::in_words("{match} cats");
        let said = Locale::of("de").interest_reason(&interest, 0.871);
        assert_eq!(said, "weil Sie „{match} cats“ verfolgen (Übereinstimmung 0,87)");
        interest.words.clear();
        interest.like = ["x:a", "x:b"]
            .map(|id| domain::PaperId::parse(id).expect("an id"))
            .into();
        let said = Locale::of("en").interest_reason(&interest, 0.5);
        assert_eq!(said, "because you follow “papers like x:a and 1 more” (match 0.50)");
        let said = Locale::of("fr").interest_reason(&interest, 0.5);
        let expected =
            "parce que vous suivez «\u{a0}articles similaires à x:a et à 1 autre\u{a0}» (correspondance 0,50)";
        assert_eq!(said, expected);
        interest.like.push(interest.like[0].clone());
        let said = Locale::of("de").interest_reason(&interest, 0.5);
        assert_eq!(
            said,
            "weil Sie „Artikel wie x:a und 2 weitere“ verfolgen (Übereinstimmung 0,50)"
        );
    }

    #[test]
    fn one_more_differs_from_many() {
        let said = |more| ["en", "de", "fr", "es"].map(|tag| Locale::of(tag).authors_and_more("Ada", more));
        let one = [
            "Ada and 1 more",
            "Ada und 1 weitere Person",
            "Ada et 1 autre",
            "Ada y 1 más",
        ];
        assert_eq!(said(1), one);
        let many = ["Ada and 2 more", "Ada und 2 weitere", "Ada et 2 autres", "Ada y 2 más"];
        assert_eq!(said(2), many);
    }

    #[test]
    fn french_punctuation_keeps_to_its_word() {
        let mut found = Vec::new();
        texts(&TABLES[2].parse().expect("a table"), "", &mut found);
        for (key, text) in found {
            for (place, sign) in text.match_indices([':', ';', '?', '!', '»']) {
                assert!(text[..place].ends_with('\u{a0}'), "{key}: {sign} in {text:?}");
            }
            for (place, sign) in text.match_indices('«') {
                assert!(text[place + sign.len()..].starts_with('\u{a0}'), "{key}: {text:?}");
            }
        }
    }
}
