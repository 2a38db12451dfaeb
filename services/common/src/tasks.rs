//! Tasks that somebody watches: a part of the process that ends or panics ends the process, a job that panics is told to
//! whoever waits for it, and both are logged once with their names.
//!
//! Nothing outside this crate starts a task in another way; `clippy.toml` forbids it. Many pieces of one piece of work
//! belong in a [`tokio::task::JoinSet`] of whoever awaits them.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, error};

use crate::metrics::TASK_PANICS;

/// A part of the process that ended although it should run until the stop.
#[derive(Debug, thiserror::Error)]
#[error("{name} {problem}")]
pub struct TaskFailure {
    /// The name of the task.
    pub name: &'static str,
    /// How it ended, as the predicate of a sentence.
    pub problem: String,
}

/// A job that ended without a result because it panicked, or because the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} ended without a result")]
pub struct JobLost(pub &'static str);

/// Starts tasks. Clones belong to the same supervisor.
#[derive(Clone)]
pub struct Tasks {
    running: TaskTracker,
    failures: mpsc::UnboundedSender<TaskFailure>,
    stop: CancellationToken,
    /// Cancelled when everything that the stop waits for has ended.
    ended: CancellationToken,
}

/// Watches over tasks: stops all of them when one fails, and returns when all have ended.
pub struct Supervisor {
    tasks: Tasks,
    failures: mpsc::UnboundedReceiver<TaskFailure>,
}

/// The result of a job that goes on whether or not anybody waits for it.
pub struct Job<T> {
    name: &'static str,
    result: oneshot::Receiver<T>,
}

impl Supervisor {
    /// Over tasks that run until `stop` is cancelled.
    pub fn new(stop: CancellationToken) -> Self {
        let (sender, failures) = mpsc::unbounded_channel();
        let tasks = Tasks {
            running: TaskTracker::new(),
            failures: sender,
            stop,
            ended: CancellationToken::new(),
        };
        Self { tasks, failures }
    }

    /// What starts tasks under this supervisor.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Returns when all tasks have ended, which they do after the stop, and then ends those that work for them; the first
    /// failure is the answer. A failure stops the others.
    pub async fn run(mut self) -> Result<(), TaskFailure> {
        self.tasks.running.close();
        let mut first = None;
        loop {
            let failure = tokio::select! {
                biased;
                Some(failure) = self.failures.recv() => failure,
                () = self.tasks.running.wait() => break,
            };
            first.get_or_insert(failure);
        }
        self.tasks.ended.cancel();
        // The last one may have failed on its way out.
        if let Ok(failure) = self.failures.try_recv() {
            first.get_or_insert(failure);
        }
        first.map_or(Ok(()), Err)
    }
}

impl Tasks {
    /// Runs a part of the process, which is to last until the stop. An error, a panic or an end before the stop fails
    /// the process.
    pub fn run<E: fmt::Display + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.spawn(self.clone().watch(name, task));
    }

    /// Runs a part of the process that works for other tasks, such as one that sends their requests together. It goes on
    /// after the stop until they have ended, and is not waited for: a connection that was cut off may hold a handle to it.
    /// A panic, or an end before the stop, fails the process.
    #[expect(clippy::disallowed_methods, reason = "the stop does not wait for this one")]
    pub fn run_for_others(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        let task = async move {
            tokio::select! {
                () = task => {}
                () = ended.cancelled() => {}
            }
            Ok::<(), std::convert::Infallible>(())
        };
        tokio::spawn(self.clone().watch(name, task).instrument(Span::current()));
    }

    /// Runs a part of the process that cannot fail other than by a panic or an early end.
    pub fn run_infallible(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.run(name, async move {
            task.await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Starts a job with an end of its own. It goes on when nobody waits for it, and the stop waits for it. A panic is
    /// logged and counted, and ends this job alone.
    pub fn job<T: Send + 'static>(&self, name: &'static str, job: impl Future<Output = T> + Send + 'static) -> Job<T> {
        let (sender, result) = oneshot::channel();
        self.spawn(async move {
            match AssertUnwindSafe(job).catch_unwind().await {
                Ok(output) => {
                    // Who started it need not wait.
                    let _ = sender.send(output);
                }
                Err(panic) => log_panic(name, panic.as_ref()),
            }
        });
        Job { name, result }
    }

    /// Cancelled at the stop.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a part of the process; reports its failure, and stops the others.
    async fn watch<E: fmt::Display>(self, name: &'static str, task: impl Future<Output = Result<(), E>>) {
        let problem = match AssertUnwindSafe(task).catch_unwind().await {
            Ok(Ok(())) if self.stop.is_cancelled() => return,
            Ok(Ok(())) => "ended before the stop".to_owned(),
            Ok(Err(error)) => format!("failed: {error}"),
            Err(panic) => {
                TASK_PANICS.with_label_values(&[name]).inc();
                format!("panicked: {}", panic_message(panic.as_ref()))
            }
        };
        error!(task = name, problem, "stopping because a part of the process ended");
        // Before the stop, at which the supervisor may return. Nobody is left to be told only where it is gone, and the
        // process with it.
        let _ = self.failures.send(TaskFailure { name, problem });
        self.stop.cancel();
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts tasks")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.running.track_future(task).instrument(Span::current()));
    }
}

impl<T> Job<T> {
    /// Waits for the result.
    pub async fn result(self) -> Result<T, JobLost> {
        self.result.await.map_err(|_| JobLost(self.name))
    }
}

/// Runs work that keeps a thread busy, such as a decode or a look at the disk, beside the tasks, and waits for it. A panic
/// of the work is a panic here.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that moves work to a blocking thread"
)]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is going down, and nothing goes on from here.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The result of one piece of work among several, or nothing where it panicked: the others go on. The panic is logged and
/// counted under the name.
pub async fn contained<T>(name: &'static str, work: impl Future<Output = T>) -> Option<T> {
    let output = AssertUnwindSafe(work).catch_unwind().await;
    output.inspect_err(|panic| log_panic(name, panic.as_ref())).ok()
}

