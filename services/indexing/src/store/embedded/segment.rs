//! Papers that were sealed together: columns, inverted lists and vectors, by slot. Slots ascend with the papers' ids.
//!
//! Immutable, so that readers need no lock. The snapshot knows which of its papers are live.

use domain::{AuthorName, names};

use super::bits::Bits;
use super::entry::{EntryError, IndexEntry, TextList};
use super::inverted_index::InvertedIndex;
use super::value_index::{TextColumn, ValueIndex};
use super::vectors::SegmentVectors;

/// Most papers of a segment; a slot must fit into 16 bits, and building one must not take long.
pub const CAPACITY: usize = 16_384;

/// A sealed segment.
#[derive(Debug)]
pub struct Segment {
    /// Ids, ascending.
    pub ids: TextColumn,
    /// When each was published, by [`crate::store::published_ms`].
    pub published_ms: Vec<i64>,
    /// Those with a link to code.
    pub has_code: Bits,
    /// Those with any term.
    pub has_terms: Bits,
    /// By category.
    pub categories: ValueIndex,
    /// By feed.
    pub sources: ValueIndex,
    /// By language; papers of unknown language are in none.
    pub languages: ValueIndex,
    /// By author as printed.
    pub authors: ValueIndex,
    /// By the keys that authors are filtered by.
    pub author_keys: ValueIndex,
    /// By term.
    pub terms: InvertedIndex,
    /// By meaning.
    pub vectors: SegmentVectors,
}

