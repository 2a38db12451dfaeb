//! Who may do what, checked against running services: every gRPC method with every kind of key.
//!
//! Its last line, `permissions: services=5 refused=… allowed=…`, counts the checks; `just permissions` shows it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod grpc;

/// What was tried and how it was answered.
#[derive(Debug, Default, Clone, Copy)]
pub struct Answered {
    /// Refused, as it has to be.
    pub refused: usize,
    /// Allowed, as it has to be.
    pub allowed: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_answers_each_key_as_the_table_says() {
    let answered = grpc::check().await;
    println!(
        "permissions: services=5 refused={} allowed={}",
        answered.refused, answered.allowed
    );
}
