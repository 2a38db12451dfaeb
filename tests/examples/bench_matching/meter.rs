//! Time of the processor and memory of this process.

use anyhow::Context as _;
use nix::time::{ClockId, clock_gettime};

/// Seconds that the calling thread has computed.
pub fn thread_s() -> anyhow::Result<f64> {
    let spent = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(std::time::Duration::from(spent).as_secs_f64())
}

/// A line of `/proc/self/status`: `VmRSS` for what is resident now, `VmHWM` for the most that ever was.
pub fn rss_mb(line: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find(|one| one.starts_with(line)).context("a line")?;
    let kilobytes: u64 = found.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kilobytes / 1_024)
}

/// Lets the most that ever was begin anew.
pub fn forget_most() -> anyhow::Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}
