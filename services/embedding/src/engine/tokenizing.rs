//! Splits waiting texts into tokens and weighs their terms, on a thread of its own, and hands them on to be computed.
//!
//! A run of texts is handed on together, so that short queries that came together are computed together. It never
//! computes a dense vector.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::Truncate;
use super::errand::Item;
use super::error::TextError;
use super::shared::{Raw, Sequence, Shared, panic_text};
use domain::bm25;
use encoder::{Model, TextKind};

/// Bytes of text per token, on the low side of what abstracts have, for the estimate before a text is split.
const BYTES_PER_TOKEN: usize = 3;
/// Tokens that models put around a text.
const FRAME_TOKENS: usize = 2;

/// What a text of so many bytes will cost, before it is split into tokens.
pub fn estimated_tokens(bytes: usize, max_tokens: usize) -> usize {
    (bytes / BYTES_PER_TOKEN + FRAME_TOKENS).min(max_tokens.max(1))
}

/// Works until the queue is closed and empty.
pub fn run(shared: &Shared) {
    while let Some(taken) = shared.raw.take(|item| item.if_wanted(Instant::now(), &shared.metrics)) {
        let mut ready = Vec::with_capacity(taken.batch.entries.len());
        for Item { mut errand, payload } in taken.batch.entries {
            match tokenized(shared.model.as_ref(), errand.kind, &payload) {
                Ok(sequence) => {
                    // Even nothing costs something, or it would never be counted.
                    let cost = sequence.ids.len().max(1);
                    errand.permit.correct(cost);
                    let item = Item {
                        errand,
                        payload: sequence,
                    };
                    ready.push((item.errand.kind, cost, item));
                }
                Err(error) => errand.fail(error, &shared.metrics),
            }
        }
        shared.ready.push(ready);
    }
}

fn tokenized(model: &dyn Model, kind: TextKind, raw: &Raw) -> Result<Sequence, TextError> {
    let attempt = || {
        let tokens = model.tokenize(kind, &raw.content)?;
        if tokens.truncated && raw.truncate == Truncate::Refuse {
            let max_tokens = model.description().max_tokens;
            return Err(TextError::TooLong { max_tokens });
        }
        let sparse = match kind {
            TextKind::Query => bm25::query_vector(&raw.content),
            TextKind::Document => bm25::paper_vector(&raw.title, &raw.content),
        };
        let sparse = sparse.map_err(|error| TextError::Sparse(error.to_string()))?;
        Ok(Sequence {
            ids: tokens.ids,
            truncated: tokens.truncated,
            sparse,
        })
    };
    // Nothing that a panic could leave half done is used again: the tokenizer is only read.
    catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|panic| Err(TextError::Panicked(panic_text(panic.as_ref()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_stay_between_a_token_and_what_the_model_reads() {
        assert_eq!(estimated_tokens(0, 512), 2);
        assert_eq!(estimated_tokens(30, 512), 12);
        assert_eq!(estimated_tokens(usize::MAX, 512), 512);
        assert_eq!(estimated_tokens(30, 0), 1);
    }
}
