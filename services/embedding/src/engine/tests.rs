//! The engine as a whole, over a model under the control of the tests.

use TextKind::{Document, Query};
use common::clock::ManualClock;
use jiff::Timestamp;

use super::*;
use crate::testing::{FakeModel, ModelCall, ModelControl, config, engine, start_engine, text, wait_until};

fn gated(config: EngineConfig) -> (Engine, ModelControl) {
    let (model, control) = FakeModel::gated("fake");
    (start_engine(model, config), control)
}

/// A gated engine with one thread on a clock that the test moves.
fn timed() -> (Engine, ModelControl, Clock, ManualClock) {
    let (model, control) = FakeModel::gated("fake");
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let families = MetricFamilies::unregistered();
    let engine = Engine::start(model, config(1), clock.clone(), &families).expect("an engine");
    (engine, control, clock, hand)
}

fn submit_until(engine: &Engine, kind: TextKind, content: &str, deadline: Option<Instant>) -> PendingAnswer {
    let pending = engine.submit(vec![text(kind, content)], deadline);
    pending.expect("capacity").remove(0)
}

fn submit(engine: &Engine, kind: TextKind, content: &str) -> PendingAnswer {
    submit_until(engine, kind, content, None)
}

async fn answers(pending: Vec<PendingAnswer>) -> Vec<Result<EmbeddedText, TextError>> {
    let mut answers = Vec::with_capacity(pending.len());
    for one in pending {
        answers.push(one.answer().await);
    }
    answers
}

/// Returns when this many sequences wait for the model.
async fn until_tokenized(engine: &Engine, count: usize) {
    wait_until("the sequences wait for the model", || {
        engine.0.context.tokenized.len() >= count
    })
    .await;
}

async fn until_threads_sleep(engine: &Engine, count: usize) {
    wait_until("the compute threads sleep", || {
        engine.0.context.tokenized.sleeping() >= count
    })
    .await;
}

fn not_computed(engine: &Engine, priority: Priority) -> [u64; 4] {
    engine.0.context.metrics.not_computed(priority)
}

#[tokio::test]
async fn texts_become_vectors_in_their_order() {
    let engine = engine();
    let texts = vec![text(Document, "one two"), text(Query, "one"), text(Document, "a b c")];
    let answers = answers(engine.submit(texts, None).expect("capacity")).await;
    let tokens: Vec<u32> = answers.into_iter().map(|one| one.expect("vectors").tokens).collect();
    assert_eq!(tokens, [2, 1, 3]);
    assert_eq!(engine.encoder().as_str(), "fake@0123456789ab");
}

#[tokio::test]
async fn queries_overtake_documents_that_wait() {
    let (engine, mut control) = gated(config(1));
    let first = submit(&engine, Document, "#1");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    let documents = submit(&engine, Document, "#2");
    let more = submit(&engine, Document, "#3");
    let query = submit(&engine, Query, "#4");
    until_tokenized(&engine, 3).await;
    control.release();
    assert_eq!(control.release_next().await, ModelCall::Batch(vec![4]));
    assert_eq!(control.release_next().await, ModelCall::Batch(vec![2, 3]));
    for pending in [first, documents, more, query] {
        pending.answer().await.expect("vectors");
    }
}

fn best_effort(content: &str) -> InputText {
    InputText {
        priority: Priority::BestEffort,
        ..text(Query, content)
    }
}

#[tokio::test]
async fn texts_of_strangers_wait_and_fill_no_queue_but_their_own() {
    let capacity = QueueCapacity {
        interactive: 10_000,
        bulk: 10_000,
        best_effort: 2,
    };
    let (engine, mut control) = gated(EngineConfig { capacity, ..config(1) });
    let first = submit(&engine, Document, "#1");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    let mut strangers = engine.submit(vec![best_effort("#2")], None).expect("capacity");
    let Err(refusal) = engine.submit(vec![best_effort("#3")], None) else {
        panic!("must be refused");
    };
    assert_eq!(refusal.full.priority, Priority::BestEffort);
    let paper = submit(&engine, Document, "#4");
    let query = submit(&engine, Query, "#5");
    until_tokenized(&engine, 3).await;
    control.release();
    for number in [5, 4, 2] {
        assert_eq!(control.release_next().await, ModelCall::Batch(vec![number]));
    }
    for pending in [first, paper, query, strangers.remove(0)] {
        pending.answer().await.expect("vectors");
    }
    assert_eq!(not_computed(&engine, Priority::BestEffort), [0, 1, 0, 0]);
}

#[tokio::test]
async fn texts_of_strangers_do_not_displace_cached_queries() {
    let cache = EngineConfig {
        query_cache: BEST_EFFORT_CACHE_SHARE,
        ..config(1)
    };
    let engine = start_engine(Arc::new(FakeModel::default()), cache);
    submit(&engine, Query, "a").answer().await.expect("vectors");
    for number in 0..20 {
        let mut pending = engine
            .submit(vec![best_effort(&format!("#{number}"))], None)
            .expect("capacity");
        pending.remove(0).answer().await.expect("vectors");
    }
    let again = submit(&engine, Query, "a").answer().await.expect("vectors");
    assert!(again.cached);
    let mut pending = engine.submit(vec![best_effort("#19")], None).expect("capacity");
    assert!(pending.remove(0).answer().await.expect("vectors").cached);
}

