//! The journeys once more, with certificates on both sides of every gRPC hop and for every command: the name of this suite
//! asks for that, see `tests::transport`.

#[path = "five_processes.rs"]
mod five_processes;
#[path = "journeys.rs"]
mod journeys;

#[test]
fn this_suite_has_certificates() {
    assert!(tests::transport::certificates().is_some());
}
