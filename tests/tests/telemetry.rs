//! One paper is one trace, from the call that submitted it to the window that mails choose from; a mail points back at the
//! traces of its papers. The spans come from five processes over OTLP.
#![expect(clippy::unwrap_used, reason = "tests")]

use common::grpc::{ServiceChannel, channel};
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{PreviewDigestRequest, SendDigestsRequest};
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{PaperSubmission, SubmitPaperRequest};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Consent, Interest, SubscribeRequest};
use tests::otlp::{Collector, Seen};
use tests::services::{NAMES, Services};
use tests::smtp::SmtpServer;
use tests::{eventually, get};

const READER: &str = "reader-of-the-trace@example.org";
const TITLE: &str = "Tracing whales through the water";
/// The caller's own trace, which the platform goes on with.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A span, by service, kind and name.
type Name = (&'static str, &'static str, &'static str);

const SUBMIT: Name = ("ingest", "server", "broadsheet.ingest.v1.IngestService/SubmitPaper");
/// The route of a paper: each span is the parent of the one after it.
const JOURNEY: [Name; 7] = [
    SUBMIT,
    ("ingest", "producer", "publish papers.accepted"),
    ("embedding", "consumer", "embedding papers.accepted"),
    ("embedding", "producer", "publish papers.embedded"),
    ("indexing", "consumer", "indexing papers.embedded"),
    ("indexing", "producer", "publish papers.indexed"),
    ("notification", "consumer", "notification papers.indexed"),
];
const EMBED: &str = "broadsheet.embedding.v1.EmbeddingService/Embed";
const SEARCH: &str = "broadsheet.search.v1.SearchService/SearchPapers";
/// The interests of a reader are embedded as soon as a paper says by which encoder: when they subscribe, or at the first look.
const EMBEDDING: [&str; 2] = [
    "broadsheet.subscriptions.v1.SubscriptionService/Subscribe",
    "broadsheet.delivery.v1.DeliveryService/PreviewDigest",
];
/// A question on the search page, on its way through three services.
const QUESTION: [Name; 5] = [
    ("web", "server", "GET /search"),
    ("web", "client", SEARCH),
    ("indexing", "server", SEARCH),
    ("indexing", "client", EMBED),
    ("embedding", "server", EMBED),
];

fn to(services: &Services, name: &str) -> ServiceChannel {
    channel(&services.of(name).grpc, Some(&services.operator_key())).unwrap()
}

fn is(span: &Seen, (service, kind, name): Name) -> bool {
    span.service == service && span.kind == kind && span.name == name
}

/// A chain in which each span is the parent of the next, from a span on.
fn follow<'a>(spans: &'a [Seen], first: &'a Seen, names: &[Name]) -> Option<Vec<&'a Seen>> {
    let Some((name, rest)) = names.split_first() else {
        return Some(vec![first]);
    };
    let children = spans
        .iter()
        .filter(|span| is(span, *name) && span.parent == first.id && span.trace == first.trace);
    let mut chains = children.filter_map(|child| follow(spans, child, rest));
    let mut chain = chains.next()?;
    chain.insert(0, first);
    Some(chain)
}

/// Some chain of these names.
fn chain<'a>(spans: &'a [Seen], names: &[Name]) -> Vec<&'a Seen> {
    let firsts = spans.iter().filter(|span| is(span, names[0]));
    let mut chains = firsts.filter_map(|first| follow(spans, first, &names[1..]));
    chains.next().unwrap_or_else(|| {
        let seen: Vec<_> = spans
            .iter()
            .map(|span| (&span.service, span.kind, &span.name, &span.trace))
            .collect();
        panic!("no chain {names:?} in {seen:#?}")
    })
}

