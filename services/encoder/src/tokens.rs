//! Text to token ids, with the tokenizer in the model's `tokenizer.json`.
//!
//! A text that the model cannot read has no tokens, see [`Vocabulary`].

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use tokenizers::{PostProcessor as _, Tokenizer, TruncationDirection};

use crate::error::{LoadError, TokenizeError};
use crate::files::{corrupt, read};
use crate::layout::Prefixes;
use crate::vocabulary::{UNKNOWN, Vocabulary};

/// Bytes of text considered per token that the model reads, so that a huge text costs no more than a long one.
const MAX_BYTES_PER_TOKEN: usize = 64;

/// The kind of a text; some models put a different prefix before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// A search query, or an interest in a reader's words.
    Query,
    /// A title and abstract.
    Document,
}

/// The token ids of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Rows of the model's embedding table, special tokens included. None where the model can read less than half of the
    /// words, as in a script that it was not trained on: what it would make of their letters means nothing.
    pub ids: Vec<u32>,
    /// True when the text was longer than the model reads and its end was cut off.
    pub truncated: bool,
}

/// A tokenizer whose ids all have a row in the model.
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    prefixes: Prefixes,
    max_tokens: usize,
    special: SpecialTokens,
}

/// How special tokens are treated.
enum SpecialTokens {
    /// The tokenizer adds this many, as the model was trained.
    Added(usize),
    /// None are added, and the token for unknown words, if there is one, is removed.
    Dropped(Option<u32>),
}

impl TextTokenizer {
    /// Reads a tokenizer whose ids must be below `rows`, for a model trained with special tokens.
    pub(crate) fn with_special_tokens(
        folder: &Path,
        rows: usize,
        max_tokens: usize,
        prefixes: Prefixes,
    ) -> Result<Self, LoadError> {
        let tokenizer = read_tokenizer(&folder.join("tokenizer.json"), rows)?;
        let added = tokenizer
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(false));
        if added >= max_tokens {
            let found = format!("{added} special tokens around a text");
            let expected = format!("fewer than {max_tokens}, the most that the model reads");
            return Err(corrupt(&folder.join("tokenizer.json"), found, expected));
        }
        Ok(Self {
            vocabulary: Vocabulary::of(&tokenizer),
            tokenizer,
            prefixes,
            max_tokens,
            special: SpecialTokens::Added(added),
        })
    }

    /// Reads a tokenizer whose ids must be below `rows`, for a model without special tokens.
    pub(crate) fn without_special_tokens(
        folder: &Path,
        rows: usize,
        max_tokens: usize,
        prefixes: Prefixes,
    ) -> Result<Self, LoadError> {
        let tokenizer = read_tokenizer(&folder.join("tokenizer.json"), rows)?;
        let special = SpecialTokens::Dropped(tokenizer.token_to_id(UNKNOWN));
        Ok(Self {
            vocabulary: Vocabulary::of(&tokenizer),
            tokenizer,
            prefixes,
            max_tokens,
            special,
        })
    }

    pub(crate) fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        let read = &text[..text.floor_char_boundary(self.max_tokens * MAX_BYTES_PER_TOKEN)];
        let prefix = match kind {
            TextKind::Query => &self.prefixes.query,
            TextKind::Document => &self.prefixes.document,
        };
        let split = || match prefix.as_str() {
            "" => self.split(read, 0),
            prefix => {
                let before = self.tokenizer.encode_fast(prefix, false)?.len();
                self.split(&format!("{prefix}{read}"), before)
            }
        };
        let mut tokens = guarded(split).map_err(|reason| TokenizeError { reason })?;
        tokens.truncated |= read.len() < text.len();
        Ok(tokens)
    }

    /// The tokens of a text that begins with a prefix of about so many tokens, which says nothing of what can be read.
    fn split(&self, text: &str, prefix: usize) -> tokenizers::Result<Tokens> {
        let mut encoding = self.tokenizer.encode_fast(text, false)?;
        let own = encoding.get_ids().get(prefix..).unwrap_or_default();
        if !self.vocabulary.can_read(own) {
            return Ok(Tokens {
                ids: Vec::new(),
                truncated: false,
            });
        }
        match self.special {
            SpecialTokens::Added(added) => {
                let room = self.max_tokens - added;
                let truncated = encoding.len() > room;
                if truncated {
                    encoding.truncate(room, 0, TruncationDirection::Right);
                }
                let encoding = self.tokenizer.post_process(encoding, None, true)?;
                let ids = encoding.get_ids().to_vec();
                Ok(Tokens { ids, truncated })
            }
            SpecialTokens::Dropped(unknown) => {
                let mut known = encoding.get_ids().iter().copied().filter(|id| Some(*id) != unknown);
                let ids = known.by_ref().take(self.max_tokens).collect();
                let truncated = known.next().is_some();
                Ok(Tokens { ids, truncated })
            }
        }
    }
}

/// Calls the tokenizers library, which panics on some damaged files instead of returning an error.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizer panicked".to_owned()),
    }
}

fn read_tokenizer(path: &Path, rows: usize) -> Result<Tokenizer, LoadError> {
    let expected = format!("a tokenizer in JSON whose token ids are below {rows}, the rows of model.safetensors");
    let bytes = read(path)?;
    let mut tokenizer = guarded(|| Tokenizer::from_bytes(bytes))
        .map_err(|reason| corrupt(path, format!("unexpected JSON ({reason})"), expected.clone()))?;
    let highest = tokenizer.get_vocab(true).into_values().max();
    match highest {
        None => return Err(corrupt(path, "no token".to_owned(), expected)),
        Some(id) if id as usize >= rows => return Err(corrupt(path, format!("token id {id}"), expected)),
        Some(_) => {}
    }
    tokenizer
        .with_padding(None)
        .with_truncation(None)
        .map_err(|error| corrupt(path, format!("settings that cannot be changed ({error})"), expected))?;
    Ok(tokenizer)
}
