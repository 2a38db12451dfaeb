//! Threads that share the work of one sequence.

use rayon::ThreadPool;

/// Threads that wait for parts of a sequence, see [`Model::encode_split`](crate::Model::encode_split). They sleep when
/// there is nothing to do and end when the crew is dropped.
#[derive(Debug)]
pub struct Crew {
    pool: ThreadPool,
}

/// Threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{threads} threads for splitting a sequence cannot be started: {reason}")]
pub struct CrewError {
    /// How many were wanted.
    pub threads: usize,
    /// What the system said.
    pub reason: String,
}

impl Crew {
    /// Starts threads; at least one.
    pub fn new(threads: usize) -> Result<Self, CrewError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|number| format!("encoder-crew-{number}"))
            .build()
            .map_err(|error| CrewError {
                threads,
                reason: error.to_string(),
            })?;
        Ok(Self { pool })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs something on a thread of the crew, where [`share`] may be called.
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
}

/// Runs work on each part, at the same time as far as threads of the crew are free, and waits for all. To be called on a
/// thread of the crew.
pub(crate) fn share<T: Send>(parts: &mut [T], work: &(impl Fn(usize, &mut T) + Sync)) {
    share_from(0, parts, work);
}

fn share_from<T: Send>(first: usize, parts: &mut [T], work: &(impl Fn(usize, &mut T) + Sync)) {
    match parts {
        [] => {}
        [part] => work(first, part),
        _ => {
            let middle = parts.len() / 2;
            let (left, right) = parts.split_at_mut(middle);
            rayon::join(
                || share_from(first, left, work),
                || share_from(first + middle, right, work),
            );
        }
    }
}
