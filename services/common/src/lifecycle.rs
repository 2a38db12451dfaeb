//! Start and stop: the first signal drains, the second one or the deadline exits.
//!
//! It never cuts off work that has begun before the deadline.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Exit status after a second signal or a missed deadline.
pub const EXIT_HARD: i32 = 130;

/// Cancels the token at the first SIGINT or SIGTERM, and ends the process at the second one or `drain` later.
#[expect(
    clippy::disallowed_methods,
    reason = "this task outlives the supervisor: it ends the process that does not stop"
)]
pub fn on_signals(stop: CancellationToken, drain: Duration) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = stop.cancelled() => {}
        }
        info!("stopping: finishing the work that has begun; a second signal exits at once");
        stop.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = tokio::time::sleep(drain) => {}
        }
        warn!("not drained; exiting all the same, unacknowledged messages will be delivered again");
        std::process::exit(EXIT_HARD);
    });
    Ok(())
}
