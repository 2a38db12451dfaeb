//! How long an answer takes beyond the services it asks: what is waited for is told apart from what is done here.
//!
//! It measures; it never delays or limits anything.

use std::cell::Cell;
use std::time::{Duration, Instant};

tokio::task_local! {
    static WAITED: Waited;
}

/// The waiting of one request so far.
#[derive(Default)]
struct Waited {
    /// How many things are waited for now; time in which there are several counts once.
    open: Cell<u32>,
    since: Cell<Option<Instant>>,
    total: Cell<Duration>,
}

/// How long a request took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// In waiting for services.
    pub services: Duration,
    /// In everything else.
    pub own: Duration,
}

/// Runs the answering of one request and says how long it took.
pub async fn measured<F: Future>(answering: F) -> (F::Output, Took) {
    let began = Instant::now();
    let scope = WAITED.scope(Waited::default(), async {
        let answer = answering.await;
        (answer, WAITED.with(|waited| waited.total.get()))
    });
    let (answer, services) = scope.await;
    let own = began.elapsed().saturating_sub(services);
    (answer, Took { services, own })
}

/// Counts the time until something is there as waiting, where it is awaited within [`measured`]. Calls over a
/// [`crate::grpc::ServiceChannel`] do so by themselves.
pub async fn waiting<F: Future>(for_what: F) -> F::Output {
    let _open = Open::new();
    for_what.await
}

/// Something is waited for, until it comes or nobody wants it any more.
struct Open;

impl Open {
    fn new() -> Self {
        let _ = WAITED.try_with(|waited| {
            if waited.open.replace(waited.open.get() + 1) == 0 {
                waited.since.set(Some(Instant::now()));
            }
        });
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = WAITED.try_with(|waited| {
            let open = waited.open.get().saturating_sub(1);
            waited.open.set(open);
            if open == 0
                && let Some(since) = waited.since.take()
            {
                waited.total.set(waited.total.get() + since.elapsed());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn concurrent_calls_count_once_apart_from_own_time() {
        let began = Instant::now();
        let call = || waiting(tokio::time::sleep(CALL));
        let (answer, took) = measured(async {
            tokio::join!(call(), call());
            call().await;
            std::thread::sleep(CALL);
            7
        })
        .await;
        assert_eq!(answer, 7);
        assert!(took.services >= 2 * CALL && took.own >= CALL, "{took:?}");
        // Two that ran at the same time and were counted twice would be more than all of it.
        assert!(took.services + took.own <= began.elapsed(), "{took:?}");
        assert!(took.services + CALL < began.elapsed(), "{took:?}");
    }

    #[tokio::test]
    async fn waiting_that_is_given_up_ends() {
        let ((), took) = measured(async {
            let _ = tokio::time::timeout(CALL, waiting(std::future::pending::<()>())).await;
            std::thread::sleep(2 * CALL);
        })
        .await;
        assert!(took.services >= CALL && took.own >= 2 * CALL, "{took:?}");
    }
}
