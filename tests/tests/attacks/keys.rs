//! Keys of callers: stolen, revoked, of another scope.

use std::process::Command;

use proto::ingest::v1::SubmitPaperRequest;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::operations::v1::ListAuditEntriesRequest;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Consent, ListSubscribersRequest, SubscribeRequest};
use tests::services::Services;
use tests::transport::channel;
use tests::{Ran, binary, eventually, ran};
use tonic::Code;

fn keys(services: &Services, arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary());
    command
        .arg("keys")
        .args(arguments)
        .arg("--file")
        .arg(services.key_file());
    ran(command.output().unwrap())
}

async fn submits(services: &Services, key: &str) -> Code {
    let channel = channel(&services.of("ingest").grpc, Some(key));
    // An empty submission is refused by the method, so nothing is submitted.
    let refused = IngestServiceClient::new(channel)
        .submit_paper(SubmitPaperRequest::default())
        .await;
    refused.unwrap_err().code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_of_the_pages_reads_no_subscriber() {
    let services = Services::start(&[]).await;
    let stolen = channel(&services.of("notification").grpc, Some(&services.key("web")));
    let mut subscriptions = SubscriptionServiceClient::new(stolen);
    let listed = subscriptions.list_subscribers(ListSubscribersRequest::default()).await;
    assert_eq!(listed.unwrap_err().code(), Code::PermissionDenied);
    let forced = SubscribeRequest {
        email: "victim@example.org".to_owned(),
        consent: Consent::OnRecord.into(),
        ..SubscribeRequest::default()
    };
    let subscribed = subscriptions.subscribe(forced).await;
    assert_eq!(subscribed.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(submits(&services, &services.key("web")).await, Code::PermissionDenied);
    services.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_and_its_successor_is_not() {
    let services = Services::start(&[]).await;
    let make = ["make", "partner", "--scope", "submit"];
    let [first, second] = [(); 2].map(|()| keys(&services, &make).out.trim().to_owned());
    let third = keys(&services, &make);
    assert!(
        third.status == 65 && third.err.contains("revoke the older one"),
        "{third:?}"
    );
    for key in [&first, &second] {
        eventually("both keys are valid", async || {
            (submits(&services, key).await == Code::InvalidArgument).then_some(())
        })
        .await;
    }
    let id = first.split('_').nth(1).unwrap();
    assert_eq!(keys(&services, &["revoke", id]).status, 0);
    eventually("the first key is refused", async || {
        (submits(&services, &first).await == Code::Unauthenticated).then_some(())
    })
    .await;
    assert_eq!(submits(&services, &second).await, Code::InvalidArgument);
    for service in services.all() {
        let log = service.log();
        for secret in [&first, &second, &services.operator_key()] {
            let secret = secret.splitn(3, '_').nth(2).unwrap();
            assert!(!log.contains(secret), "{} logs a key", service.name());
        }
    }
    services.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_did_is_in_the_audit_log() {
    let services = Services::start(&[]).await;
    let key = keys(&services, &["make", "mallory", "--scope", "submit", "--days", "1"]);
    let key = key.out.trim().to_owned();
    eventually("the key is known", async || {
        (submits(&services, &key).await == Code::InvalidArgument).then_some(())
    })
    .await;
    let stolen = channel(&services.of("notification").grpc, Some(&key));
    let mut subscriptions = SubscriptionServiceClient::new(stolen);
    let listed = subscriptions.list_subscribers(ListSubscribersRequest::default()).await;
    assert_eq!(listed.unwrap_err().code(), Code::PermissionDenied);
    let operator = channel(&services.of("notification").grpc, Some(&services.operator_key()));
    let operations = OperationsServiceClient::new(operator);
    for (method, code) in [
        ("broadsheet.ingest.v1.IngestService/SubmitPaper", "INVALID_ARGUMENT"),
        (
            "broadsheet.subscriptions.v1.SubscriptionService/ListSubscribers",
            "PERMISSION_DENIED",
        ),
    ] {
        eventually("the call is in the audit log", async || {
            let answer = operations
                .clone()
                .list_audit_entries(ListAuditEntriesRequest::default())
                .await;
            let entries = answer.unwrap().into_inner().audit_entries;
            let of_key = |entry: &&_| {
                let entry: &proto::operations::v1::AuditEntry = entry;
                entry.key_name == "mallory" && entry.method == method && entry.code == code
            };
            let entry = entries.iter().find(of_key)?;
            assert_eq!(
                (entry.peer.as_str(), entry.end_time.is_some()),
                ("127.0.0.1", true),
                "{entry:?}"
            );
            Some(())
        })
        .await;
    }
    let log = services.of("ingest").log();
    let line = log
        .lines()
        .find(|line| line.contains("\"audit\"") && line.contains("mallory"));
    assert!(line.is_some_and(|line| line.contains("SubmitPaper")), "{log}");
    services.stop().await;
}
