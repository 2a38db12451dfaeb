//! The platform over Qdrant: a server that the environment names, and one that is supervised here. The servers are made of
//! Qdrant's own Python package; the store itself is held to the suite of the indexing crate.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use tests::qdrant::{Server, program};
use tests::{Platform, processes_over, ran, up};

const PAPER: &str = r#"{"id":"arxiv:2402.14776","title":"Sleepy consensus","abstract":"Leader election that sleeps."}"#;

fn store(platform: &Platform) -> String {
    let status = platform.must(&["status", "--json"]).json();
    status["index"]["store"].as_str().unwrap().to_owned()
}

fn finds_its_paper(platform: &Platform) -> bool {
    let found = platform.must(&["search", "leader election", "--json"]).json();
    found["results"][0]["id"] == "arxiv:2402.14776"
}

fn take(platform: &Platform) {
    let taken = platform.run_with_input(&["ingest", "-", "--wait"], PAPER);
    assert_eq!(taken.status, 0, "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_environment_names_holds_the_catalogue() {
    let mut server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start_with(folder.path(), &[("QDRANT_URL", &server.url)]);
    assert_eq!(store(&platform), "qdrant");
    take(&platform);
    assert!(finds_its_paper(&platform));
    assert_eq!(platform.stop(), 0);
    let platform = Platform::start_with(folder.path(), &[("QDRANT_URL", &server.url)]);
    assert!(finds_its_paper(&platform), "the restart finds it again");
    assert_eq!(platform.stop(), 0);
    server.stop().await;
}

#[test]
fn a_catalogue_in_an_installed_qdrant_stays_there() {
    let (folder, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let qdrant = program(tools.path());
    let installed = [
        ("QDRANT_URL", ""),
        ("BROADSHEET_QDRANT_SERVER", qdrant.to_str().unwrap()),
    ];
    let platform = Platform::start_with(folder.path(), &installed);
    assert_eq!(store(&platform), "qdrant");
    take(&platform);
    assert!(finds_its_paper(&platform));
    assert_eq!(platform.stop(), 0);
    assert_eq!(processes_over(folder.path()), Vec::<String>::new());

    let without = ran(up(folder.path())
        .envs([("QDRANT_URL", ""), ("BROADSHEET_QDRANT_SERVER", "")])
        .output()
        .unwrap());
    assert_eq!(without.status, 1, "{without:?}");
    assert!(without.err.contains("is in Qdrant, and no qdrant"), "{without:?}");
}

#[test]
fn an_embedded_catalogue_stays_when_qdrant_is_installed_later() {
    let (folder, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |folder: &Path, qdrant: &str| {
        Platform::start_with(folder, &[("QDRANT_URL", ""), ("BROADSHEET_QDRANT_SERVER", qdrant)])
    };
    let platform = start(folder.path(), "");
    assert_eq!(store(&platform), "embedded");
    take(&platform);
    assert_eq!(platform.stop(), 0);
    let platform = start(folder.path(), program(tools.path()).to_str().unwrap());
    assert_eq!(store(&platform), "embedded");
    assert!(finds_its_paper(&platform));
    assert_eq!(platform.stop(), 0);
}
