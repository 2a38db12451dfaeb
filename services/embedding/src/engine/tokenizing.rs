//! A tokenizer thread: splits waiting texts into tokens, weighs their terms, and queues them for the compute threads.
//!
//! A batch of texts is queued together, so that short queries that arrived together are computed together. No dense vector
//! is computed here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Truncate;
use super::context::{EngineContext, RawText, TokenSequence};
use super::error::TextError;
use super::pending_request::QueuedText;
use common::tasks::panic_message;
use domain::{bm25, text};
use encoder::{Model, TextKind};

/// The estimated number of tokens of a text with this many bytes, before it is split.
pub fn estimated_tokens(bytes: usize, max_tokens: usize) -> usize {
    text::estimated_tokens(bytes).min(max_tokens.max(1))
}

/// Works until the queue is closed and empty.
pub fn run(context: &EngineContext) {
    while let Some(work) = context
        .raw
        .take(|text| text.if_wanted(context.clock.instant(), &context.metrics))
    {
        let mut sequences = Vec::with_capacity(work.batch.entries.len());
        for QueuedText { mut request, payload } in work.batch.entries {
            match tokenize(context.model.as_ref(), request.kind, &payload) {
                Ok(sequence) => {
                    // An empty text costs one token, or it would never be counted.
                    let cost = sequence.ids.len().max(1);
                    request.permit.correct(cost);
                    let text = QueuedText {
                        request,
                        payload: sequence,
                    };
                    sequences.push((text.request.priority, cost, text));
                }
                Err(error) => request.fail(error, &context.metrics),
            }
        }
        context.tokenized.push(sequences);
        context.raw.done(work.batch.priority);
    }
}

fn tokenize(model: &dyn Model, kind: TextKind, raw: &RawText) -> Result<TokenSequence, TextError> {
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
        Ok(TokenSequence {
            ids: tokens.ids,
            truncated: tokens.truncated,
            sparse,
        })
    };
    // A panic can leave nothing half written: the tokenizer is only read.
    catch_unwind(AssertUnwindSafe(attempt))
        .unwrap_or_else(|panic| Err(TextError::Panicked(panic_message(panic.as_ref()).to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_between_one_token_and_what_the_model_reads() {
        assert_eq!(estimated_tokens(0, 512), 2);
        assert_eq!(estimated_tokens(30, 512), 12);
        assert_eq!(estimated_tokens(usize::MAX, 512), 512);
        assert_eq!(estimated_tokens(30, 0), 1);
    }
}
