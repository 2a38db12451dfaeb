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
use crate::flow::{self, Hop, Reading};
use crate::metrics::{HANDLING_SECONDS, MESSAGES};
use crate::streams::{self, WorkConsumer};
use crate::telemetry;

const PULL_EXPIRES: Duration = Duration::from_secs(20);

/// What becomes of one message.
#[derive(Debug)]
pub enum Outcome<Output> {
    /// Handled; publish these (message id, message), then acknowledge.
    Done(Vec<(String, Output)>),
    /// Not now, because of something that passes; deliver it again later.
    Retry(String),
    /// Never; set it aside with this reason.
    Discard(String),
}

/// What a service does with the messages of one hop.
#[async_trait]
pub trait Stage: Send + Sync + 'static {
    /// What it reads.
    type Input: Message + Name + Default + Send;
    /// What it publishes.
    type Output: Message + Name + Send + Sync;
    /// Name of the service, as in the flow table.
    const SERVICE: &'static str;
    /// Batches in hand at the same time, each pulled, handled and settled by itself. More than one keeps a stage busy
    /// while results are published.
    const LANES: usize = 1;

    /// Most messages to take for the next batch; the flow table bounds it. Asked for each batch: a stage whose work is
    /// slow says how much it can finish well within ack-wait, so that memory, waiting and the stop stay bounded.
    fn appetite(&self) -> usize {
        usize::MAX
    }

    /// Handles a batch; the answer holds one outcome per message, in the same order. Must be idempotent.
    async fn handle(&self, batch: Vec<Self::Input>) -> Vec<Outcome<Self::Output>>;
}

/// A stage that publishes nothing publishes messages of this type: none can exist on the flow.
pub type Nothing = proto::papers::v1::PaperIndexed;

/// Runs a stage until shutdown; what is in hand then is finished and acknowledged.
pub async fn run<S: Stage>(bus: Bus, stage: Arc<S>, shutdown: CancellationToken) -> Result<(), BusError> {
    let hop = flow::work_hop::<S::Input>(S::SERVICE).ok_or_else(|| BusError::Setup {
        name: S::Input::full_name(),
        problem: format!("the flow table has no work hop to {}", S::SERVICE),
    })?;
    let consumer = streams::work_consumer(&bus, hop).await?;
    let lane = || run_lane(&bus, stage.as_ref(), hop, &consumer, &shutdown);
    futures::future::join_all((0..S::LANES).map(|_| lane())).await;
    Ok(())
}

