//! The web front as a process of its own.

fn main() -> std::process::ExitCode {
    common::service::main(
        web::NAME,
        &[web::DEFAULTS],
        web::WebConfig::read,
        async |config, assembly| {
            let pages = web::bind(&config).await?;
            web::start(&config, pages, assembly)
        },
    )
}
