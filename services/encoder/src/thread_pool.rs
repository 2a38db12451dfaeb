//! A thread pool whose threads share the work of one sequence.

/// Threads that help with one sequence, see [`Model::encode_split`](crate::Model::encode_split). They sleep when there is
/// nothing to do and end when the pool is dropped.
#[derive(Debug)]
pub struct ThreadPool {
    pool: rayon::ThreadPool,
}

/// The threads of a pool could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {threads} threads for splitting a sequence: {reason}")]
pub struct ThreadPoolError {
    /// Number of threads requested.
    pub threads: usize,
    /// The error of the operating system.
    pub reason: String,
}

impl ThreadPool {
    /// Starts a pool of `threads` threads, at least one. Fails when the system refuses a thread.
    pub fn new(threads: usize) -> Result<Self, ThreadPoolError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|number| format!("encoder-pool-{number}"))
            .build()
            .map_err(|error| ThreadPoolError {
                threads,
                reason: error.to_string(),
            })?;
        Ok(Self { pool })
    }

    /// Number of threads.
    pub fn size(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs work on a thread of the pool, from where it may call [`for_each_parallel`].
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
}

/// Calls `work` with the index of each item and the item, in parallel where threads of the pool are free, and waits for
/// all. Must be called on a thread of the pool.
pub(crate) fn for_each_parallel<T: Send>(items: &mut [T], work: &(impl Fn(usize, &mut T) + Sync)) {
    for_each_from(0, items, work);
}

fn for_each_from<T: Send>(first: usize, items: &mut [T], work: &(impl Fn(usize, &mut T) + Sync)) {
    match items {
        [] => {}
        [item] => work(first, item),
        _ => {
            let middle = items.len() / 2;
            let (left, right) = items.split_at_mut(middle);
            rayon::join(
                || for_each_from(first, left, work),
                || for_each_from(first + middle, right, work),
            );
        }
    }
}