fn log_panic(name: &'static str, panic: &(dyn Any + Send)) {
    TASK_PANICS.with_label_values(&[name]).inc();
    error!(
        task = name,
        problem = panic_message(panic),
        "a job panicked; the process goes on"
    );
}

/// The message of a panic that was caught.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervisor() -> (Supervisor, Tasks, CancellationToken) {
        let stop = CancellationToken::new();
        let supervisor = Supervisor::new(stop.clone());
        let tasks = supervisor.tasks();
        (supervisor, tasks, stop)
    }

    #[tokio::test]
    async fn a_panic_in_one_part_stops_the_others_and_is_named() {
        let (supervisor, tasks, stop) = supervisor();
        let stopped = stop.clone();
        tasks.run_infallible("the quiet part", async move { stopped.cancelled().await });
        tasks.run_infallible("the part that panics", async { panic!("out of paper") });
        let failure = supervisor.run().await.expect_err("a failure");
        assert_eq!(failure.to_string(), "the part that panics panicked: out of paper");
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_process_whose_part_failed_is_not_ready() {
        let (supervisor, tasks, stop) = supervisor();
        let readiness = crate::admin::Readiness::new(stop);
        assert!(readiness.is_ready());
        tasks.run_infallible("a part", async { panic!("torn") });
        supervisor.run().await.expect_err("a failure");
        assert!(!readiness.is_ready());
    }

    #[tokio::test]
    async fn an_early_end_is_a_failure_and_one_after_the_stop_is_none() {
        let (supervisor, tasks, _stop) = supervisor();
        tasks.run_infallible("reading", async {});
        let failure = supervisor.run().await.expect_err("a failure");
        assert_eq!(failure.to_string(), "reading ended before the stop");

        let (supervisor, tasks, stop) = self::supervisor();
        stop.cancel();
        tasks.run_infallible("reading", async {});
        supervisor.run().await.expect("no failure");
    }

    #[tokio::test]
    async fn an_error_says_which_part_failed() {
        let (supervisor, tasks, _stop) = supervisor();
        tasks.run("reading", async { Err("no such stream") });
        let failure = supervisor.run().await.expect_err("a failure");
        assert_eq!(failure.to_string(), "reading failed: no such stream");
    }

    #[tokio::test]
    async fn a_job_that_panics_ends_alone() {
        let (supervisor, tasks, stop) = supervisor();
        let lost = tasks.job("a bad job", async { panic!("spilled") });
        let good = tasks.job("a good job", async { 7 });
        assert_eq!(lost.result().await, Err::<(), _>(JobLost("a bad job")));
        assert_eq!(good.result().await, Ok(7));
        assert!(!stop.is_cancelled());
        stop.cancel();
        supervisor.run().await.expect("no failure");
    }

    #[tokio::test]
    async fn the_stop_waits_for_jobs_nobody_waits_for() {
        let (supervisor, tasks, stop) = supervisor();
        let (sender, receiver) = oneshot::channel();
        let (done, mut finished) = oneshot::channel();
        drop(tasks.job("a job", async move {
            receiver.await.expect("told to go on");
            done.send(()).expect("somebody listens");
        }));
        stop.cancel();
        sender.send(()).expect("the job listens");
        supervisor.run().await.expect("no failure");
        finished.try_recv().expect("the job has ended");
    }

    #[tokio::test]
    async fn who_works_for_others_outlives_the_stop_but_not_them() {
        let (supervisor, tasks, stop) = supervisor();
        // Held as by a connection that hangs: it is never dropped.
        let (requests, mut received) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        tasks.run_for_others("answers", async move {
            while let Some(request) = received.recv().await {
                request.send(()).expect("somebody waits");
            }
        });
        let (stopped, asking) = (stop.clone(), requests.clone());
        tasks.run_infallible("a part that asks after the stop", async move {
            stopped.cancelled().await;
            let (sender, answer) = oneshot::channel();
            asking.send(sender).expect("answers are given");
            answer.await.expect("an answer");
        });
        stop.cancel();
        supervisor.run().await.expect("no failure");
        requests.closed().await;
    }

    #[tokio::test]
    async fn a_panic_of_who_works_for_others_is_a_failure() {
        let (supervisor, tasks, _stop) = supervisor();
        let stopped = tasks.stop().clone();
        tasks.run_infallible("a part", async move { stopped.cancelled().await });
        tasks.run_for_others("answers", async { panic!("torn") });
        let failure = supervisor.run().await.expect_err("a failure");
        assert_eq!(failure.to_string(), "answers panicked: torn");
    }

    #[tokio::test]
    async fn one_panic_among_several_is_contained() {
        let mut outputs = Vec::new();
        for number in 0..3 {
            outputs.push(
                contained("a piece", async move {
                    assert_ne!(number, 1);
                    number
                })
                .await,
            );
        }
        assert_eq!(outputs, [Some(0), None, Some(2)]);
    }

    #[tokio::test]
    #[should_panic(expected = "torn")]
    async fn a_panic_of_blocking_work_reaches_who_waits() {
        blocking(|| panic!("torn")).await;
    }
}
