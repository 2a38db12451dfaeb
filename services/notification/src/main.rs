//! The notification service as a process of its own.

fn main() -> std::process::ExitCode {
    common::service::main(
        notification::NAME,
        &[notification::DEFAULTS],
        notification::NotificationConfig::read,
        async |config, assembly| notification::start(config, assembly).await,
    )
}
