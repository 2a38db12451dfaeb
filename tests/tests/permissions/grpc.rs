//! Every method of every service, called without a key, with a wrong one, and with a key of each scope.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::grpc::{ServiceChannel, channel};
use tests::services::{NAMES, Services};
use tests::{binary, eventually, ran};
use tonic::{Code, Request, Status};

use super::Answered;

/// What a caller can present, as the columns of the table.
const COLUMNS: [&str; 6] = ["no key", "wrong key", "read", "submit", "readers", "operate"];

/// One row of `proto/ACCESS.md`.
struct AccessRow {
    method: String,
    answers: Vec<String>,
}

/// Calls everything and compares each answer with the table.
pub async fn check() -> Answered {
    let services = Services::start(&[]).await;
    let keys = keys(&services.key_file());
    let table = table();
    assert!(table.len() > 70, "{} methods", table.len());
    let mut answered = Answered::default();
    let mut wrong = Vec::new();
    for service in services.all() {
        let channels: Vec<_> = COLUMNS
            .iter()
            .map(|column| channel(&service.grpc, keys[column].as_deref()).unwrap())
            .collect();
        until_known(&channels).await;
        for row in table.iter().filter(|row| hosts(&row.method, service.name())) {
            for (expected, channel) in row.answers.iter().zip(&channels) {
                let found = answer(channel.clone(), &row.method).await;
                if found == *expected {
                    answered.refused += usize::from(found != "allowed");
                    answered.allowed += usize::from(found == "allowed");
                } else {
                    wrong.push(format!("{}: {found}, not {expected}", row.method));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    services.stop().await;
    answered
}

fn table() -> Vec<AccessRow> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/ACCESS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let method = cells.next().unwrap().trim_matches('`').to_owned();
        let answers: Vec<_> = cells.collect();
        assert_eq!(answers.len(), COLUMNS.len(), "{line}");
        AccessRow { method, answers }
    })
    .collect()
}

/// A key of each kind, made as an operator makes them.
fn keys(file: &Path) -> HashMap<&'static str, Option<String>> {
    let made = |scope: &str| {
        let mut command = Command::new(binary());
        command
            .args(["keys", "make", scope, "--scope", scope, "--file"])
            .arg(file);
        let ran = ran(command.output().unwrap());
        assert_eq!(ran.status, 0, "{ran:?}");
        Some(ran.out.trim().to_owned())
    };
    COLUMNS
        .into_iter()
        .map(|column| match column {
            "no key" => (column, None),
            "wrong key" => (column, Some(format!("bsk_0123456789abcdef_{}", "x".repeat(43)))),
            scope => (column, made(scope)),
        })
        .collect()
}

/// Waits until the service has read the keys.
async fn until_known(channels: &[ServiceChannel]) {
    let last = channels.last().unwrap();
    eventually("the keys are known", async || {
        let found = answer(
            last.clone(),
            "broadsheet.operations.v1.OperationsService/ListDeadLetters",
        )
        .await;
        (found == "allowed").then_some(())
    })
    .await;
}

/// Which processes serve a method: those that every service has are tried everywhere.
fn hosts(method: &str, service: &str) -> bool {
    let package = method.split('.').nth(1).unwrap();
    let host = match package {
        "search" | "index" => "indexing",
        "embedding" => "embedding",
        "ingest" | "attention" => "ingest",
        "subscriptions" | "delivery" => "notification",
        _ => return NAMES.contains(&service),
    };
    host == service
}

/// How an empty request is answered: by the guard, or by the method, whatever that says.
async fn answer(channel: ServiceChannel, method: &str) -> String {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = format!("/{method}").parse().unwrap();
    let request = Request::new(tokio_stream::once(()));
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    // A stream that has nothing to say yet was not refused.
    let answered = tokio::time::timeout(Duration::from_secs(5), client.streaming(request, path, codec)).await;
    let code = match answered {
        Ok(Err(status)) => Status::code(&status),
        Ok(Ok(_)) | Err(_) => Code::Ok,
    };
    match code {
        Code::Unauthenticated => "UNAUTHENTICATED".to_owned(),
        Code::PermissionDenied => "PERMISSION_DENIED".to_owned(),
        _ => "allowed".to_owned(),
    }
}
