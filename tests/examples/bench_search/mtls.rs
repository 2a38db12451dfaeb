//! What certificates on both sides of every hop cost a search: two platforms over the same papers, asked in turn by one client
//! each, so that whatever else the machine does hits both.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use common::tls::ClientTls;
use tests::certificates::Certificates;
use tests::transport::client_tls;

use crate::load::{Load, Run};
use crate::platform::Platform;

/// Searches between two changes.
const TURN: usize = 25;

/// The median with certificates, as a multiple of the one without. Each of the queries is asked once of both.
pub async fn ratio(folder: &Path, model: &str, queries: Vec<String>) -> anyhow::Result<f64> {
    let copy = folder.with_extension("mtls");
    // The store is a folder of files, and nobody uses it now.
    let copied = Command::new("cp").arg("-r").arg(folder).arg(&copy).status()?;
    ensure!(copied.success(), "{} is not copied", folder.display());
    let certificates = Certificates::make();
    let plain = Platform::start(folder.to_owned(), model)?;
    let mtls = Platform::start_with(copy, model, &certificates.environment())?;
    ensure!(
        mtls.grpc().starts_with("https://"),
        "the second platform has no certificates"
    );
    let loads = [
        Load::to(&plain.grpc(), &ClientTls::default())?,
        Load::to(&mtls.grpc(), &client_tls(&certificates))?,
    ];
    let mut times = [Vec::new(), Vec::new()];
    for (turn, some) in queries.chunks(TURN).enumerate() {
        // The first to ask is another one each time.
        for which in [turn % 2, (turn + 1) % 2] {
            let run = loads[which].run(some.to_vec(), 1).await?;
            // What is read for the first time is not what is measured.
            if turn > 0 {
                times[which].extend(run.times);
            }
        }
    }
    let [of_plain, of_mtls] = times.map(|times| {
        let seconds = times.iter().sum();
        Run::of(times, seconds)
    });
    println!("one client without TLS: {of_plain}");
    println!("one client with mTLS:   {of_mtls}");
    plain.stop()?;
    mtls.stop()?;
    Ok(of_mtls.p50_ms / of_plain.p50_ms)
}