async fn submit(services: &Services) {
    let paper = PaperSubmission {
        title: TITLE.to_owned(),
        r#abstract: "What a trace says and what it keeps to itself.".to_owned(),
        published_time: Some(prost_types::Timestamp::default()),
        ..PaperSubmission::default()
    };
    let mut request = tonic::Request::new(SubmitPaperRequest { paper: Some(paper) });
    let caller = format!("00-{TRACE}-{CALLER}-01").parse().unwrap();
    request.metadata_mut().insert("traceparent", caller);
    // A plain channel: ours would write a trace of its own.
    let token = format!("Bearer {}", services.operator_key()).parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let url = services.of("ingest").grpc.clone();
    let plain = tonic::transport::Endpoint::from_shared(url).unwrap().connect_lazy();
    IngestServiceClient::new(plain).submit_paper(request).await.unwrap();
}

async fn subscribe(services: &Services) {
    let request = SubscribeRequest {
        email: READER.to_owned(),
        interests: vec![Interest {
            text: "whales".to_owned(),
            ..Interest::default()
        }],
        consent: Consent::OnRecord.into(),
        ..SubscribeRequest::default()
    };
    let mut subscriptions = SubscriptionServiceClient::new(to(services, "notification"));
    subscriptions.subscribe(request).await.unwrap();
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

async fn send(services: &Services) {
    let mut deliveries = DeliveryServiceClient::new(to(services, "notification"));
    let answers = deliveries.send_digests(SendDigestsRequest::default()).await.unwrap();
    let mut answers = answers.into_inner();
    while answers.message().await.unwrap().is_some() {}
}

/// What five processes say about one paper, one question and one mail.
async fn traced() -> Vec<Seen> {
    let (collector, url) = Collector::start().await;
    let mails = SmtpServer::start();
    let services = Services::start(&[
        ("BROADSHEET_TELEMETRY__OTLP_ENDPOINT", &url),
        ("BROADSHEET_NOTIFICATION__SMTP_URL", &mails.url()),
    ])
    .await;
    submit(&services).await;
    subscribe(&services).await;
    send(&services).await;
    assert!(mails.mail().plain.contains(TITLE));
    assert_eq!(get(&format!("{}/search?q=whales", services.web)).0, 200);
    // What is left is sent before a process ends.
    assert_eq!(services.stop().await, NAMES.map(|name| (name, Some(0))));
    collector.spans()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paper_is_one_trace_that_its_mail_links_to() {
    let spans = traced().await;
    let journey = chain(&spans, &JOURNEY);
    assert_eq!(journey[0].trace, TRACE, "the caller's trace goes on");
    assert_eq!(journey[0].parent, CALLER);
    let question = chain(&spans, &QUESTION);
    assert_eq!(question[0].parent, "", "a reader's question begins a trace");
    let embeds = |call| {
        let rest = [("notification", "client", EMBED), ("embedding", "server", EMBED)];
        let mut firsts = spans.iter().filter(|span| is(span, ("notification", "server", call)));
        firsts.any(|first| follow(&spans, first, &rest).is_some())
    };
    assert!(
        EMBEDDING.into_iter().any(embeds),
        "nobody embeds the interests in a trace"
    );

    let sent: Vec<_> = spans.iter().filter(|span| span.name == "send digest").collect();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let sent = sent[0];
    assert_eq!((sent.service.as_str(), sent.kind), ("notification", "client"));
    assert_eq!(sent.attributes["mail.outcome"], "accepted");
    assert_eq!(sent.attributes["smtp.reply_code"], "250");
    let published = chain(&spans, &JOURNEY[..6])[5];
    assert_eq!(sent.links, [(TRACE.to_owned(), published.id.clone())]);
    assert_ne!(sent.trace, TRACE, "a mail of many papers is in no paper's trace");
    let parent = spans.iter().find(|span| span.id == sent.parent).unwrap();
    assert_eq!(parent.name, "broadsheet.delivery.v1.DeliveryService/SendDigests");

    for span in &spans {
        assert!(NAMES.contains(&span.service.as_str()), "{span:?}");
        assert_ne!(span.kind, "internal", "a span of a library's own: {span:?}");
        let said = format!("{span:?}");
        assert!(
            !said.contains('@') && !said.contains("whales"),
            "a span tells too much: {said}"
        );
    }
}
