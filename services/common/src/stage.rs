//! The stage loop, written once: consume, handle, publish, acknowledge.
//!
//! Nothing is acknowledged before its effect is durable. A message that fails is delivered again with back-off; one that
//! fails every time, or cannot be handled at all, becomes a dead letter with the reason. It never stops for one bad
//! message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, AckKind};
use async_trait::async_trait;
use futures::StreamExt as _;
use prost::{Message, Name};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, debug, info_span, warn};

use crate::bus::{Bus, BusError};
use crate::flow::{self, Consumption, Route};
use crate::metrics::{HANDLING_SECONDS, MESSAGES};
use crate::streams::{self, WorkConsumer};
use crate::{tasks, telemetry};

const PULL_EXPIRES: Duration = Duration::from_secs(20);
/// Between two tries to publish into a full stream; well below every ack-wait.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// What became of one message.
#[derive(Debug)]
pub enum Handled<Output> {
    /// Handled; publish these (message id, message), then acknowledge.
    Done(Vec<(String, Output)>),
    /// Not now, because of something that passes; it is delivered again later.
    Retry(String),
    /// Never; it becomes a dead letter with this reason.
    Discard(String),
}

/// What a service does with the messages of one route.
#[async_trait]
pub trait Stage: Send + Sync + 'static {
    /// What it reads.
    type Input: Message + Name + Default + Send;
    /// What it publishes; [`NoOutput`] where it publishes nothing.
    type Output: StageOutput;
    /// Name of the service, as in the flow table.
    const SERVICE: &'static str;
    /// Batches worked on at the same time, each pulled, handled and settled by itself. More than one keeps a stage busy
    /// while results are published.
    const CONCURRENCY: usize = 1;

    /// Most messages to take for the next batch; the flow table bounds it. Asked for each batch: a stage whose work is
    /// slow says how much it can finish well within ack-wait, so that memory, waiting and the stop stay bounded.
    fn batch_capacity(&self) -> usize {
        usize::MAX
    }

    /// Handles a batch; the answer holds one outcome per message, in the same order. Must be idempotent.
    async fn handle(&self, batch: Vec<Self::Input>) -> Vec<Handled<Self::Output>>;
}

/// What a stage can publish: the messages of the flow, or nothing.
#[async_trait]
pub trait StageOutput: Send + Sync {
    /// Publishes it under an id, and returns when the stream has it.
    async fn publish(&self, bus: &Bus, id: &str) -> Result<(), BusError>;
}

#[async_trait]
impl<M: Message + Name + Send + Sync> StageOutput for M {
    async fn publish(&self, bus: &Bus, id: &str) -> Result<(), BusError> {
        bus.publish(id, self).await
    }
}

/// The output of a stage that publishes nothing; there is no value of it.
#[derive(Debug)]
pub enum NoOutput {}

#[async_trait]
impl StageOutput for NoOutput {
    async fn publish(&self, _: &Bus, _: &str) -> Result<(), BusError> {
        match *self {}
    }
}

/// Runs a stage until shutdown; what was pulled by then is finished and acknowledged.
pub async fn run<S: Stage>(bus: Bus, stage: Arc<S>, shutdown: CancellationToken) -> Result<(), BusError> {
    let route = flow::work_route::<S::Input>(S::SERVICE).ok_or_else(|| BusError::Setup {
        name: S::Input::full_name(),
        problem: format!("the flow table has no work route to {}", S::SERVICE),
    })?;
    let consumer = streams::work_consumer(&bus, route).await?;
    let worker = || run_worker(&bus, stage.as_ref(), route, &consumer, &shutdown);
    futures::future::join_all((0..S::CONCURRENCY).map(|_| worker())).await;
    Ok(())
}

