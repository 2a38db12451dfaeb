//! The registry over a real server.

mod dates;

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::kv;
use common::clock::Clock;
use common::config::BusConfig;
use common::flow;
use common::storage::StreamLimits;
use domain::Submission;
use standalone::{Children, DataFolder, Programs, Toolbox};

use super::*;

/// A registry and its servers.
pub struct RegistryFixture {
    /// The registry.
    pub registry: Registry,
    /// The bus it is stored on.
    pub bus: Bus,
    children: Children,
    _folder: tempfile::TempDir,
}

impl RegistryFixture {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = common::tasks::blocking(|| Toolbox::from_env().nats_server().unwrap());
        let programs = Programs {
            nats: Some(nats.await),
            ..Programs::default()
        };
        let data = DataFolder::open(folder.path()).unwrap();
        let children = Children::start(&data, programs, None).await.unwrap();
        let config = BusConfig::new(
            &children.nats_url().unwrap(),
            1,
            Duration::from_hours(24),
            StreamLimits::uniform(64),
        )
        .unwrap();
        let bus = Bus::connect(config, "test", Clock::system()).await.unwrap();
        common::streams::ensure(&bus).await.unwrap();
        Self {
            registry: Registry::open(&bus).await.unwrap(),
            bus,
            children,
            _folder: folder,
        }
    }

    pub async fn submit(&self, id: &str, title: &str) -> Decision {
        let submission = Submission {
            id: id.to_owned(),
            title: title.to_owned(),
            abstract_text: format!("{title} is what this paper is about, and it says so at some length."),
            source: "test".to_owned(),
            ..Submission::default()
        };
        let paper = submission.into_paper(self.bus.clock().now()).unwrap();
        self.registry.submit(paper).await.unwrap()
    }

    async fn republish(&self, id: &str) -> RepublishResult {
        self.registry.republish(&PaperId::parse(id).unwrap()).await.unwrap()
    }

    async fn withdraw(&self, id: &str) {
        let id = PaperId::parse(id).unwrap();
        self.registry.withdraw(id, "an error in it").await.unwrap().unwrap();
    }

    /// The last event of a type, which must be the last message of the stream.
    async fn last<M: prost::Message + prost::Name + Default>(&self) -> M {
        let mut stream = self.bus.jetstream().get_stream(flow::STREAM).await.unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        self.bus.stored(last).await.unwrap().unwrap()
    }

    async fn forget_events(&self) {
        let stream = self.bus.jetstream().get_stream(flow::STREAM).await.unwrap();
        stream.purge().await.unwrap();
    }

    async fn bucket(&self) -> kv::Store {
        self.bus.jetstream().get_key_value("ingest-papers").await.unwrap()
    }

    pub async fn stop(self) {
        self.children.stop().await;
    }
}

#[tokio::test]
async fn every_paper_is_listed_once_whatever_changes_meanwhile() {
    let fixture = RegistryFixture::start().await;
    for number in 0..200 {
        fixture
            .submit(&number.to_string(), &format!("Paper number {number}"))
            .await;
    }
    // The same text under another id is no paper of its own.
    let alias = fixture.submit("alias", "Paper number 7").await;
    assert_eq!((alias.verdict, alias.id.as_str()), (Verdict::Duplicate, "test:7"));
    let mut listed: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    let (mut after, mut pages) = (0, 0);
    loop {
        let page = fixture.registry.page(after, 30).await.unwrap();
        assert!(page.records.len() <= 30);
        pages += 1;
        for record in page.records {
            let before = listed.insert(record.id.clone(), (record.revision, record.withdrawn));
            assert_eq!(before, None, "{} was listed twice", record.id);
        }
        // One that was listed, one that comes next, and a new one.
        fixture
            .submit(&(pages * 20).to_string(), &format!("Changed {pages}"))
            .await;
        fixture
            .submit(&(pages * 20 + 40).to_string(), &format!("Changed also {pages}"))
            .await;
        fixture.withdraw(&format!("test:{}", 199 - pages)).await;
        fixture.submit(&format!("new-{pages}"), &format!("New {pages}")).await;
        let Some(next) = page.next else { break };
        after = next;
    }
    for number in 0..200 {
        assert!(listed.contains_key(&format!("test:{number}")), "{number} is missing");
    }
    assert!(!listed.contains_key("test:alias"));
    assert_eq!(listed["test:0"], (1, false));
    assert_eq!(listed["test:198"], (2, true));
    assert!(pages >= 7, "{pages}");
    fixture.stop().await;
}

