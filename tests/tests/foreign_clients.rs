//! A client in another language, which knows the contract by reflection alone: Python's grpcio with dynamic messages.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use serde_json::Value;
use tests::{Platform, python, ran};

const SERVICES: [&str; 9] = [
    "broadsheet.attention.v1.AttentionService",
    "broadsheet.delivery.v1.DeliveryService",
    "broadsheet.embedding.v1.EmbeddingService",
    "broadsheet.index.v1.IndexAdminService",
    "broadsheet.ingest.v1.IngestService",
    "broadsheet.operations.v1.OperationsService",
    "broadsheet.search.v1.SearchService",
    "broadsheet.subscriptions.v1.SubscriptionService",
    "grpc.health.v1.Health",
];

#[test]
fn a_python_client_finds_its_way_by_reflection() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let client = Command::new(python::python())
        .arg(python::script("grpc_client.py"))
        .arg(platform.endpoint("grpc").replace("http://", ""))
        .output();
    let client = ran(client.unwrap());
    assert_eq!(client.status, 0, "{}", client.err);
    let said: Value = client.json();
    for version in ["v1", "v1alpha"] {
        let listed: Vec<&str> = said[version]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        for service in SERVICES {
            assert!(
                listed.contains(&service),
                "{version} of reflection lists {service}: {listed:?}"
            );
        }
    }
    for service in SERVICES.iter().filter(|name| name.starts_with("broadsheet.")) {
        assert_eq!(said["health"][service], "SERVING", "{service}");
    }
    assert_eq!(
        said["submitted"]["result"]["status"], "SUBMISSION_STATUS_ACCEPTED",
        "{said}"
    );
    assert_eq!(
        said["found"]["results"][0]["paper"]["title"], "Whales by drone",
        "{said}"
    );
    searched(&said);
    refused(&said["refused"]);
}

fn searched(said: &Value) {
    let similar = &said["similar"]["results"];
    assert_eq!(
        similar.as_array().unwrap().len(),
        1,
        "without the example itself: {similar}"
    );
    assert_eq!(similar[0]["paper"]["id"], "python:foreign-2");
    let facets = &said["facets"];
    assert_eq!(facets["total_size"], "2", "{facets}");
    assert_eq!(facets["facets"][0]["values"][0]["value"], "python", "{facets}");
    assert_eq!(facets["facets"][1]["values"][0]["papers"], "2", "{facets}");
    for (refusal, field, part) in [
        ("bad_query", "query", "at character 8: year: cannot be"),
        ("bad_example", "positive_ids[1]", "python:absent"),
    ] {
        let refusal = &said[refusal];
        assert_eq!(refusal["code"], "INVALID_ARGUMENT", "{refusal}");
        assert_eq!(refusal["violations"][0][0], field, "{refusal}");
        assert!(
            refusal["violations"][0][1].as_str().unwrap().contains(part),
            "{refusal}"
        );
    }
}

fn refused(refusal: &Value) {
    assert_eq!(refusal["code"], "INVALID_ARGUMENT", "{refusal}");
    let violations = refusal["violations"].as_array().unwrap();
    let of = |field: &str| {
        let found = violations.iter().find(|one| one[0] == field);
        found.unwrap_or_else(|| panic!("no violation of {field}: {refusal}"))[1]
            .as_str()
            .unwrap()
    };
    assert!(of("paper.title").starts_with("is"), "{refusal}");
    assert!(
        of("paper.published_time").contains("2999-01-01"),
        "names the value: {refusal}"
    );
}