async fn run_worker<S: Stage>(
    bus: &Bus,
    stage: &S,
    route: &Route,
    consumer: &WorkConsumer,
    shutdown: &CancellationToken,
) {
    while !shutdown.is_cancelled() {
        let pulled = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            pulled = pull(consumer, route, stage) => pulled,
        };
        match pulled {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => handle_batch(bus, stage, route, messages, shutdown).await,
            Err(problem) => {
                warn!(subject = route.subject, problem, "pull failed, trying again");
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = bus.clock().sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
}

/// Messages to take at once: at least one, or a stage would stand still.
fn batch_size(most: usize, batch_capacity: usize) -> usize {
    batch_capacity.clamp(1, most.max(1))
}

/// Waits for one message, then takes all that is there up to the batch size: no linger, no pre-fetch that would be
/// delivered late after a stop.
async fn pull<S: Stage>(consumer: &WorkConsumer, route: &Route, stage: &S) -> Result<Vec<jetstream::Message>, String> {
    let Consumption::WorkQueue { batch, .. } = route.consumption else {
        return Ok(Vec::new());
    };
    let mut first = consumer
        .batch()
        .max_messages(1)
        .expires(PULL_EXPIRES)
        .messages()
        .await
        .map_err(|error| error.to_string())?;
    let mut messages = Vec::new();
    while let Some(message) = first.next().await {
        messages.push(message.map_err(|error| error.to_string())?);
    }
    // Asked now rather than before the wait for the first message, when it may have been long out of date.
    let size = batch_size(batch, stage.batch_capacity());
    if messages.is_empty() || size == 1 {
        return Ok(messages);
    }
    // What was received already must be handled even when the second pull fails.
    let Ok(mut rest) = consumer.fetch().max_messages(size - 1).messages().await else {
        return Ok(messages);
    };
    while let Some(Ok(message)) = rest.next().await {
        messages.push(message);
    }
    Ok(messages)
}

struct Received {
    message: jetstream::Message,
    deliveries: i64,
    span: Span,
}

impl Received {
    /// With the span in which the message is handled, in the trace it brought along.
    fn new<S: Stage>(message: jetstream::Message, route: &Route) -> Self {
        let deliveries = message.info().map_or(1, |info| info.delivered);
        let span = info_span!(
            "consume",
            otel.name = format!("{} {}", S::SERVICE, route.subject),
            otel.kind = "consumer",
            service = S::SERVICE,
            deliveries
        );
        telemetry::set_parent_from_headers(&span, message.headers.as_ref());
        Self {
            message,
            deliveries,
            span,
        }
    }
}

async fn handle_batch<S: Stage>(
    bus: &Bus,
    stage: &S,
    route: &Route,
    messages: Vec<jetstream::Message>,
    shutdown: &CancellationToken,
) {
    let received: Vec<Received> = messages
        .into_iter()
        .map(|message| Received::new::<S>(message, route))
        .collect();
    let mut decoded = Vec::with_capacity(received.len());
    let mut inputs = Vec::with_capacity(received.len());
    for one in received {
        match S::Input::decode(one.message.payload.clone()) {
            Ok(input) => {
                inputs.push(input);
                decoded.push(one);
            }
            Err(error) => {
                let reason = format!("message does not parse as {}: {error}", route.message);
                terminate(bus, route, &one, &reason).await;
            }
        }
    }
    if decoded.is_empty() {
        return;
    }
    let begun = Instant::now();
    let handled = with_progress(&decoded, route, handle(stage, inputs, &decoded)).await;
    if let Consumption::WorkQueue { consumer, .. } = route.consumption {
        let seconds = HANDLING_SECONDS.with_label_values(&[consumer]);
        seconds.observe(begun.elapsed().as_secs_f64());
    }
    let mut settling = Vec::with_capacity(decoded.len());
    for (one, outcome) in decoded.iter().zip(handled) {
        settling.push(settle(bus, route, one, outcome, shutdown).instrument(one.span.clone()));
    }
    futures::future::join_all(settling).await;
}

/// Has the stage handle a batch. Where that panics each message is handled alone, so that the one at fault takes no other
/// along.
async fn handle<S: Stage>(stage: &S, inputs: Vec<S::Input>, received: &[Received]) -> Vec<Handled<S::Output>> {
    if let Some(mut handled) = tasks::contained(S::SERVICE, stage.handle(inputs)).await {
        // A stage that says nothing of a message has not handled it.
        handled.resize_with(received.len(), || {
            Handled::Retry("the stage said nothing of it".to_owned())
        });
        return handled;
    }
    let mut handled = Vec::with_capacity(received.len());
    for one in received {
        let alone = match S::Input::decode(one.message.payload.clone()) {
            Ok(input) => tasks::contained(S::SERVICE, stage.handle(vec![input])).await,
            Err(_) => None,
        };
        let outcome = alone.and_then(|mut handled| handled.pop());
        handled.push(outcome.unwrap_or_else(|| Handled::Retry("handling it panicked".to_owned())));
    }
    handled
}

/// Tells the server three times per ack-wait that work goes on.
async fn with_progress<T>(received: &[Received], route: &Route, work: impl Future<Output = T>) -> T {
    let Consumption::WorkQueue { ack_wait, .. } = route.consumption else {
        return work.await;
    };
    let mut beat = tokio::time::interval(ack_wait / 3);
    beat.tick().await;
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            _ = beat.tick() => {
                for one in received {
                    if let Err(error) = one.message.ack_with(AckKind::Progress).await {
                        debug!(%error, "progress not reported");
                    }
                }
            }
        }
    }
}

