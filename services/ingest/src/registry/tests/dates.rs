//! Dates across revisions: none is made up, none is moved by somebody else, none is lost.

use domain::merging::{Identifiers, Provider, Scheme, SourceRecord};

use super::*;

const ID: &str = "arxiv:2402.14776";
const EARLY: &str = "2025-05-05T00:00:00Z";
const LATE: &str = "2025-11-29T00:00:00Z";

impl RegistryFixture {
    /// Submits a paper by call.
    async fn call(&self, source: &str, text: &str, published: Option<&str>) -> Decision {
        let published = published.map(|text| text.parse().unwrap());
        let paper = submission(ID, source, text, published).into_paper(self.bus.clock().now());
        self.registry.submit(paper.unwrap()).await.unwrap()
    }

    async fn record(&self, record: &SourceRecord) -> Decision {
        self.registry.submit_record(record.clone()).await.unwrap().unwrap()
    }

    /// The paper of the last event.
    async fn newest(&self) -> Paper {
        let event: PaperAccepted = self.last().await;
        event.paper.unwrap().try_into().unwrap()
    }

    async fn published(&self) -> Option<String> {
        self.newest().await.published.map(|time| time.to_string())
    }

    /// Makes the records of a paper those of a release that kept no dates.
    async fn forget_dates(&self, id: &str) {
        let bucket = self.bucket().await;
        for key in ["paper", "later"].map(|kind| format!("{kind}.{}", hash_of(id))) {
            let Some(value) = bucket.get(key.as_str()).await.unwrap() else {
                continue;
            };
            let mut record: serde_json::Value = serde_json::from_slice(&value).unwrap();
            assert!(record.as_object_mut().unwrap().remove("dates").is_some());
            bucket.put(key, record.to_string().into()).await.unwrap();
        }
    }
}

fn submission(id: &str, source: &str, text: &str, published: Option<Timestamp>) -> Submission {
    Submission {
        id: id.to_owned(),
        title: "A paper whose date nobody knows at first".to_owned(),
        abstract_text: text.to_owned(),
        source: source.to_owned(),
        published,
        ..Submission::default()
    }
}

fn record(provider: Provider, doi: &str, version: u32, text: &str, published: Option<&str>) -> SourceRecord {
    let mut identifiers = Identifiers::new();
    identifiers.insert_raw(Scheme::Doi, doi).unwrap();
    let source = format!("{provider:?}").to_lowercase();
    let published = published.map(|text| text.parse().unwrap());
    let mut submission = submission(&format!("doi:{doi}"), &source, text, published);
    submission.title.push_str(doi);
    SourceRecord {
        provider,
        submission,
        identifiers,
        version: Some(version),
        datestamp: None,
    }
}

#[tokio::test]
async fn a_paper_submitted_without_a_date_stays_undated() {
    let fixture = RegistryFixture::start().await;
    fixture.call("mine", "First.", None).await;
    let first = fixture.newest().await;
    assert_eq!((first.published, first.accepted), (None, first.revised));
    fixture.call("mine", "Second.", None).await;
    let second = fixture.newest().await;
    assert_eq!(
        (second.published, second.revision, second.accepted),
        (None, 2, first.accepted)
    );
    assert!(second.revised > first.revised);
    // The same text from somebody who knows the date.
    let dated = fixture.call("other", "Second.", Some(EARLY)).await;
    assert_eq!((dated.verdict, dated.revision), (Verdict::Accepted, 3));
    let third = fixture.newest().await;
    assert_eq!(third.published.unwrap().to_string(), EARLY);
    assert_eq!(third.accepted, first.accepted);
    fixture.stop().await;
}

