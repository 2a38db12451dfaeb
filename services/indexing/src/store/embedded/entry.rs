//! What memory holds of a paper, as bytes: the file keeps it beside the paper itself, so that opening decodes no paper.
//!
//! Numbers are little-endian; a text is its length and its bytes; a list is its length and its items. Another layout needs
//! another version of the file, see [`super::schema`].

use domain::{DenseVector, LinkKind, PaperVectors, SparseVector, names};

use crate::store::{IndexedPaper, published_ms};

const HAS_CODE: u8 = 1;
const TRUNCATED: u8 = 2;
/// The keys of the authors are those of [`names::keys`]; entries of earlier versions have fewer.
const NAME_KEYS: u8 = 4;

/// An entry, read in place.
#[derive(Debug, Clone)]
pub struct IndexEntry<'a> {
    /// Id of the paper.
    pub id: &'a str,
    /// When it was published, by [`published_ms`].
    pub published_ms: i64,
    /// Whether there is a link to code.
    pub has_code: bool,
    /// Whether the encoder left out the end of the text.
    pub truncated: bool,
    /// The feed.
    pub source: &'a str,
    /// BCP 47 tag; empty when unknown.
    pub language: &'a str,
    /// Its categories.
    pub categories: TextList<'a>,
    /// Its authors as printed.
    pub authors: TextList<'a>,
    /// The keys that its authors are filtered by; `None` in entries of earlier versions, where they follow from the names.
    pub author_keys: Option<TextList<'a>>,
    dense: &'a [u8],
    terms: &'a [u8],
    weights: &'a [u8],
}

/// Texts in an entry.
#[derive(Debug, Clone, Copy)]
pub struct TextList<'a> {
    items: u32,
    bytes: &'a [u8],
}

/// Why bytes are not an entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// They end too early, or go on behind the end.
    #[error("it has another length than it says")]
    Length,
    /// A flag that this release does not know.
    #[error("its flags are {0:#010b}, of which only the last three are known")]
    Flags(u8),
    /// A text is not UTF-8.
    #[error("a text in it is not UTF-8")]
    Text,
    /// The vector has another length.
    #[error("its dense vector has {found} values instead of {expected}")]
    Dimension {
        /// The collection's.
        expected: usize,
        /// The entry's.
        found: usize,
    },
    /// A vector that cannot be one.
    #[error(transparent)]
    Vector(#[from] domain::vectors::VectorError),
}

/// The bytes of an entry.
pub fn encode(one: &IndexedPaper) -> Vec<u8> {
    let (paper, vectors) = (&one.paper, &one.vectors);
    let keys = names::keys_of_all(&paper.authors);
    let mut out = Vec::with_capacity(512 + vectors.dense.dimension() * 4 + vectors.sparse.indices().len() * 8);
    out.extend(published_ms(paper).to_le_bytes());
    let code = if paper.link(LinkKind::Code).is_some() {
        HAS_CODE
    } else {
        0
    };
    out.push(NAME_KEYS | code | if vectors.truncated { TRUNCATED } else { 0 });
    put_text(&mut out, paper.id.as_str());
    put_text(&mut out, &paper.source);
    put_text(&mut out, &paper.language);
    put_list(&mut out, &paper.categories, String::as_str);
    put_list(&mut out, &paper.authors, domain::AuthorName::as_str);
    put_list(&mut out, &keys, String::as_str);
    put_length(&mut out, vectors.dense.dimension());
    out.extend(vectors.dense.as_slice().iter().flat_map(|value| value.to_le_bytes()));
    put_length(&mut out, vectors.sparse.indices().len());
    out.extend(vectors.sparse.indices().iter().flat_map(|term| term.to_le_bytes()));
    out.extend(vectors.sparse.values().iter().flat_map(|weight| weight.to_le_bytes()));
    out
}

impl<'a> IndexEntry<'a> {
    /// Reads an entry whose vector must have a length.
    pub fn read(bytes: &'a [u8], dimension: usize) -> Result<Self, EntryError> {
        let mut rest = ByteReader(bytes);
        let published_ms = i64::from_le_bytes(rest.array()?);
        let [flags] = rest.array()?;
        if flags & !(HAS_CODE | TRUNCATED | NAME_KEYS) != 0 {
            return Err(EntryError::Flags(flags));
        }
        let (id, source, language) = (rest.text()?, rest.text()?, rest.text()?);
        let (categories, authors, author_keys) = (rest.list()?, rest.list()?, rest.list()?);
        let found = rest.length()?;
        if found != dimension {
            return Err(EntryError::Dimension {
                expected: dimension,
                found,
            });
        }
        let dense = rest.take(found * 4)?;
        let terms = rest.length()?;
        let (terms, weights) = (rest.take(terms * 4)?, rest.take(terms * 4)?);
        if !rest.0.is_empty() {
            return Err(EntryError::Length);
        }
        Ok(Self {
            id,
            published_ms,
            has_code: flags & HAS_CODE != 0,
            truncated: flags & TRUNCATED != 0,
            source,
            language,
            categories,
            authors,
            author_keys: Some(author_keys).filter(|_| flags & NAME_KEYS != 0),
            dense,
            terms,
            weights,
        })
    }

    /// The values of the dense vector.
    pub fn dense(&self) -> impl Iterator<Item = f32> + 'a {
        let (values, _) = self.dense.as_chunks();
        values.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// Terms with their weights.
    pub fn sparse(&self) -> impl Iterator<Item = (u32, f32)> + Clone + 'a {
        let ((terms, _), (weights, _)) = (self.terms.as_chunks(), self.weights.as_chunks());
        let weights = weights.iter().map(|bytes| f32::from_le_bytes(*bytes));
        terms.iter().map(|bytes| u32::from_le_bytes(*bytes)).zip(weights)
    }

    /// Whether it has any term.
    pub fn has_terms(&self) -> bool {
        !self.terms.is_empty()
    }

    /// The vectors, checked.
    pub fn vectors(&self, encoder: &domain::EncoderId) -> Result<PaperVectors, EntryError> {
        let (terms, weights) = self.sparse().unzip();
        Ok(PaperVectors {
            encoder: encoder.clone(),
            dense: DenseVector::new(self.dense().collect())?,
            sparse: SparseVector::new(terms, weights)?,
            truncated: self.truncated,
        })
    }
}

impl<'a> TextList<'a> {
    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = ByteReader(self.bytes);
        // The list was read to its end before, so each text is there.
        (0..self.items).map(move |_| rest.text().unwrap_or_default())
    }
}

/// Reads bytes from the front.
struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], EntryError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(EntryError::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EntryError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(EntryError::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn length(&mut self) -> Result<usize, EntryError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn text(&mut self) -> Result<&'a str, EntryError> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| EntryError::Text)
    }

    fn list(&mut self) -> Result<TextList<'a>, EntryError> {
        let items = u32::from_le_bytes(self.array()?);
        let begin = self.0;
        for _ in 0..items {
            self.text()?;
        }
        let bytes = &begin[..begin.len() - self.0.len()];
        Ok(TextList { items, bytes })
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend(super::value_index::number(length).to_le_bytes());
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], text: impl Fn(&T) -> &str) {
    put_length(out, list.len());
    for item in list {
        put_text(out, text(item));
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend(text.as_bytes());
}
