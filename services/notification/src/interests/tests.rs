use domain::PaperId;

use super::*;
use crate::testing::{TestService, entry, vector};

fn id(id: &str) -> PaperId {
    PaperId::parse(id).expect("an id")
}

/// Papers that only the catalogue has.
struct KnownPapers(HashMap<PaperId, DenseVector>);

#[async_trait]
impl ExampleSource for KnownPapers {
    async fn known(&self, ids: &[PaperId]) -> Result<HashSet<PaperId>, String> {
        Ok(ids.iter().filter(|id| self.0.contains_key(*id)).cloned().collect())
    }

    async fn vectors(
        &self,
        ids: &[PaperId],
        _: &EncoderId,
        _: EmbedPriority,
    ) -> Result<HashMap<PaperId, DenseVector>, EmbedFailure> {
        let known = ids.iter().filter_map(|id| Some((id.clone(), self.0.get(id)?.clone())));
        Ok(known.collect())
    }
}

async fn liking(service: &TestService, words: &str, like: &[&str], unlike: &[&str]) -> Subscriber {
    let known = service.reader("ada@example.org", &[]).await;
    let mut interest = Interest::in_words(words);
    interest.like = like.iter().map(|one| id(one)).collect();
    interest.unlike = unlike.iter().map(|one| id(one)).collect();
    let change = |known: &mut Subscriber, _| known.preferences.interests = vec![interest.clone()];
    let changed = service.subscriptions.change(&known.id, change).await;
    changed.expect("redis answers").expect("a subscriber")
}

fn rounded(values: [f32; 2]) -> Int8Vector {
    let mut padded = values.to_vec();
    padded.resize(vector("").dimension(), 0.0);
    Int8Vector::quantise(&DenseVector::new(padded).expect("a vector"))
}

#[tokio::test]
async fn words_and_examples_make_one_vector() {
    let service = TestService::build();
    let mut cats = entry("x:cats", "on cats", "test@1");
    cats.vectors.dense = vector("on cats");
    service.window.write().add(cats);
    let far = vector("on dogs");
    let interests = InterestEmbedder {
        store: Arc::clone(&service.store),
        window: service.window.clone(),
        encoder: Arc::clone(&service.encoder) as Arc<dyn InterestEncoder>,
        examples: Some(Arc::new(KnownPapers(HashMap::from([(id("x:far"), far)])))),
        clock: service.clock.clone(),
    };
    let wanted = EncoderId::parse("test@1").expect("an encoder id");
    for (words, like, unlike, expected) in [
        ("", &["x:cats"][..], &[][..], [1.0, 0.0]),
        ("", &["x:far"], &[], [0.0, 1.0]),
        ("dogs", &["x:cats"], &[], [0.5_f32.sqrt(), 0.5_f32.sqrt()]),
        (
            "dogs",
            &[],
            &["x:cats"],
            [-0.5 / 1.25_f32.sqrt(), 1.0 / 1.25_f32.sqrt()],
        ),
        ("", &["x:gone"], &[], [0.0, 0.0]),
    ] {
        let subscriber = liking(&service, words, like, unlike).await;
        let (encoder, vectors) = interests.vectors(&subscriber, &wanted).await.expect("vectors");
        assert_eq!(
            (&encoder, &vectors),
            (&wanted, &vec![rounded(expected)]),
            "{words} {like:?} {unlike:?}"
        );
        let kept = interests.stored(&subscriber).await.expect("redis answers");
        assert_eq!(kept, Some((encoder, vectors)), "kept");
    }
    let unknown = interests
        .unknown_examples(&[id("x:cats"), id("x:far"), id("x:gone")])
        .await;
    assert_eq!(unknown, Ok(HashSet::from([id("x:gone")])));
}

#[tokio::test]
async fn another_encoder_makes_them_anew() {
    let service = TestService::build();
    service.add_paper("x:cats", "on cats", "test@1");
    let reader = service.reader("ada@example.org", &["cats"]).await;
    service.interests.prepare(&reader).await;
    let calls = || service.encoder.calls.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(calls(), 1);
    let first = EncoderId::parse("test@1").expect("an encoder id");
    service.interests.vectors(&reader, &first).await.expect("vectors");
    assert_eq!(calls(), 1, "the kept ones");
    *service.encoder.name.lock().expect("unpoisoned") = "test@2".to_owned();
    let second = EncoderId::parse("test@2").expect("an encoder id");
    let (encoder, _) = service.interests.vectors(&reader, &second).await.expect("vectors");
    assert_eq!((encoder, calls()), (second, 2));
}