#[tokio::test]
async fn a_known_date_is_corrected_by_its_source_alone() {
    let fixture = RegistryFixture::start().await;
    fixture.call("mine", "First.", Some(EARLY)).await;
    for (source, text, published, expected) in [
        ("mine", "Second.", None, EARLY),
        ("other", "Third.", Some(LATE), EARLY),
        ("mine", "Fourth.", Some(LATE), LATE),
    ] {
        let decision = fixture.call(source, text, published).await;
        assert_eq!(decision.verdict, Verdict::Accepted, "{text}");
        assert_eq!(fixture.published().await.as_deref(), Some(expected), "{text}");
    }
    for (source, published) in [("mine", None), ("other", Some(EARLY)), ("mine", Some(LATE))] {
        let decision = fixture.call(source, "Fourth.", published).await;
        assert_eq!(decision.verdict, Verdict::Unchanged, "{source} {published:?}");
    }
    let corrected = fixture.call("mine", "Fourth.", Some(EARLY)).await;
    assert_eq!(corrected.verdict, Verdict::Accepted);
    assert_eq!(fixture.published().await.as_deref(), Some(EARLY));
    fixture.stop().await;
}

#[tokio::test]
async fn versions_in_any_order_keep_the_date_of_the_first() {
    let fixture = RegistryFixture::start().await;
    for (doi, order) in [("10.1101/1", [0, 1]), ("10.1101/2", [1, 0])] {
        let versions = [
            record(Provider::Biorxiv, doi, 1, "First text.", Some(EARLY)),
            record(Provider::Biorxiv, doi, 2, "Second text.", None),
        ];
        for version in order {
            assert_eq!(
                fixture.record(&versions[version]).await.verdict,
                Verdict::Accepted,
                "{order:?}"
            );
        }
        let newest = fixture.newest().await;
        assert_eq!(newest.published.unwrap().to_string(), EARLY, "{order:?}");
        assert_eq!((newest.abstract_text.as_str(), newest.revision), ("Second text.", 2));
        for version in &versions {
            assert_eq!(fixture.record(version).await.verdict, Verdict::Unchanged, "{order:?}");
        }
    }
    fixture.stop().await;
}

#[tokio::test]
async fn another_source_dates_a_work_that_had_no_date() {
    let fixture = RegistryFixture::start().await;
    let undated = |version, text| record(Provider::Crossref, "10.1145/1", version, text, None);
    fixture.record(&undated(1, "First.")).await;
    assert_eq!(fixture.published().await, None);
    fixture.record(&undated(2, "Second.")).await;
    assert_eq!(fixture.published().await, None);
    let other = record(Provider::OpenAlex, "10.1145/1", 1, "Second.", Some(EARLY));
    assert_eq!(fixture.record(&other).await.verdict, Verdict::Accepted);
    assert_eq!(fixture.published().await.as_deref(), Some(EARLY));
    fixture.record(&undated(3, "Third.")).await;
    assert_eq!(fixture.published().await.as_deref(), Some(EARLY));
    fixture.stop().await;
}

#[tokio::test]
async fn a_date_alone_brings_no_withdrawn_paper_back() {
    let fixture = RegistryFixture::start().await;
    fixture.call("mine", "First.", None).await;
    fixture.withdraw(ID).await;
    let decision = fixture.call("mine", "First.", Some(EARLY)).await;
    assert_eq!((decision.verdict, decision.revision), (Verdict::Unchanged, 2));
    fixture.stop().await;
}

#[tokio::test]
async fn records_of_earlier_releases_keep_what_was_known() {
    let fixture = RegistryFixture::start().await;
    fixture.call("mine", "First.", Some(EARLY)).await;
    let first = fixture.newest().await;
    fixture.forget_dates(ID).await;
    assert_eq!(fixture.call("mine", "First.", None).await.verdict, Verdict::Unchanged);
    fixture.call("mine", "Second.", None).await;
    let second = fixture.newest().await;
    assert_eq!(second.published, first.published);
    assert!(first.accepted <= second.accepted && second.accepted < second.revised);
    fixture.stop().await;
}

#[tokio::test]
async fn a_date_that_an_earlier_release_made_up_is_dropped() {
    let fixture = RegistryFixture::start().await;
    let now = fixture.bus.clock().now();
    let made_up = submission(ID, "mine", "First.", Some(now)).into_paper(now).unwrap();
    fixture.registry.submit(made_up).await.unwrap();
    fixture.forget_dates(ID).await;
    fixture.call("mine", "Second.", None).await;
    assert_eq!(fixture.published().await, None);
    fixture.stop().await;
}
