//! `up`: runs the platform until a signal.

use std::io::Write as _;

use common::clock::Clock;

use crate::StartArgs;
use crate::error::CommandError;
use crate::platform::Platform;

/// Runs the platform.
pub async fn run(start: &StartArgs, clock: Clock) -> Result<(), CommandError> {
    let platform = Platform::start(start, "info", clock).await?;
    announce(&platform);
    platform.until_stopped().await
}

/// Prints the addresses. A reader that closed its end of the pipe does not stop the platform.
pub fn announce(platform: &Platform) {
    let endpoint = &platform.endpoint;
    let text = format!(
        "Broadsheet is up.\n  pages    {}\n  gRPC     {}\n  metrics  {}/metrics\nStop it with Ctrl-C.\n",
        endpoint.web, endpoint.grpc, endpoint.admin
    );
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
