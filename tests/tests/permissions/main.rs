//! Who may do what, checked against running services: every gRPC method with every kind of key, and everything on the bus as each
//! service.
//!
//! Its last line, `permissions: services=5 refused=… allowed=…`, counts the checks; `just permissions` shows it.
#![expect(clippy::unwrap_used, reason = "tests")]

use tests::services::NAMES;

mod bus;
mod grpc;
mod journey;

/// What was tried and how it was answered.
#[derive(Debug, Default, Clone, Copy)]
pub struct Answered {
    /// Refused, as it has to be.
    pub refused: usize,
    /// Allowed, as it has to be.
    pub allowed: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_the_bus_answer_each_caller_as_the_tables_say() {
    let (on_the_bus, methods) = (bus::check().await, grpc::check().await);
    println!(
        "permissions: services={} refused={} allowed={}",
        NAMES.len(),
        on_the_bus.refused + methods.refused,
        on_the_bus.allowed + methods.allowed
    );
}
