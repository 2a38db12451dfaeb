//! The embedding service as a process of its own.

fn main() -> std::process::ExitCode {
    common::service::main(
        embedding::NAME,
        &[embedding::DEFAULTS],
        embedding::EmbeddingConfig::read,
        async |config, assembly| embedding::start(config, assembly).await,
    )
}