#[tokio::test]
async fn a_text_that_would_be_late_is_refused_at_once() {
    let (engine, mut control, clock, hand) = timed();
    let first = submit(&engine, Query, "#1");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    hand.advance(Duration::from_secs(1));
    control.release();
    first.answer().await.expect("vectors");
    assert_eq!(engine.tokens_per_second(), Some(1.0));
    let waiting = submit(&engine, Query, "#2 a b c d");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![2]));
    let behind = submit(&engine, Query, "#3 a b c d");
    until_tokenized(&engine, 1).await;
    let within = |seconds| Some(clock.instant() + Duration::from_secs(seconds));
    let late = engine.submit(vec![text(Query, "#4")], within(4));
    let Err(refusal) = late else { panic!("must be refused") };
    assert_eq!((refusal.full.waiting, refusal.full.capacity), (5, 4));
    let in_time = engine.submit(vec![text(Query, "#5")], within(60)).expect("time enough");
    until_tokenized(&engine, 2).await;
    control.release();
    assert_eq!(control.release_next().await, ModelCall::Batch(vec![3, 5]));
    for pending in [waiting, behind].into_iter().chain(in_time) {
        pending.answer().await.expect("vectors");
    }
}

#[tokio::test]
async fn texts_whose_caller_went_away_are_not_computed() {
    let (engine, mut control) = gated(config(1));
    let first = submit(&engine, Document, "#1");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    let gone = submit(&engine, Document, "#2");
    let last = submit(&engine, Document, "#3");
    until_tokenized(&engine, 2).await;
    drop(gone);
    control.release();
    assert_eq!(control.release_next().await, ModelCall::Batch(vec![3]));
    first.answer().await.expect("vectors");
    last.answer().await.expect("vectors");
    assert_eq!(not_computed(&engine, Priority::Bulk), [1, 0, 0, 0]);
}

#[tokio::test]
async fn texts_past_their_deadline_are_not_computed() {
    let (engine, mut control, clock, _hand) = timed();
    let late = submit_until(&engine, Query, "#1", Some(clock.instant()));
    let after = submit(&engine, Query, "#2");
    assert_eq!(control.release_next().await, ModelCall::Batch(vec![2]));
    assert!(matches!(late.answer().await, Err(TextError::Deadline)));
    after.answer().await.expect("vectors");
    assert_eq!(not_computed(&engine, Priority::Interactive), [0, 0, 1, 0]);
}

#[tokio::test]
async fn a_caller_is_answered_at_its_deadline_on_a_busy_model() {
    const HOUR: Duration = Duration::from_hours(1);
    let (engine, mut control, clock, hand) = timed();
    let busy = submit(&engine, Document, "#1");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    let late = submit_until(&engine, Document, "#2", Some(clock.instant() + HOUR));
    until_tokenized(&engine, 1).await;
    let (late, ()) = tokio::join!(late.answer(), async { hand.advance(HOUR) });
    assert!(matches!(late, Err(TextError::Deadline)));
    control.release();
    assert_eq!(busy.answer().await.expect("vectors").compute_time, HOUR);
    until_threads_sleep(&engine, 1).await;
    assert_eq!(not_computed(&engine, Priority::Bulk), [0, 0, 1, 0]);
}

#[tokio::test]
async fn a_text_at_fault_fails_alone() {
    for fault in ["panic", "refused", "invalid", "untokenizable", "panictokenizing"] {
        let engine = engine();
        let texts = vec![text(Document, "a"), text(Document, fault), text(Document, "b")];
        let answers = answers(engine.submit(texts, None).expect("capacity")).await;
        assert!(answers[0].is_ok() && answers[2].is_ok(), "{fault}: {answers:?}");
        let error = answers[1].as_ref().expect_err("a failure");
        let expected = match fault {
            "panic" | "panictokenizing" => matches!(error, TextError::Panicked(text) if text.contains("told to panic")),
            "refused" => matches!(error, TextError::Encode(_)),
            "invalid" => matches!(error, TextError::Vector(_)),
            _ => matches!(error, TextError::Tokenize(_)),
        };
        assert!(expected, "{fault}: {error:?}");
        assert_eq!(not_computed(&engine, Priority::Bulk), [0, 0, 0, 1]);
        // The threads go on.
        submit(&engine, Query, "c").answer().await.expect("vectors");
    }
}

