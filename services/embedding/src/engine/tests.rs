//! The engine as a whole, over a model that tests hold in their hands.

use std::thread::yield_now;

use TextKind::{Document, Query};

use super::fake::{Fake, Keeper, Seen};
use super::*;

/// Vectors of a text with so many tokens.
pub fn embedded(tokens: u32) -> Embedded {
    Embedded {
        dense: DenseVector::new(vec![0.6, 0.8]).expect("a sound vector"),
        sparse: SparseVector::default(),
        tokens,
        truncated: false,
        queue_time: Duration::ZERO,
        compute_time: Duration::ZERO,
        cached: false,
    }
}

/// A configuration with room for everything and no memory.
pub fn config(threads: usize) -> EngineConfig {
    EngineConfig {
        threads,
        tokenizer_threads: 1,
        capacity: Capacity {
            queries: 10_000,
            documents: 10_000,
        },
        query_cache: 0,
    }
}

/// An engine over the plain fake.
pub fn engine() -> Engine {
    start(Arc::new(Fake::default()), config(1))
}

fn start(model: Arc<Fake>, config: EngineConfig) -> Engine {
    Engine::start(model, config, &Families::unregistered()).expect("an engine")
}

fn gated(config: EngineConfig) -> (Engine, Keeper) {
    let (model, keeper) = Fake::gated();
    (start(model, config), keeper)
}

/// A text.
pub fn text(kind: TextKind, content: &str) -> Text {
    Text {
        kind,
        content: content.to_owned(),
        title: String::new(),
        truncate: Truncate::Report,
    }
}

fn submit(engine: &Engine, kind: TextKind, content: &str) -> Pending {
    let mut pending = engine.submit(vec![text(kind, content)], None).expect("room");
    pending.remove(0)
}

async fn answers(pending: Vec<Pending>) -> Vec<Result<Embedded, TextError>> {
    let mut answers = Vec::with_capacity(pending.len());
    for one in pending {
        answers.push(one.answer().await);
    }
    answers
}

/// Returns when so many sequences wait for the model.
fn until_ready(engine: &Engine, count: usize) {
    while engine.0.shared.ready.len() < count {
        yield_now();
    }
}

fn not_computed(engine: &Engine, kind: TextKind) -> [u64; 4] {
    engine.0.shared.metrics.not_computed(kind)
}

#[tokio::test]
async fn texts_become_vectors_in_their_order() {
    let engine = engine();
    let texts = vec![text(Document, "one two"), text(Query, "one"), text(Document, "a b c")];
    let answers = answers(engine.submit(texts, None).expect("room")).await;
    let tokens: Vec<u32> = answers.into_iter().map(|one| one.expect("vectors").tokens).collect();
    assert_eq!(tokens, [2, 1, 3]);
    assert_eq!(engine.encoder().as_str(), "fake@0123456789ab");
}

#[tokio::test]
async fn queries_overtake_documents_that_wait() {
    let (engine, keeper) = gated(config(1));
    let first = submit(&engine, Document, "#1");
    assert_eq!(keeper.seen.recv(), Ok(Seen::Batch(vec![1])));
    let documents = submit(&engine, Document, "#2");
    let more = submit(&engine, Document, "#3");
    let query = submit(&engine, Query, "#4");
    until_ready(&engine, 3);
    keeper.let_go();
    assert_eq!(keeper.pass(), Seen::Batch(vec![4]));
    assert_eq!(keeper.pass(), Seen::Batch(vec![2, 3]));
    for pending in [first, documents, more, query] {
        pending.answer().await.expect("vectors");
    }
}

#[tokio::test]
async fn texts_whose_caller_went_away_are_not_computed() {
    let (engine, keeper) = gated(config(1));
    let first = submit(&engine, Document, "#1");
    assert_eq!(keeper.seen.recv(), Ok(Seen::Batch(vec![1])));
    let gone = submit(&engine, Document, "#2");
    let last = submit(&engine, Document, "#3");
    until_ready(&engine, 2);
    drop(gone);
    keeper.let_go();
    assert_eq!(keeper.pass(), Seen::Batch(vec![3]));
    first.answer().await.expect("vectors");
    last.answer().await.expect("vectors");
    assert_eq!(not_computed(&engine, Document), [1, 0, 0, 0]);
}

