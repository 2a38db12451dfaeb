//! The threads of an engine: starts them, reports when one panics, and joins them at the end.
//!
//! They are operating system threads rather than tasks, because they compute all the time. The service hands
//! [`EngineThreads::failure`] to its supervisor, so a thread that panics ends the process.

use std::future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use common::tasks::panic_message;
use tokio::sync::watch;

use super::context::EngineContext;
use super::error::EngineError;
use super::{EngineConfig, computing, tokenizing};

/// A thread of an engine that panicked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("thread {thread} panicked: {message}")]
pub struct ThreadFailure {
    /// Name of the thread.
    pub thread: String,
    /// Message of the panic.
    pub message: String,
}

type FailureSender = watch::Sender<Option<ThreadFailure>>;

/// The threads of an engine. Dropping them finishes what waits and ends them.
pub struct EngineThreads {
    context: Arc<EngineContext>,
    tokenizing: Vec<JoinHandle<()>>,
    computing: Vec<JoinHandle<()>>,
    failures: FailureSender,
}

impl EngineThreads {
    /// Starts them. Fails when the system refuses a thread.
    pub fn start(context: &Arc<EngineContext>, config: &EngineConfig) -> Result<Self, EngineError> {
        let mut threads = Self {
            context: Arc::clone(context),
            tokenizing: Vec::with_capacity(config.tokenizer_threads),
            computing: Vec::with_capacity(config.threads),
            failures: watch::Sender::new(None),
        };
        for number in 0..config.tokenizer_threads {
            let context = Arc::clone(context);
            let work = move || tokenizing::run(&context);
            let thread = start_thread(format!("tokenize-{number}"), &threads.failures, work)?;
            threads.tokenizing.push(thread);
        }
        for number in 0..config.threads {
            let context = Arc::clone(context);
            let work = move || computing::run(&context);
            let thread = start_thread(format!("encode-{number}"), &threads.failures, work)?;
            threads.computing.push(thread);
        }
        Ok(threads)
    }

    /// Returns the first panic of a thread; never returns if there is none.
    pub fn failure(&self) -> impl Future<Output = ThreadFailure> + Send + use<> {
        first_failure(self.failures.subscribe())
    }
}

impl Drop for EngineThreads {
    fn drop(&mut self) {
        self.context.raw.close();
        join(&mut self.tokenizing);
        self.context.tokenized.close();
        join(&mut self.computing);
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        // A panic was caught in the thread and reported by it.
        let _ = thread.join();
    }
}

fn start_thread(
    name: String,
    failures: &FailureSender,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, EngineError> {
    let (thread, failures) = (name.clone(), failures.clone());
    let reported = move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let message = panic_message(panic.as_ref()).to_owned();
            failures.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(ThreadFailure { thread, message });
                is_first
            });
        }
    };
    thread::Builder::new()
        .name(name)
        .spawn(reported)
        .map_err(EngineError::Thread)
}

async fn first_failure(mut failures: watch::Receiver<Option<ThreadFailure>>) -> ThreadFailure {
    // An error means that all threads have ended without a panic.
    let failure = failures.wait_for(Option::is_some).await;
    let failure = failure.ok().and_then(|failure| failure.clone());
    match failure {
        Some(failure) => failure,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_thread_is_reported_with_its_name() {
        let failures = FailureSender::new(None);
        let receiver = failures.subscribe();
        let start = |name: &str, work: fn()| start_thread(name.to_owned(), &failures, work).expect("a thread");
        start("encode-0", || ()).join().expect("no panic");
        assert_eq!(first_failure(receiver.clone()).now_or_never(), None);
        start("encode-1", || panic!("row {}", 7)).join().expect("caught");
        start("encode-2", || panic!("row 8")).join().expect("caught");
        let failure = first_failure(receiver).await;
        assert_eq!(failure.to_string(), "thread encode-1 panicked: row 7");
    }
}