async fn settle<Output: StageOutput>(
    bus: &Bus,
    route: &Route,
    one: &Received,
    outcome: Handled<Output>,
    shutdown: &CancellationToken,
) {
    match outcome {
        Handled::Done(outputs) => {
            for (id, output) in outputs {
                if let Err(error) = publish_with_room(bus, one, &id, &output, shutdown).await {
                    return retry(bus, route, one, &error.to_string()).await;
                }
            }
            if let Err(error) = one.message.double_ack().await {
                warn!(subject = route.subject, %error, "acknowledgement lost; the message will come again");
                return;
            }
            count(route, "done");
        }
        Handled::Retry(reason) => retry(bus, route, one, &reason).await,
        Handled::Discard(reason) => terminate(bus, route, one, &reason).await,
    }
}

/// Publishes, and waits where the stream is full: a message that went around again would become a dead letter for want of
/// room. Its consumer takes no more meanwhile, and after the stop it is delivered again.
async fn publish_with_room<Output: StageOutput>(
    bus: &Bus,
    one: &Received,
    id: &str,
    output: &Output,
    shutdown: &CancellationToken,
) -> Result<(), BusError> {
    loop {
        let published = output.publish(bus, id).await;
        if !matches!(published, Err(BusError::Full { .. })) || shutdown.is_cancelled() {
            return published;
        }
        if let Err(error) = one.message.ack_with(AckKind::Progress).await {
            debug!(%error, "progress not reported");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(ROOM_PAUSE) => {}
        }
    }
}

fn count(route: &Route, outcome: &str) {
    if let Consumption::WorkQueue { consumer, .. } = route.consumption {
        MESSAGES.with_label_values(&[consumer, outcome]).inc();
    }
}

async fn retry(bus: &Bus, route: &Route, one: &Received, reason: &str) {
    let Consumption::WorkQueue { max_deliver, .. } = route.consumption else {
        return;
    };
    if one.deliveries >= max_deliver {
        return terminate(
            bus,
            route,
            one,
            &format!("gave up after {} deliveries: {reason}", one.deliveries),
        )
        .await;
    }
    count(route, "retried");
    let delay = flow::back_off(one.deliveries);
    warn!(
        subject = route.subject,
        reason,
        deliveries = one.deliveries,
        delay_s = delay.as_secs(),
        "will be retried"
    );
    if let Err(error) = one.message.ack_with(AckKind::Nak(Some(delay))).await {
        debug!(%error, "negative acknowledgement lost; the message comes again after ack-wait");
    }
}

/// Ends the message with a reason, which the server repeats in its advisory: the dead letter is made from that.
async fn terminate(bus: &Bus, route: &Route, one: &Received, reason: &str) {
    count(route, "discarded");
    tracing::error!(subject = %one.message.subject, reason, "given up as a dead letter");
    let one_line = reason.replace(['\r', '\n'], " ");
    let Some(reply) = one.message.reply.clone() else { return };
    if let Err(error) = bus.client.publish(reply, format!("+TERM {one_line}").into()).await {
        debug!(%error, "termination lost; the message comes again after ack-wait");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_as_large_as_the_stage_and_the_table_want() {
        assert_eq!(batch_size(64, usize::MAX), 64);
        assert_eq!(batch_size(64, 6), 6);
        assert_eq!(batch_size(64, 0), 1);
        assert_eq!(batch_size(1, 6), 1);
    }
}