#[tokio::test]
async fn texts_past_their_deadline_are_not_computed() {
    let (engine, keeper) = gated(config(1));
    let past = Some(Instant::now());
    let late = engine.submit(vec![text(Query, "#1")], past).expect("room").remove(0);
    let after = submit(&engine, Query, "#2");
    assert_eq!(keeper.pass(), Seen::Batch(vec![2]));
    assert!(matches!(late.answer().await, Err(TextError::Deadline)));
    after.answer().await.expect("vectors");
    assert_eq!(not_computed(&engine, Query), [0, 0, 1, 0]);
}

#[tokio::test]
async fn a_caller_is_answered_at_its_deadline_even_while_the_model_is_busy() {
    let (engine, keeper) = gated(config(1));
    let busy = submit(&engine, Document, "#1");
    assert_eq!(keeper.seen.recv(), Ok(Seen::Batch(vec![1])));
    let soon = Some(Instant::now() + Duration::from_millis(1));
    let late = engine.submit(vec![text(Document, "#2")], soon).expect("room").remove(0);
    assert!(matches!(late.answer().await, Err(TextError::Deadline)));
    keeper.let_go();
    busy.answer().await.expect("vectors");
    drop((engine, keeper));
}

#[tokio::test]
async fn a_poisonous_text_fails_alone() {
    for poison in ["panic", "refused", "unsound", "unsplittable", "panicsplit"] {
        let engine = engine();
        let texts = vec![text(Document, "a"), text(Document, poison), text(Document, "b")];
        let answers = answers(engine.submit(texts, None).expect("room")).await;
        assert!(answers[0].is_ok() && answers[2].is_ok(), "{poison}: {answers:?}");
        let error = answers[1].as_ref().expect_err("a failure");
        let expected = match poison {
            "panic" | "panicsplit" => matches!(error, TextError::Panicked(text) if text.contains("asked to panic")),
            "refused" => matches!(error, TextError::Encode(_)),
            "unsound" => matches!(error, TextError::Vector(_)),
            _ => matches!(error, TextError::Tokenize(_)),
        };
        assert!(expected, "{poison}: {error:?}");
        assert_eq!(not_computed(&engine, Document), [0, 0, 0, 1]);
        // The threads live on.
        submit(&engine, Query, "c").answer().await.expect("vectors");
    }
}