#[tokio::test]
async fn an_empty_registry_has_one_empty_page() {
    let fixture = RegistryFixture::start().await;
    let page = fixture.registry.page(0, 10).await.unwrap();
    assert_eq!((page.records.len(), page.next), (0, None));
    fixture.submit("1", "The only one").await;
    let page = fixture.registry.page(0, 1).await.unwrap();
    assert_eq!((page.records.len(), page.next), (1, None));
    let behind = fixture.registry.page(1_000_000, 1).await.unwrap();
    assert_eq!((behind.records.len(), behind.next), (0, None));
    fixture.stop().await;
}

#[tokio::test]
async fn the_last_event_of_a_paper_is_sent_again() {
    let fixture = RegistryFixture::start().await;
    fixture.submit("1", "First words").await;
    fixture.submit("1", "Other words").await;
    let first: PaperAccepted = fixture.last().await;
    fixture.submit("2", "Something else").await;
    fixture.submit("other", "Something else").await;

    assert_eq!(fixture.republish("test:1").await, RepublishResult::Sent { revision: 2 });
    let again: PaperAccepted = fixture.last().await;
    assert_eq!((&again.paper, first.resend_id.as_str()), (&first.paper, ""));
    assert!(!again.resend_id.is_empty());
    // Nothing takes the second for a duplicate of the first.
    assert_eq!(fixture.republish("test:1").await, RepublishResult::Sent { revision: 2 });
    let third: PaperAccepted = fixture.last().await;
    assert_ne!(third.resend_id, again.resend_id);

    // Another id of the same paper stands for it.
    assert_eq!(
        fixture.republish("test:other").await,
        RepublishResult::Sent { revision: 1 }
    );
    let other: PaperAccepted = fixture.last().await;
    assert_eq!(other.paper.unwrap().id, "test:2");

    assert_eq!(fixture.republish("test:nobody").await, RepublishResult::Unknown);
    fixture.stop().await;
}

#[tokio::test]
async fn a_withdrawal_is_sent_again_even_where_its_event_is_lost() {
    let fixture = RegistryFixture::start().await;
    fixture.submit("1", "Wrong").await;
    fixture.withdraw("test:1").await;
    assert_eq!(fixture.republish("test:1").await, RepublishResult::Sent { revision: 2 });
    let again: PaperWithdrawn = fixture.last().await;
    assert_eq!((again.revision, again.reason.as_str()), (2, "an error in it"));
    fixture.forget_events().await;
    assert_eq!(fixture.republish("test:1").await, RepublishResult::Sent { revision: 2 });
    let again: PaperWithdrawn = fixture.last().await;
    assert_eq!(
        (again.paper_id.as_str(), again.revision, again.reason.as_str()),
        ("test:1", 2, "")
    );
    fixture.stop().await;
}

#[tokio::test]
async fn a_paper_whose_text_is_gone_is_accepted_anew() {
    let fixture = RegistryFixture::start().await;
    fixture.submit("1", "Kept too long").await;
    assert_eq!(fixture.submit("1", "Kept too long").await.verdict, Verdict::Unchanged);
    fixture.forget_events().await;
    for _ in 0..2 {
        assert_eq!(fixture.republish("test:1").await, RepublishResult::Gone { revision: 1 });
    }
    let decision = fixture.submit("1", "Kept too long").await;
    assert_eq!((decision.verdict, decision.revision), (Verdict::Accepted, 2));
    assert_eq!(fixture.republish("test:1").await, RepublishResult::Sent { revision: 2 });
    fixture.stop().await;
}

#[tokio::test]
async fn an_event_of_another_paper_is_never_sent_in_its_place() {
    let fixture = RegistryFixture::start().await;
    fixture.submit("1", "One").await;
    fixture.submit("2", "Two").await;
    let bucket = fixture.bucket().await;
    let key = format!("paper.{}", hash_of("test:1"));
    let mut record: PaperRecord = serde_json::from_slice(&bucket.get(key.as_str()).await.unwrap().unwrap()).unwrap();
    record.event += 1;
    bucket
        .put(key, serde_json::to_vec(&record).unwrap().into())
        .await
        .unwrap();
    assert_eq!(fixture.republish("test:1").await, RepublishResult::Gone { revision: 1 });
    fixture.stop().await;
}

#[tokio::test]
async fn a_record_of_another_release_is_refused() {
    let fixture = RegistryFixture::start().await;
    let key = format!("paper.{}", hash_of("test:1"));
    let strange = r#"{"id":"test:1","revision":"III","content_hash":"abc","withdrawn":false,"event":1}"#;
    fixture.bucket().await.put(key, strange.into()).await.unwrap();
    let id = PaperId::parse("test:1").unwrap();
    let error = fixture.registry.republish(&id).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreadable { .. }), "{error}");
    fixture.stop().await;
}