async fn run_lane<S: Stage>(bus: &Bus, stage: &S, hop: &Hop, consumer: &WorkConsumer, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        let pulled = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            pulled = pull(consumer, hop, stage) => pulled,
        };
        match pulled {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => handle_batch(bus, stage, hop, messages).await,
            Err(problem) => {
                warn!(subject = hop.subject, problem, "pull failed, trying again");
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
}

/// Messages to take at once: at least one, or a stage would stand still.
fn batch_size(most: usize, appetite: usize) -> usize {
    appetite.clamp(1, most.max(1))
}

/// Waits for one message, then takes all that is there up to the batch size: no linger, no pre-fetch that would be
/// delivered late after a stop.
async fn pull<S: Stage>(consumer: &WorkConsumer, hop: &Hop, stage: &S) -> Result<Vec<jetstream::Message>, String> {
    let Reading::Work { batch, .. } = hop.reading else {
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
    let size = batch_size(batch, stage.appetite());
    if messages.is_empty() || size == 1 {
        return Ok(messages);
    }
    // What was taken already must be handled even when the second pull fails.
    let Ok(mut rest) = consumer.fetch().max_messages(size - 1).messages().await else {
        return Ok(messages);
    };
    while let Some(Ok(message)) = rest.next().await {
        messages.push(message);
    }
    Ok(messages)
}

struct Taken {
    message: jetstream::Message,
    deliveries: i64,
    span: Span,
}

async fn handle_batch<S: Stage>(bus: &Bus, stage: &S, hop: &Hop, messages: Vec<jetstream::Message>) {
    let mut taken = Vec::with_capacity(messages.len());
    let mut inputs = Vec::with_capacity(messages.len());
    for message in messages {
        let deliveries = message.info().map_or(1, |info| info.delivered);
        let span = info_span!(
            "consume",
            otel.name = format!("{} {}", S::SERVICE, hop.subject),
            otel.kind = "consumer",
            service = S::SERVICE,
            deliveries
        );
        telemetry::set_parent_from_headers(&span, message.headers.as_ref());
        let one = Taken {
            message,
            deliveries,
            span,
        };
        match S::Input::decode(one.message.payload.clone()) {
            Ok(input) => {
                inputs.push(input);
                taken.push(one);
            }
            Err(error) => {
                let reason = format!("message does not parse as {}: {error}", hop.message);
                terminate(bus, hop, &one, &reason).await;
            }
        }
    }
    if taken.is_empty() {
        return;
    }
    let begun = Instant::now();
    let outcomes = with_progress(&taken, hop, stage.handle(inputs)).await;
    if let Reading::Work { consumer, .. } = hop.reading {
        let seconds = HANDLING_SECONDS.with_label_values(&[consumer]);
        seconds.observe(begun.elapsed().as_secs_f64());
    }
    debug_assert_eq!(outcomes.len(), taken.len(), "one outcome per message");
    let mut settling = Vec::with_capacity(taken.len());
    for (one, outcome) in taken.iter().zip(outcomes) {
        settling.push(settle(bus, hop, one, outcome).instrument(one.span.clone()));
    }
    futures::future::join_all(settling).await;
}

/// Tells the server three times per ack-wait that work goes on.
async fn with_progress<T>(taken: &[Taken], hop: &Hop, work: impl Future<Output = T>) -> T {
    let Reading::Work { ack_wait, .. } = hop.reading else {
        return work.await;
    };
    let mut beat = tokio::time::interval(ack_wait / 3);
    beat.tick().await;
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            _ = beat.tick() => {
                for one in taken {
                    if let Err(error) = one.message.ack_with(AckKind::Progress).await {
                        debug!(%error, "progress not reported");
                    }
                }
            }
        }
    }
}

async fn settle<Output: Message + Name>(bus: &Bus, hop: &Hop, one: &Taken, outcome: Outcome<Output>) {
    match outcome {
        Outcome::Done(outputs) => {
            for (id, output) in outputs {
                if let Err(error) = bus.publish(&id, &output).await {
                    return retry(bus, hop, one, &error.to_string()).await;
                }
            }
            if let Err(error) = one.message.double_ack().await {
                warn!(subject = hop.subject, %error, "acknowledgement lost; the message will come again");
                return;
            }
            count(hop, "done");
        }
        Outcome::Retry(reason) => retry(bus, hop, one, &reason).await,
        Outcome::Discard(reason) => terminate(bus, hop, one, &reason).await,
    }
}

fn count(hop: &Hop, outcome: &str) {
    if let Reading::Work { consumer, .. } = hop.reading {
        MESSAGES.with_label_values(&[consumer, outcome]).inc();
    }
}

async fn retry(bus: &Bus, hop: &Hop, one: &Taken, reason: &str) {
    let Reading::Work { max_deliver, .. } = hop.reading else {
        return;
    };
    if one.deliveries >= max_deliver {
        return terminate(
            bus,
            hop,
            one,
            &format!("gave up after {} deliveries: {reason}", one.deliveries),
        )
        .await;
    }
    count(hop, "retried");
    let delay = flow::back_off(one.deliveries);
    warn!(
        subject = hop.subject,
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
async fn terminate(bus: &Bus, hop: &Hop, one: &Taken, reason: &str) {
    count(hop, "discarded");
    tracing::error!(subject = %one.message.subject, reason, "set aside as a dead letter");
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