#[tokio::test]
async fn a_lone_query_is_split_over_idle_threads_and_nothing_else_is() {
    let (engine, keeper) = gated(config(2));
    let idle = |count| {
        while engine.0.shared.ready.asleep() < count {
            yield_now();
        }
    };
    idle(2);
    let document = submit(&engine, Document, "#1");
    assert_eq!(keeper.pass(), Seen::Batch(vec![1]));
    document.answer().await.expect("vectors");
    idle(2);
    let query = submit(&engine, Query, "#2");
    assert_eq!(keeper.seen.recv(), Ok(Seen::Split(2)));
    // The other thread is idle, and the first is not: nobody is left to help.
    let second = submit(&engine, Query, "#3");
    assert_eq!(keeper.seen.recv(), Ok(Seen::Batch(vec![3])));
    keeper.let_go();
    keeper.let_go();
    query.answer().await.expect("vectors");
    second.answer().await.expect("vectors");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_whole_and_fits_later() {
    let capacity = Capacity {
        queries: 10_000,
        documents: 10,
    };
    let (engine, keeper) = gated(EngineConfig { capacity, ..config(1) });
    let first = submit(&engine, Document, "#1");
    assert_eq!(keeper.seen.recv(), Ok(Seen::Batch(vec![1])));
    let waiting = submit(&engine, Document, "#2 a b c d");
    let both = vec![text(Document, "#3 a b c d e f"), text(Query, "#4")];
    let Err(refused) = engine.submit(both.clone(), None) else {
        panic!("must be refused");
    };
    assert_eq!((refused.full.kind, refused.full.capacity), (Document, 10));
    assert_eq!(refused.retry_after, Duration::from_secs(1));
    assert_eq!(not_computed(&engine, Document), [0, 1, 0, 0]);
    let anyway = engine.submit_anyway(vec![text(Document, "#5")]);
    until_ready(&engine, 2);
    keeper.let_go();
    assert_eq!(keeper.pass(), Seen::Batch(vec![2, 5]));
    first.answer().await.expect("vectors");
    waiting.answer().await.expect("vectors");
    answers(anyway).await.remove(0).expect("vectors");
    let both = engine.submit(both, None).expect("room again");
    keeper.pass();
    keeper.pass();
    assert_eq!(answers(both).await.len(), 2);
    assert_eq!(engine.0.admission.waiting(Query), 0);
}

#[tokio::test]
async fn what_is_too_long_is_cut_and_reported_or_refused() {
    let engine = engine();
    let long = "a b c d e f g h i";
    let cut = submit(&engine, Document, long).answer().await.expect("vectors");
    assert_eq!((cut.tokens, cut.truncated), (8, true));
    let refuse = Text {
        truncate: Truncate::Refuse,
        ..text(Document, long)
    };
    let refused = engine
        .submit(vec![refuse], None)
        .expect("room")
        .remove(0)
        .answer()
        .await;
    let error = refused.expect_err("a refusal").to_string();
    assert!(error.contains("8 tokens"), "{error}");
}

#[tokio::test]
async fn a_query_asked_again_is_remembered() {
    let cache = EngineConfig {
        query_cache: 4,
        ..config(1)
    };
    let engine = start(Arc::new(Fake::default()), cache);
    let long = "a b c d e f g h i";
    let first = submit(&engine, Query, long).answer().await.expect("vectors");
    let again = submit(&engine, Query, long).answer().await.expect("vectors");
    assert!(!first.cached && again.cached);
    assert_eq!((first.dense, first.tokens), (again.dense, again.tokens));
    let refuse = Text {
        truncate: Truncate::Refuse,
        ..text(Query, long)
    };
    let refused = engine
        .submit(vec![refuse], None)
        .expect("room")
        .remove(0)
        .answer()
        .await;
    assert!(matches!(refused, Err(TextError::TooLong { max_tokens: 8 })));
    submit(&engine, Document, long).answer().await.expect("vectors");
    assert_eq!(engine.0.shared.metrics.lookups(), (2, 1));
}

#[tokio::test]
async fn dropping_the_engine_finishes_what_waits() {
    let engine = engine();
    let pending = engine.submit(vec![text(Document, "a"); 100], None).expect("room");
    drop(engine);
    for answer in answers(pending).await {
        answer.expect("vectors");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_on_many_threads_all_get_their_own_answer() {
    let families = Families::unregistered();
    let config = EngineConfig {
        tokenizer_threads: 2,
        query_cache: 16,
        ..config(4)
    };
    let engine = Engine::start(Arc::new(Fake::default()), config, &families).expect("an engine");
    let metrics = families.of(engine.encoder().as_str());
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32_usize {
        let engine = engine.clone();
        callers.spawn(async move {
            for call in 0..25 {
                let kind = if (caller + call) % 3 == 0 { Query } else { Document };
                let words = 1 + (caller * 25 + call) % 8;
                let texts = vec![
                    text(kind, &"a ".repeat(words)),
                    text(kind, "refused"),
                    text(kind, "b c"),
                ];
                let mut pending = engine.submit(texts, None).expect("room");
                if call % 5 == 0 {
                    drop(pending.remove(2));
                }
                let answers = answers(pending).await;
                assert_eq!(answers[0].as_ref().expect("vectors").tokens as usize, words);
                assert!(matches!(answers[1], Err(TextError::Encode(_))));
                assert!(
                    answers
                        .get(2)
                        .is_none_or(|last| last.as_ref().is_ok_and(|one| one.tokens == 2))
                );
            }
        });
    }
    callers.join_all().await;
    drop(engine);
    assert_eq!(metrics.queue_gauges().map(|gauge| gauge.get()), [0, 0]);
}

#[test]
fn a_model_whose_name_cannot_be_an_id_is_refused() {
    let error = EngineError::Name {
        name: "a b".to_owned(),
        source: EncoderId::parse("a b@1").expect_err("not an id"),
    };
    assert!(error.to_string().contains("\"a b\""));
}
