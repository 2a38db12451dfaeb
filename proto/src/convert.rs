//! Conversions between wire and domain types. They validate and decide nothing.

pub mod preferences;

use domain::{AuthorName, DenseVector, EncoderId, Link, LinkKind, Paper, PaperId, PaperVectors, SparseVector};
use jiff::Timestamp;

use crate::papers::v1 as wire;

/// A message that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A required field is missing.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// The domain refuses the value of a field.
    #[error("field {field} {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

fn invalid(field: &'static str) -> impl Fn(&dyn std::fmt::Display) -> ConvertError {
    move |problem| ConvertError::Invalid {
        field,
        problem: problem.to_string(),
    }
}

/// A timestamp on the wire.
pub fn to_wire_time(time: Timestamp) -> prost_types::Timestamp {
    let mut seconds = time.as_second();
    let mut nanos = time.subsec_nanosecond();
    if nanos < 0 {
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    prost_types::Timestamp { seconds, nanos }
}

/// A timestamp from the wire; refused outside the years -9999 to 9999.
pub fn from_wire_time(field: &'static str, time: prost_types::Timestamp) -> Result<Timestamp, ConvertError> {
    Timestamp::new(time.seconds, time.nanos).map_err(|error| invalid(field)(&error))
}

impl From<&Paper> for wire::Paper {
    fn from(paper: &Paper) -> Self {
        Self {
            id: paper.id.to_string(),
            title: paper.title.clone(),
            r#abstract: paper.abstract_text.clone(),
            authors: paper.authors.iter().map(wire::Author::from).collect(),
            categories: paper.categories.clone(),
            published_time: paper.published.map(to_wire_time),
            updated_time: paper.updated.map(to_wire_time),
            links: paper.links.iter().map(to_wire_link).collect(),
            source: paper.source.clone(),
            revision: paper.revision,
            content_hash: paper.content_hash.clone(),
            language: paper.language.clone(),
            accepted_time: Some(to_wire_time(paper.accepted)),
            revised_time: Some(to_wire_time(paper.revised)),
        }
    }
}

impl TryFrom<wire::Paper> for Paper {
    type Error = ConvertError;

    fn try_from(paper: wire::Paper) -> Result<Self, ConvertError> {
        let time = |field, time: Option<_>| time.map(|time| from_wire_time(field, time)).transpose();
        let accepted = time("accepted_time", paper.accepted_time)?.ok_or(ConvertError::Missing("accepted_time"))?;
        Ok(Self {
            id: PaperId::parse(&paper.id).map_err(|error| invalid("id")(&error))?,
            title: paper.title,
            abstract_text: paper.r#abstract,
            authors: paper.authors.iter().map(AuthorName::from).collect(),
            categories: paper.categories,
            published: time("published_time", paper.published_time)?,
            updated: time("updated_time", paper.updated_time)?,
            links: paper.links.into_iter().map(from_wire_link).collect::<Result<_, _>>()?,
            source: paper.source,
            revision: paper.revision,
            content_hash: paper.content_hash,
            language: paper.language,
            accepted,
            // Earlier releases had one time for both.
            revised: time("revised_time", paper.revised_time)?.unwrap_or(accepted),
        })
    }
}

impl From<&AuthorName> for wire::Author {
    fn from(name: &AuthorName) -> Self {
        Self {
            name: name.to_string(),
            given: name.given().to_owned(),
            family: name.family().unwrap_or_default().to_owned(),
            suffix: name.suffix().to_owned(),
            literal: name.family().is_none(),
        }
    }
}

/// The parts decide; where a message has none, they are found in the printed name.
impl From<&wire::Author> for AuthorName {
    fn from(author: &wire::Author) -> Self {
        if author.literal {
            Self::literal(&author.name)
        } else if author.family.is_empty() {
            Self::parse(&author.name)
        } else {
            Self::new(&author.given, &author.family, &author.suffix)
        }
    }
}

fn to_wire_link(link: &Link) -> wire::Link {
    let kind = match link.kind {
        LinkKind::Abstract => wire::LinkKind::Abstract,
        LinkKind::Pdf => wire::LinkKind::Pdf,
        LinkKind::Code => wire::LinkKind::Code,
    };
    wire::Link {
        kind: kind.into(),
        url: link.url.clone(),
    }
}

fn from_wire_link(link: wire::Link) -> Result<Link, ConvertError> {
    let kind = match link.kind() {
        wire::LinkKind::Abstract => LinkKind::Abstract,
        wire::LinkKind::Pdf => LinkKind::Pdf,
        wire::LinkKind::Code => LinkKind::Code,
        wire::LinkKind::Unspecified => {
            let problem = format!("has kind {}; allowed are ABSTRACT (1), PDF (2) and CODE (3)", link.kind);
            return Err(invalid("links")(&problem));
        }
    };
    Ok(Link { kind, url: link.url })
}

impl From<&SparseVector> for wire::SparseVector {
    fn from(sparse: &SparseVector) -> Self {
        Self {
            indices: sparse.indices().to_vec(),
            values: sparse.values().to_vec(),
        }
    }
}

impl TryFrom<wire::SparseVector> for SparseVector {
    type Error = ConvertError;

    fn try_from(sparse: wire::SparseVector) -> Result<Self, ConvertError> {
        Self::new(sparse.indices, sparse.values).map_err(|error| invalid("sparse")(&error))
    }
}

impl From<&PaperVectors> for wire::PaperVectors {
    fn from(vectors: &PaperVectors) -> Self {
        Self {
            encoder_id: vectors.encoder.to_string(),
            dense: vectors.dense.as_slice().to_vec(),
            sparse: Some((&vectors.sparse).into()),
            truncated: vectors.truncated,
        }
    }
}

impl TryFrom<wire::PaperVectors> for PaperVectors {
    type Error = ConvertError;

    fn try_from(vectors: wire::PaperVectors) -> Result<Self, ConvertError> {
        Ok(Self {
            encoder: EncoderId::parse(&vectors.encoder_id).map_err(|error| invalid("encoder_id")(&error))?,
            dense: DenseVector::new(vectors.dense).map_err(|error| invalid("dense")(&error))?,
            sparse: vectors.sparse.unwrap_or_default().try_into()?,
            truncated: vectors.truncated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(published: Option<i64>, accepted: Option<i64>, revised: Option<i64>) -> wire::Paper {
        let time = |seconds: Option<i64>| seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: 5 });
        wire::Paper {
            id: "x:1".to_owned(),
            published_time: time(published),
            accepted_time: time(accepted),
            revised_time: time(revised),
            ..wire::Paper::default()
        }
    }

    #[test]
    fn an_unknown_date_stays_unknown_on_the_way() {
        for published in [None, Some(-7), Some(1_700_000_000)] {
            let sent = paper(published, Some(5), Some(9));
            let paper = Paper::try_from(sent.clone()).expect("a paper");
            assert_eq!(paper.published.map(Timestamp::as_second).is_some(), published.is_some());
            assert_eq!(wire::Paper::from(&paper), sent);
        }
        let error = Paper::try_from(paper(Some(1 << 60), Some(5), None)).expect_err("no such year");
        assert!(error.to_string().starts_with("field published_time "), "{error}");
    }

    #[test]
    fn a_paper_of_an_earlier_release_has_one_acceptance() {
        let old = Paper::try_from(paper(Some(1), Some(5), None)).expect("a paper");
        assert_eq!(old.revised, old.accepted);
        assert!(matches!(
            Paper::try_from(paper(Some(1), None, Some(5))),
            Err(ConvertError::Missing("accepted_time"))
        ));
    }

    #[test]
    fn names_keep_their_parts_and_old_messages_get_them() {
        let names = [
            AuthorName::new("Ana Lucía", "Gómez Ruiz", ""),
            AuthorName::new("Martin", "King", "Jr."),
            AuthorName::literal("Harbour, Sea and Land"),
        ];
        for name in names {
            let author = wire::Author::from(&name);
            assert_eq!(
                (author.name.as_str(), AuthorName::from(&author)),
                (name.as_str(), name.clone())
            );
        }
        let old = |name: &str| wire::Author {
            name: name.to_owned(),
            ..wire::Author::default()
        };
        let read = AuthorName::from(&old("Ludwig van der Rohe"));
        assert_eq!((read.given(), read.family()), ("Ludwig", Some("van der Rohe")));
        assert_eq!(AuthorName::from(&old("Lantern Collaboration")).family(), None);
    }

    #[test]
    fn a_link_of_unknown_kind_is_refused() {
        let link = |kind| wire::Link {
            kind,
            url: "https://example.org".to_owned(),
        };
        assert_eq!(from_wire_link(link(2)).expect("a link").kind, LinkKind::Pdf);
        let error = from_wire_link(link(9)).expect_err("unknown").to_string();
        assert_eq!(
            error,
            "field links has kind 9; allowed are ABSTRACT (1), PDF (2) and CODE (3)"
        );
    }
}
