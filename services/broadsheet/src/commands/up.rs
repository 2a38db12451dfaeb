//! `up`: the platform until a signal.

use std::io::Write as _;

use crate::Start;
use crate::failure::Failure;
use crate::platform::Platform;

/// Runs the platform.
pub async fn run(start: &Start) -> Result<(), Failure> {
    let platform = Platform::start(start, "info").await?;
    announce(&platform);
    platform.until_stopped().await
}

/// Says where everything is. Whoever started us may have stopped listening; that ends nothing.
pub fn announce(platform: &Platform) {
    let endpoint = &platform.endpoint;
    let text = format!(
        "Broadsheet is up.\n  pages    {}\n  gRPC     {}\n  metrics  {}/metrics\nStop it with Ctrl-C.\n",
        endpoint.web, endpoint.grpc, endpoint.admin
    );
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
