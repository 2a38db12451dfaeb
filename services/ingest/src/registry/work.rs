//! What sources say about one work, and how it is stored.
//!
//! A provider, link or identifier that this release does not know makes the whole work unreadable: a work with some of its
//! records left out would be published as something its sources never said.

use domain::merging::{self, Identifiers, Provider, SourceRecord, SourceWithdrawal, WorkState};
use domain::{AuthorName, LinkKind, Submission};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// All that sources say about one work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The newest record of each source, in the order of source and id. One without a date of publication has that of an
    /// earlier one.
    records: Vec<StoredRecord>,
    /// Withdrawals, one of each source.
    withdrawals: Vec<StoredWithdrawal>,
}

impl Work {
    /// The records.
    pub fn records(&self) -> Vec<SourceRecord> {
        self.records.iter().map(|stored| stored.0.clone()).collect()
    }

    /// Whether a source says exactly this already.
    pub fn contains(&self, record: &SourceRecord) -> bool {
        self.records
            .iter()
            .any(|stored| stored.0 == record.clone().with_date_of(&stored.0))
    }

    /// Replaces the earlier record of the same source. `false` if that was newer, because records come out of order, and has
    /// nothing to learn from this one.
    pub fn insert(&mut self, record: &SourceRecord) -> bool {
        let key = |record: &SourceRecord| (record.submission.source.clone(), record.submission.id.clone());
        match self.records.binary_search_by(|stored| key(&stored.0).cmp(&key(record))) {
            Ok(index) => {
                let before = &mut self.records[index].0;
                let is_older = (before.version, before.datestamp) > (record.version, record.datestamp);
                let now = if is_older {
                    before.clone().with_date_of(record)
                } else {
                    record.clone().with_date_of(before)
                };
                if is_older && now == *before {
                    return false;
                }
                *before = now;
            }
            Err(index) => self.records.insert(index, StoredRecord(record.clone())),
        }
        true
    }

    /// Records that a source withdrew the work.
    pub fn withdraw(&mut self, source: &str, withdrawal: &SourceWithdrawal) {
        self.withdrawals.retain(|stored| stored.source != source);
        self.withdrawals.push(StoredWithdrawal {
            source: source.to_owned(),
            withdrawal: withdrawal.clone(),
        });
    }

