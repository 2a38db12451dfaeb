//! Splits lists of sequences into micro-batches, and encodes them on several threads that share one queue.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::EncodeError;
use crate::model::Model;
use crate::workspace::Workspace;

/// Tokens in a micro-batch: enough to keep the arithmetic units busy, few enough to fit the caches and to balance the
/// load between threads.
pub const MICRO_BATCH_TOKENS: usize = 512;

/// Ranges of consecutive sequences that together have at most `budget` tokens; a longer sequence gets a range of its own.
pub fn micro_batches(lengths: impl IntoIterator<Item = usize>, budget: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut first, mut tokens, mut count) = (0, 0, 0);
    for length in lengths {
        if count > first && tokens + length > budget {
            batches.push(first..count);
            (first, tokens) = (count, 0);
        }
        tokens += length;
        count += 1;
    }
    if count > first {
        batches.push(first..count);
    }
    batches
}

/// Encodes a list on as many threads as there are workspaces, one of them the calling thread. A thread that is free takes
/// the next micro-batch, so none waits for another until the list is empty. `out` is as for [`Model::encode`].
pub fn encode_all(
    model: &dyn Model,
    sequences: &[&[u32]],
    workspaces: &mut [Workspace],
    out: &mut [f32],
) -> Result<(), EncodeError> {
    let dimension = model.description().dimension;
    if sequences.len().checked_mul(dimension) != Some(out.len()) {
        return Err(EncodeError::OutputSize {
            found: out.len(),
            sequences: sequences.len(),
            dimension,
        });
    }
    let mut queue = Vec::new();
    let mut rest = out;
    for range in micro_batches(sequences.iter().map(|ids| ids.len()), MICRO_BATCH_TOKENS) {
        let (out, others) = rest.split_at_mut(range.len() * dimension);
        queue.push((range, out));
        rest = others;
    }
    let threads = workspaces.len().min(queue.len());
    let queue = Mutex::new(queue.into_iter());
    let work = |workspace: &mut Workspace| {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((range, out)) = next else { return Ok(()) };
            let first = range.start;
            model
                .encode(&sequences[range], workspace, out)
                .map_err(|error| error.shifted(first, sequences.len()))?;
        }
    };
    let Some((own, others)) = workspaces[..threads].split_first_mut() else {
        return work(&mut Workspace::default());
    };
    thread::scope(|scope| {
        let handles: Vec<_> = others
            .iter_mut()
            .map(|workspace| scope.spawn(|| work(workspace)))
            .collect();
        let mut result = work(own);
        for handle in handles {
            let other = handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(other);
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fill_the_budget_and_long_sequences_go_alone() {
        assert_eq!(micro_batches([3, 4, 9, 1, 1], 8), [0..2, 2..3, 3..5]);
        assert_eq!(micro_batches([0, 0, 8, 0, 1], 8), [0..4, 4..5]);
        assert!(micro_batches([], 8).is_empty());
    }
}
