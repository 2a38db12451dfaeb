//! `up`: the platform until a signal.

use crate::Start;
use crate::failure::Failure;
use crate::platform::Platform;

/// Runs the platform.
pub async fn run(start: &Start) -> Result<(), Failure> {
    let platform = Platform::start(start).await?;
    announce(&platform);
    platform.until_stopped().await
}

/// Says where everything is.
pub fn announce(platform: &Platform) {
    let endpoint = &platform.endpoint;
    println!("Broadsheet is up.");
    println!("  pages    {}", endpoint.web);
    println!("  gRPC     {}", endpoint.grpc);
    println!("  metrics  {}/metrics", endpoint.admin);
    println!("Stop it with Ctrl-C.");
}