    /// The state of the work after all withdrawals.
    pub fn state(&self) -> WorkState {
        let withdrawals: Vec<SourceWithdrawal> = self
            .withdrawals
            .iter()
            .map(|stored| stored.withdrawal.clone())
            .collect();
        merging::apply_withdrawals(&self.records(), &withdrawals)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredRecord(#[serde(with = "SourceRecordJson")] SourceRecord);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredWithdrawal {
    source: String,
    #[serde(with = "SourceWithdrawalJson")]
    withdrawal: SourceWithdrawal,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SourceRecord")]
struct SourceRecordJson {
    #[serde(with = "ProviderJson")]
    provider: Provider,
    #[serde(with = "SubmissionJson")]
    submission: Submission,
    #[serde(with = "identifiers_json")]
    identifiers: Identifiers,
    version: Option<u32>,
    datestamp: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SourceWithdrawal")]
struct SourceWithdrawalJson {
    #[serde(with = "ProviderJson")]
    provider: Provider,
    #[serde(with = "identifiers_json")]
    identifiers: Identifiers,
    datestamp: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Submission")]
struct SubmissionJson {
    id: String,
    title: String,
    abstract_text: String,
    #[serde(with = "authors_json")]
    authors: Vec<AuthorName>,
    categories: Vec<String>,
    published: Option<Timestamp>,
    updated: Option<Timestamp>,
    #[serde(with = "links_json")]
    links: Vec<(LinkKind, String)>,
    source: String,
    language: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Provider", rename_all = "snake_case")]
enum ProviderJson {
    Arxiv,
    Biorxiv,
    Acl,
    Crossref,
    #[serde(rename = "openalex")]
    OpenAlex,
    SemanticScholar,
    #[serde(rename = "huggingface")]
    HuggingFace,
    Repository,
    Feed,
    Submitter,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LinkKind", rename_all = "snake_case")]
enum LinkKindJson {
    Abstract,
    Pdf,
    Code,
}

/// Links as objects with kind and address.
mod links_json {
    use domain::LinkKind;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::LinkKindJson;

    #[derive(Serialize, Deserialize)]
    struct LinkJson {
        #[serde(with = "LinkKindJson")]
        kind: LinkKind,
        url: String,
    }

    pub fn serialize<S: Serializer>(links: &[(LinkKind, String)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(links.iter().map(|(kind, url)| LinkJson {
            kind: *kind,
            url: url.clone(),
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(LinkKind, String)>, D::Error> {
        let links = Vec::<LinkJson>::deserialize(deserializer)?;
        Ok(links.into_iter().map(|link| (link.kind, link.url)).collect())
    }
}

/// Names as objects of their parts. Earlier versions wrote what is printed alone.
mod authors_json {
    use domain::AuthorName;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum AuthorJson {
        Person {
            family: String,
            #[serde(default, skip_serializing_if = "String::is_empty")]
            given: String,
            #[serde(default, skip_serializing_if = "String::is_empty")]
            suffix: String,
        },
        Literal {
            literal: String,
        },
        Printed(String),
    }

    pub fn serialize<S: Serializer>(authors: &[AuthorName], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(authors.iter().map(|name| match name.family() {
            Some(family) => AuthorJson::Person {
                family: family.to_owned(),
                given: name.given().to_owned(),
                suffix: name.suffix().to_owned(),
            },
            None => AuthorJson::Literal {
                literal: name.to_string(),
            },
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AuthorName>, D::Error> {
        let authors = Vec::<AuthorJson>::deserialize(deserializer)?.into_iter();
        let names = authors.map(|author| match author {
            AuthorJson::Person { family, given, suffix } => AuthorName::new(&given, &family, &suffix),
            AuthorJson::Literal { literal } => AuthorName::literal(&literal),
            AuthorJson::Printed(text) => AuthorName::parse(&text),
        });
        Ok(names.collect())
    }
}

/// Identifiers as texts such as `doi:10.1145/1`.
mod identifiers_json {
    use domain::merging::{Identifier, Identifiers};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(identifiers: &Identifiers, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(identifiers.iter().map(Identifier::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Identifiers, D::Error> {
        let mut identifiers = Identifiers::new();
        for text in Vec::<String>::deserialize(deserializer)? {
            let identifier = Identifier::from_display(&text);
            identifiers.insert(identifier.ok_or_else(|| D::Error::custom(format!("{text:?} is no known identifier")))?);
        }
        Ok(identifiers)
    }
}

#[cfg(test)]
mod tests {
    use domain::merging::Scheme;

    use super::*;

    fn record(source: &str, provider: Provider, datestamp: &str) -> SourceRecord {
        let mut identifiers = Identifiers::new();
        identifiers.insert_raw(Scheme::Doi, "10.1145/1").expect("an identifier");
        SourceRecord {
            provider,
            submission: Submission {
                id: "doi:10.1145/1".to_owned(),
                title: format!("From {source} on {datestamp}"),
                links: vec![(LinkKind::Pdf, "https://example.org/1.pdf".to_owned())],
                source: source.to_owned(),
                ..Submission::default()
            },
            identifiers,
            version: None,
            datestamp: datestamp.parse().ok(),
        }
    }

    #[test]
    fn a_work_is_read_as_it_was_written() {
        let mut work = Work::default();
        for (provider, source) in [
            (Provider::Arxiv, "arxiv"),
            (Provider::OpenAlex, "openalex"),
            (Provider::HuggingFace, "daily"),
        ] {
            let record = record(source, provider, "2026-01-01T00:00:00Z");
            assert!(work.insert(&record) && work.contains(&record));
        }
        let withdrawal = SourceWithdrawal {
            provider: Provider::Crossref,
            identifiers: work.records()[0].identifiers.clone(),
            datestamp: None,
        };
        work.withdraw("crossref", &withdrawal);
        let text = serde_json::to_string(&work).expect("JSON");
        assert_eq!(serde_json::from_str::<Work>(&text).expect("a work"), work);
    }

    #[test]
    fn names_keep_their_parts_and_old_works_get_them() {
        let mut work = Work::default();
        let mut one = record("crossref", Provider::Crossref, "2026-01-01T00:00:00Z");
        one.submission.authors = vec![
            AuthorName::new("Ana", "Gómez Ruiz", ""),
            AuthorName::new("Martin", "King", "Jr."),
            AuthorName::literal("Harbour, Sea and Land"),
        ];
        work.insert(&one);
        let text = serde_json::to_string(&work).expect("JSON");
        assert_eq!(serde_json::from_str::<Work>(&text).expect("a work"), work);
        let names = r#"[{"family":"Gómez Ruiz","given":"Ana"},{"family":"King","given":"Martin","suffix":"Jr."},{"literal":"Harbour, Sea and Land"}]"#;
        assert!(text.contains(names), "{text}");
        let old = text.replace(names, r#"["Ludwig van der Rohe"]"#);
        let read: Work = serde_json::from_str(&old).expect("an old work");
        assert_eq!(
            read.records()[0].submission.authors,
            [AuthorName::new("Ludwig", "van der Rohe", "")]
        );
    }

    #[test]
    fn a_work_of_another_release_is_refused() {
        let mut work = Work::default();
        work.insert(&record("mine", Provider::Arxiv, "2026-01-01T00:00:00Z"));
        let text = serde_json::to_string(&work).expect("JSON");
        for (known, unknown) in [
            ("\"provider\":\"arxiv\"", "\"provider\":\"gazette\""),
            ("\"kind\":\"pdf\"", "\"kind\":\"film\""),
            ("[\"doi:10.1145/1\"]", "[\"handle:10\"]"),
        ] {
            let strange = text.replace(known, unknown);
            assert_ne!(strange, text, "{known}");
            assert!(serde_json::from_str::<Work>(&strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn the_newest_record_of_a_source_wins_in_any_order() {
        let mut work = Work::default();
        let old = record("arxiv", Provider::Arxiv, "2026-01-01T00:00:00Z");
        let new = record("arxiv", Provider::Arxiv, "2026-02-01T00:00:00Z");
        assert!(work.insert(&new) && !work.insert(&old));
        let other = record("crossref", Provider::Crossref, "2025-01-01T00:00:00Z");
        assert!(work.insert(&other));
        assert_eq!(work.records(), [new, other]);
    }

    #[test]
    fn a_later_record_keeps_the_date_of_an_earlier_one() {
        let mut old = record("biorxiv", Provider::Biorxiv, "2026-05-05T00:00:00Z");
        old.submission.published = old.datestamp;
        let new = record("biorxiv", Provider::Biorxiv, "2026-11-29T00:00:00Z");
        let expected = [new.clone().with_date_of(&old)];
        assert_eq!(expected[0].submission.published, old.datestamp);
        for order in [[&old, &new], [&new, &old]] {
            let mut work = Work::default();
            assert!(work.insert(order[0]) && work.insert(order[1]));
            assert_eq!(work.records(), expected);
            assert!(work.contains(&new) && !work.contains(&old));
            assert!(!work.insert(&old), "nothing to learn");
        }
    }

    #[test]
    fn the_registrar_withdraws_a_work_and_reinstates_it() {
        let mut work = Work::default();
        work.insert(&record("crossref", Provider::Crossref, "2026-01-01T00:00:00Z"));
        work.insert(&record("openalex", Provider::OpenAlex, "2026-03-01T00:00:00Z"));
        let day = "2026-02-01T00:00:00Z";
        let withdrawal = SourceWithdrawal {
            provider: Provider::Crossref,
            identifiers: record("crossref", Provider::Crossref, day).identifiers,
            datestamp: day.parse().ok(),
        };
        work.withdraw("crossref", &withdrawal);
        let text = serde_json::to_string(&work).expect("JSON");
        let mut work: Work = serde_json::from_str(&text).expect("a work");
        assert_eq!(work.state(), WorkState::Withdrawn);
        work.insert(&record("crossref", Provider::Crossref, "2026-04-01T00:00:00Z"));
        assert!(matches!(work.state(), WorkState::Current(records) if records.len() == 2));
    }
}
