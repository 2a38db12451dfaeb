//! The ingest service as a process of its own.

fn main() -> std::process::ExitCode {
    common::service::main(
        ingest::NAME,
        &[ingest::DEFAULTS],
        ingest::IngestConfig::read,
        async |config, assembly| ingest::start(config, assembly).await,
    )
}