#[tokio::test]
async fn only_a_single_query_is_split_over_idle_threads() {
    let (engine, mut control) = gated(config(2));
    until_threads_sleep(&engine, 2).await;
    let document = submit(&engine, Document, "#1");
    assert_eq!(control.release_next().await, ModelCall::Batch(vec![1]));
    document.answer().await.expect("vectors");
    until_threads_sleep(&engine, 2).await;
    let query = submit(&engine, Query, "#2");
    assert_eq!(control.next_call().await, ModelCall::Split(2));
    // The other thread is idle, but the first is not, so nobody is left to help.
    let second = submit(&engine, Query, "#3");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![3]));
    control.release();
    control.release();
    query.answer().await.expect("vectors");
    second.answer().await.expect("vectors");
}

#[tokio::test]
async fn a_full_queue_refuses_all_texts_of_a_call_until_later() {
    let capacity = QueueCapacity {
        interactive: 10_000,
        bulk: 10,
        best_effort: 10,
    };
    let (engine, mut control) = gated(EngineConfig { capacity, ..config(1) });
    let first = submit(&engine, Document, "#1");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    let waiting = submit(&engine, Document, "#2 a b c d");
    let both = vec![text(Document, "#3 a b c d e f"), text(Query, "#4")];
    let Err(refusal) = engine.submit(both.clone(), None) else {
        panic!("must be refused");
    };
    assert_eq!((refusal.full.priority, refusal.full.capacity), (Priority::Bulk, 10));
    assert_eq!(refusal.retry_after, Duration::from_secs(1));
    assert_eq!(not_computed(&engine, Priority::Bulk), [0, 1, 0, 0]);
    let unlimited = engine.submit_unlimited(vec![text(Document, "#5")]);
    until_tokenized(&engine, 2).await;
    control.release();
    assert_eq!(control.release_next().await, ModelCall::Batch(vec![2, 5]));
    first.answer().await.expect("vectors");
    waiting.answer().await.expect("vectors");
    answers(unlimited).await.remove(0).expect("vectors");
    let both = engine.submit(both, None).expect("capacity again");
    control.release_next().await;
    control.release_next().await;
    for answer in answers(both).await {
        answer.expect("vectors");
    }
    assert_eq!(engine.0.admission.waiting(Priority::Interactive), 0);
}

#[tokio::test]
async fn a_text_that_is_too_long_is_truncated_or_refused() {
    let engine = engine();
    let long = "a b c d e f g h i";
    let cut = submit(&engine, Document, long).answer().await.expect("vectors");
    assert_eq!((cut.tokens, cut.truncated), (8, true));
    let refuse = InputText {
        truncate: Truncate::Refuse,
        ..text(Document, long)
    };
    let mut pending = engine.submit(vec![refuse], None).expect("capacity");
    let error = pending.remove(0).answer().await.expect_err("a refusal").to_string();
    assert!(error.contains("8 tokens"), "{error}");
}

#[tokio::test]
async fn a_repeated_query_is_answered_from_the_cache() {
    let cache = EngineConfig {
        query_cache: 4,
        ..config(1)
    };
    let engine = start_engine(Arc::new(FakeModel::default()), cache);
    let long = "a b c d e f g h i";
    let first = submit(&engine, Query, long).answer().await.expect("vectors");
    let again = submit(&engine, Query, long).answer().await.expect("vectors");
    assert!(!first.cached && again.cached);
    assert_eq!((first.dense, first.tokens), (again.dense, again.tokens));
    let refuse = InputText {
        truncate: Truncate::Refuse,
        ..text(Query, long)
    };
    let mut pending = engine.submit(vec![refuse], None).expect("capacity");
    let refusal = pending.remove(0).answer().await;
    assert!(matches!(refusal, Err(TextError::TooLong { max_tokens: 8 })));
    submit(&engine, Document, long).answer().await.expect("vectors");
    assert_eq!(engine.0.context.metrics.cache_lookups(), (2, 1));
}

#[tokio::test]
async fn dropping_the_engine_finishes_what_waits() {
    let engine = engine();
    let pending = engine.submit(vec![text(Document, "a"); 100], None).expect("capacity");
    drop(engine);
    for answer in answers(pending).await {
        answer.expect("vectors");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_on_many_threads_all_get_their_own_answer() {
    let families = MetricFamilies::unregistered();
    let config = EngineConfig {
        tokenizer_threads: 2,
        query_cache: 16,
        ..config(4)
    };
    let model = Arc::new(FakeModel::default());
    let engine = Engine::start(model, config, Clock::system(), &families).expect("an engine");
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
                let mut pending = engine.submit(texts, None).expect("capacity");
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
    assert_eq!(
        Priority::ALL.map(|priority| metrics.queue_gauges().of(priority).get()),
        [0; 3]
    );
}

#[test]
fn a_model_whose_name_cannot_be_an_id_is_refused() {
    let model = Arc::new(FakeModel::named("a b"));
    let engine = Engine::start(model, config(1), Clock::system(), &MetricFamilies::unregistered());
    let error = engine.err().expect("a refusal");
    assert!(
        matches!(&error, EngineError::Name { name, .. } if name == "a b"),
        "{error}"
    );
    assert!(
        error.to_string().starts_with("model name \"a b\" cannot be used: "),
        "{error}"
    );
}
