//! The indexing service as a process of its own.

fn main() -> std::process::ExitCode {
    common::service::main(
        indexing::NAME,
        &[indexing::DEFAULTS],
        indexing::IndexingConfig::read,
        async |config, assembly| indexing::start(config, assembly),
    )
}