/// Collects entries for a segment.
#[derive(Debug)]
pub struct SegmentBuilder {
    dimension: usize,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl SegmentBuilder {
    /// For vectors of a length.
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Adds an entry, checked; at most [`CAPACITY`] of them, each of another paper.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EntryError> {
        let entry = IndexEntry::read(bytes, self.dimension)?;
        if !entry.dense().all(f32::is_finite) {
            domain::DenseVector::new(entry.dense().collect())?;
        }
        self.bytes.extend(bytes);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Seals the segment.
    pub fn build(&self) -> Result<Segment, EntryError> {
        let mut entries = Vec::with_capacity(self.ends.len());
        let mut begin = 0;
        for end in &self.ends {
            entries.push(IndexEntry::read(&self.bytes[begin..*end], self.dimension)?);
            begin = *end;
        }
        entries.sort_unstable_by_key(|entry| entry.id);
        Ok(seal(self.dimension, &entries))
    }
}

impl Segment {
    /// How many papers it was sealed with.
    pub fn len(&self) -> usize {
        self.published_ms.len()
    }

    /// Merges the live papers of several segments. No two of them share an id.
    pub fn merge(segments: &[(&Self, &Bits)]) -> Self {
        let mut all: Vec<(&str, usize, usize)> = Vec::new();
        for (number, (segment, live)) in segments.iter().enumerate() {
            all.extend(live.slots().map(|slot| (segment.ids.get(slot), number, slot)));
        }
        all.sort_unstable();
        let mut renumber: Vec<Vec<Option<u16>>> =
            segments.iter().map(|(segment, _)| vec![None; segment.len()]).collect();
        let mut ids = TextColumn::default();
        for (new, (id, number, slot)) in all.iter().enumerate() {
            renumber[*number][*slot] = Some(as_slot(new));
            ids.push(id);
        }
        ids.shrink();
        let of = |at: usize| (segments[all[at].1].0, all[at].2);
        let values = |pick: fn(&Self) -> &ValueIndex| {
            let held: Vec<&ValueIndex> = segments.iter().map(|(segment, _)| pick(segment)).collect();
            ValueIndex::merge(&held, &renumber)
        };
        let dimension = segments.first().map_or(0, |(segment, _)| segment.vectors.dimension());
        let mut dense = Vec::with_capacity(all.len() * dimension);
        for at in 0..all.len() {
            let (segment, slot) = of(at);
            dense.extend_from_slice(segment.vectors.get(slot));
        }
        let bits = |pick: fn(&Self) -> &Bits| {
            Bits::where_true(all.len(), |at| {
                let (segment, slot) = of(at);
                pick(segment).contains(slot)
            })
        };
        Self {
            published_ms: (0..all.len()).map(|at| of(at).0.published_ms[of(at).1]).collect(),
            has_code: bits(|segment| &segment.has_code),
            has_terms: bits(|segment| &segment.has_terms),
            categories: values(|segment| &segment.categories),
            sources: values(|segment| &segment.sources),
            languages: values(|segment| &segment.languages),
            authors: values(|segment| &segment.authors),
            author_keys: values(|segment| &segment.author_keys),
            terms: InvertedIndex::merge(
                &segments.iter().map(|(segment, _)| &segment.terms).collect::<Vec<_>>(),
                &renumber,
            ),
            vectors: SegmentVectors::new(dimension, dense),
            ids,
        }
    }
}

fn seal(dimension: usize, entries: &[IndexEntry<'_>]) -> Segment {
    let slots = || entries.iter().enumerate().map(|(slot, entry)| (entry, as_slot(slot)));
    let mut ids = TextColumn::default();
    let mut dense = Vec::with_capacity(entries.len() * dimension);
    for entry in entries {
        ids.push(entry.id);
        dense.extend(entry.dense());
    }
    ids.shrink();
    let known_language = |(entry, _): &(&IndexEntry<'_>, u16)| !entry.language.is_empty();
    Segment {
        ids,
        published_ms: entries.iter().map(|entry| entry.published_ms).collect(),
        has_code: Bits::where_true(entries.len(), |slot| entries[slot].has_code),
        has_terms: Bits::where_true(entries.len(), |slot| entries[slot].has_terms()),
        categories: ValueIndex::invert(
            slots().flat_map(|(entry, slot)| entry.categories.iter().map(move |one| (one, slot))),
        ),
        sources: ValueIndex::invert(slots().map(|(entry, slot)| (entry.source, slot))),
        languages: ValueIndex::invert(
            slots()
                .filter(known_language)
                .map(|(entry, slot)| (entry.language, slot)),
        ),
        authors: ValueIndex::invert(slots().flat_map(|(entry, slot)| entry.authors.iter().map(move |one| (one, slot)))),
        author_keys: author_keys(entries),
        terms: InvertedIndex::invert(
            slots().flat_map(|(entry, slot)| entry.sparse().map(move |(term, weight)| (term, slot, weight))),
        ),
        vectors: SegmentVectors::new(dimension, dense),
    }
}

/// The keys of the authors; those that an entry of an earlier version lacks are made of the names as printed.
fn author_keys(entries: &[IndexEntry<'_>]) -> ValueIndex {
    let made = |entry: &IndexEntry<'_>| {
        let names: Vec<AuthorName> = entry.authors.iter().map(AuthorName::parse).collect();
        names::keys_of_all(&names)
    };
    let lacking = entries
        .iter()
        .map(|entry| entry.author_keys.is_none().then(|| made(entry)));
    let lacking: Vec<Option<Vec<String>>> = lacking.collect();
    let held = entries
        .iter()
        .zip(&lacking)
        .enumerate()
        .flat_map(|(slot, (entry, lacking))| {
            let stored = entry.author_keys.iter().flat_map(TextList::iter);
            let made = lacking.iter().flatten().map(String::as_str);
            stored.chain(made).map(move |key| (key, as_slot(slot)))
        });
    ValueIndex::invert(held)
}

/// Segments hold at most [`CAPACITY`] papers.
fn as_slot(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use domain::names::search_keys;
    use domain::{DenseVector, EncoderId, Paper, PaperId, PaperVectors, SparseVector};
    use jiff::Timestamp;

    use super::super::entry;
    use super::*;
    use crate::store::IndexedPaper;

    fn paper(author: &str) -> IndexedPaper {
        IndexedPaper {
            paper: Paper {
                id: PaperId::parse("x:a").expect("an id"),
                title: "Beacons".into(),
                abstract_text: String::new(),
                authors: vec![author.into()],
                categories: Vec::new(),
                published: Some(Timestamp::UNIX_EPOCH),
                updated: None,
                links: Vec::new(),
                source: "test".into(),
                revision: 1,
                content_hash: String::new(),
                language: String::new(),
                accepted: Timestamp::UNIX_EPOCH,
                revised: Timestamp::UNIX_EPOCH,
            },
            vectors: PaperVectors {
                encoder: EncoderId::parse("test@1").expect("an encoder id"),
                dense: DenseVector::new(vec![1.0]).expect("a vector"),
                sparse: SparseVector::default(),
                truncated: false,
            },
        }
    }

    #[test]
    fn entries_of_earlier_versions_get_the_keys_of_names() {
        const FLAGS: usize = 8;
        let now = entry::encode(&paper("Inés Ortiz-Vidal"));
        let mut before = now.clone();
        before[FLAGS] = 0;
        for bytes in [now, before] {
            let mut builder = SegmentBuilder::new(1);
            builder.push(&bytes).expect("an entry");
            let segment = builder.build().expect("a segment");
            let found = segment.author_keys.any_of(&search_keys("Ortiz-Vidal, I."), 1);
            assert!(found.contains(0), "{:?}", bytes[FLAGS]);
        }
        let mut unknown = entry::encode(&paper("Plato"));
        unknown[FLAGS] = 8;
        assert!(SegmentBuilder::new(1).push(&unknown).is_err());
    }
}
