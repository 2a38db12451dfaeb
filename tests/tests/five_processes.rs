//! One binary per service, as on Kubernetes: a paper travels from gRPC to an inbox through five processes, and each of them
//! answers its operator and ends when it is told to.
#![expect(clippy::unwrap_used, reason = "tests")]

use common::grpc::ServiceChannel;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{Delivery, DeliveryState, PreviewDigestRequest, SendDigestsRequest};
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{PaperSubmission, SubmissionStatus, SubmitPaperRequest, SubmitPapersRequest};
use proto::search::v1::SearchPapersRequest;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Interest, SubscribeRequest};
use tests::services::{NAMES, Services};
use tests::smtp::SmtpServer;
use tests::transport::channel;
use tests::{eventually, get, post, token, until};
use tokio_stream::wrappers::ReceiverStream;

const READER: &str = "ada@example.org";

fn paper() -> PaperSubmission {
    PaperSubmission {
        id: "whales".to_owned(),
        title: "Counting whales from orbit".to_owned(),
        r#abstract: "Satellites find whales that ships miss.".to_owned(),
        source: "test".to_owned(),
        published_time: Some(prost_types::Timestamp::default()),
        ..PaperSubmission::default()
    }
}

fn to(services: &Services, name: &str) -> ServiceChannel {
    channel(&services.of(name).grpc, Some(&services.operator_key()))
}

async fn send_digests(services: &Services) -> Vec<Delivery> {
    let request = SendDigestsRequest::default();
    let mut answers = DeliveryServiceClient::new(to(services, "notification"))
        .send_digests(request)
        .await
        .unwrap()
        .into_inner();
    let mut deliveries = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        deliveries.extend(answer.delivery);
    }
    deliveries
}

async fn submit_and_find(services: &Services) {
    let request = SubmitPaperRequest { paper: Some(paper()) };
    let submitted = IngestServiceClient::new(to(services, "ingest"))
        .submit_paper(request)
        .await;
    let result = submitted.unwrap().into_inner().result.unwrap();
    assert_eq!(result.status(), SubmissionStatus::Accepted);
    let found = eventually("the paper is found", async || {
        let request = SearchPapersRequest {
            query: "satellites and whales".to_owned(),
            ..SearchPapersRequest::default()
        };
        let answer = SearchServiceClient::new(to(services, "indexing"))
            .search_papers(request)
            .await;
        answer.unwrap().into_inner().results.pop()
    });
    assert_eq!(found.await.paper.unwrap().id, result.paper_id);
    let (status, page) = get(&format!("{}/search?q=whales", services.web));
    assert_eq!(status, 200);
    assert!(page.contains("Counting <mark>whales</mark> from orbit"), "{page}");
}

/// Subscribes, and confirms by the link in the mail.
async fn subscribe(services: &Services, mails: &SmtpServer) {
    let request = SubscribeRequest {
        email: READER.to_owned(),
        interests: vec![Interest {
            text: "animals of the sea".to_owned(),
            ..Interest::default()
        }],
        ..SubscribeRequest::default()
    };
    let mut subscriptions = SubscriptionServiceClient::new(to(services, "notification"));
    assert!(
        subscriptions
            .subscribe(request)
            .await
            .unwrap()
            .into_inner()
            .confirmation_required
    );
    let confirm = token(&mails.mail().plain, "confirm");
    let confirmed = post(&format!("{}/confirm", services.web), &[("token", &confirm)]);
    assert_eq!(confirmed.0, 200, "{confirmed:?}");
    eventually("the paper is in the window", async || {
        let request = PreviewDigestRequest {
            email: READER.to_owned(),
            ..PreviewDigestRequest::default()
        };
        let mut deliveries = DeliveryServiceClient::new(to(services, "notification"));
        deliveries
            .preview_digest(request)
            .await
            .unwrap()
            .into_inner()
            .digest?
            .papers
            .pop()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paper_travels_from_grpc_to_an_inbox_through_five_processes() {
    let mails = SmtpServer::start();
    let services = Services::start(&[("BROADSHEET_NOTIFICATION__SMTP_URL", &mails.url())]).await;
    submit_and_find(&services).await;
    subscribe(&services, &mails).await;
    let deliveries = send_digests(&services).await;
    assert_eq!(deliveries[0].state(), DeliveryState::Sent, "{deliveries:?}");
    let digest = mails.mail().plain;
    assert!(digest.contains("Counting whales from orbit"), "{digest}");
    let url = format!("{}/unsubscribe?token={}", services.web, token(&digest, "unsubscribe"));
    let unsubscribed = post(&url, &[("List-Unsubscribe", "One-Click")]);
    assert_eq!(unsubscribed.0, 200, "{unsubscribed:?}");
    assert!(send_digests(&services).await.is_empty());
    assert!(mails.others().is_empty());
    let ended = services.stop().await;
    assert_eq!(ended, NAMES.map(|name| (name, Some(0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_process_is_not_ready_but_answers_its_operator() {
    let services = Services::start(&[("BROADSHEET_NOTIFICATION__SMTP_URL", "smtp://127.0.0.1:9")]).await;
    for service in services.all() {
        let name = service.name();
        assert_eq!(service.ask("/livez"), (200, "alive\n".to_owned()), "{name}");
        assert_eq!(service.ask("/readyz"), (200, "ready\n".to_owned()), "{name}");
        let (status, metrics) = service.ask("/metrics");
        assert_eq!(status, 200, "{name}");
        let of_its_own = format!("broadsheet_{name}_");
        assert!(
            metrics.lines().any(|line| line.starts_with(&of_its_own)),
            "{name} shows numbers before its first request: {metrics}"
        );
    }
    let no_token = IngestServiceClient::new(channel(&services.of("ingest").grpc, None));
    let refused = no_token
        .clone()
        .submit_paper(SubmitPaperRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);

    // A running call holds the process up for as long as the test wants.
    let (papers, outgoing) = tokio::sync::mpsc::channel(1);
    let request = SubmitPapersRequest {
        reference: "1".to_owned(),
        paper: Some(paper()),
    };
    papers.send(request.clone()).await.unwrap();
    let mut client = IngestServiceClient::new(to(&services, "ingest"));
    let mut results = client
        .submit_papers(ReceiverStream::new(outgoing))
        .await
        .unwrap()
        .into_inner();
    assert!(results.message().await.unwrap().is_some());
    let ingest = services.of("ingest");
    ingest.terminate();
    until("a draining process is alive and not ready", || {
        (ingest.ask("/readyz") == (503, "not ready\n".to_owned())).then_some(())
    });
    assert_eq!(ingest.ask("/livez").0, 200);
    papers.send(request).await.unwrap();
    let last = results.message().await.unwrap().unwrap().result.unwrap();
    assert_eq!(last.status(), SubmissionStatus::Unchanged, "what has begun is finished");
    drop(papers);
    assert!(results.message().await.unwrap().is_none());
    assert_eq!(services.stop().await, NAMES.map(|name| (name, Some(0))));
}
