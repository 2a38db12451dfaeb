//! DeliveryService: digests composed and sent on demand, and what was sent.

use std::pin::Pin;
use std::sync::Arc;

use common::{access, status};
use domain::preferences::Channels;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use proto::access::Scope as KeyScope;
use proto::convert::to_wire_time;
use proto::delivery::v1::delivery_service_server::DeliveryService;
use proto::delivery::v1::{
    Channel as WireChannel, Delivery, DeliveryState, Digest as WireDigest, DigestPaper as WirePaper,
    GetLatestDigestRequest, GetLatestDigestResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    PreviewDigestRequest, PreviewDigestResponse, ReportFeedbackRequest, ReportFeedbackResponse, ScorePart,
    SendDigestsRequest, SendDigestsResponse, SendTestDigestRequest, SendTestDigestResponse, SentDigest,
};
use proto::papers::v1::Paper as WireShown;
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span, error};

use super::{Notification, digest_failed, unavailable};
use crate::digests::{DeliveryOutcome, Digest, DigestPaper, DigestTrigger, DraftDecision, Drafts, SettledDigest};
use crate::subscribers::deliveries::{DeliveryRecord, DeliveryStage, Pick};
use crate::subscribers::{Channel, SubscriberState};
use crate::tokens::READING;

/// Subscribers whose digests are made together.
const CHUNK: usize = 512;
/// Most digests of one feed.
const MOST_DIGESTS: i32 = 30;

type Deliveries = Vec<Result<Delivery, Status>>;
/// Subscribers and the channel on which they are sent something.
type Recipients = Result<(Channel, Vec<String>), Status>;

impl Notification {
    /// Ids to send to, in chunks, on each channel: the given subscriber, or all active ones.
    async fn recipients(&self, email: &str) -> Result<BoxStream<'static, Recipients>, Status> {
        if !email.is_empty() {
            let subscriber = self.by_email(email).await?;
            if subscriber.state != SubscriberState::Active {
                let problem = format!(
                    "{} is not an active subscriber; the subscription must be confirmed",
                    subscriber.email
                );
                return Err(Status::failed_precondition(problem));
            }
            if subscriber.takes_nothing() {
                let problem = "takes digests by webhook alone, and the webhook has not agreed; verify it first";
                return Err(Status::failed_precondition(format!("{} {problem}", subscriber.email)));
            }
            let channels = Channel::ALL.into_iter().filter(|channel| subscriber.takes(*channel));
            let each: Vec<Recipients> = channels
                .map(|channel| Ok((channel, vec![subscriber.id.clone()])))
                .collect();
            return Ok(futures::stream::iter(each).boxed());
        }
        let channels = Channel::ALL.map(|channel| self.all_active(channel));
        Ok(futures::stream::iter(channels).flatten().boxed())
    }

    /// All who take something on a channel.
    fn all_active(&self, channel: Channel) -> BoxStream<'static, Recipients> {
        let store = Arc::clone(&self.store);
        let pages = futures::stream::try_unfold(Some(0), move |cursor| {
            let store = Arc::clone(&store);
            async move {
                let Some(cursor) = cursor else {
                    return Ok::<_, Status>(None);
                };
                let (next, ids) = store.active(channel, cursor).await.map_err(unavailable)?;
                let page = futures::stream::iter(ids.into_iter().map(Ok));
                Ok(Some((page, (next != 0).then_some(next))))
            }
        });
        let chunks = pages.try_flatten().try_chunks(CHUNK);
        let chunks = chunks.map_ok(move |ids| (channel, ids));
        chunks.map_err(|error| error.1).boxed()
    }

    /// The outcomes of a chunk. A problem is one, too: it must not end the stream for the others.
    async fn deliver(&self, channel: Channel, ids: Vec<String>, dry_run: bool) -> Deliveries {
        let now = self.clock.now();
        if dry_run {
            let drafts = self.digests.drafts(channel, ids, DigestTrigger::Operator, now).await;
            let answers = |drafts| drafted(channel, drafts, now);
            return drafts.map_or_else(|error| vec![Err(digest_failed(error))], answers);
        }
        match self.digests.deliver_now(channel, ids).await {
            Ok(outcomes) => outcomes.into_iter().map(|one| Ok(ended(one, now))).collect(),
            Err(error) => vec![Err(digest_failed(error))],
        }
    }

    /// Records of so many digests of a subscriber, newest slot first, with the channel of each.
    async fn records(
        &self,
        id: &str,
        before: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<(Timestamp, Vec<(Channel, DeliveryRecord)>)>, Status> {
        let slots = self.ledger.slots(id, before, most).await.map_err(unavailable)?;
        let digests: Vec<_> = slots.iter().map(|slot| (id, *slot, Channels::Mail)).collect();
        let mut records: Vec<_> = slots.iter().map(|slot| (*slot, Vec::new())).collect();
        for channel in Channel::ALL {
            let pasts = self.ledger.histories(channel, &digests).await.map_err(unavailable)?;
            for ((_, records), past) in records.iter_mut().zip(pasts) {
                let record = past.map_err(unavailable)?.record;
                if record.stage != DeliveryStage::None {
                    records.push((channel, record));
                }
            }
        }
        Ok(records)
    }
}

#[tonic::async_trait]
impl DeliveryService for Notification {
    async fn preview_digest(
        &self,
        request: Request<PreviewDigestRequest>,
    ) -> Result<Response<PreviewDigestResponse>, Status> {
        if !request.get_ref().email.is_empty() {
            access::require(&request, KeyScope::Operate, "a preview by address")?;
        }
        Ok(Response::new(self.previewed(request.into_inner()).await?))
    }

    async fn send_test_digest(
        &self,
        request: Request<SendTestDigestRequest>,
    ) -> Result<Response<SendTestDigestResponse>, Status> {
        let subscriber = self.by_email(&request.into_inner().email).await?;
        if subscriber.state != SubscriberState::Active {
            let problem = format!(
                "{} is not an active subscriber; tests are mailed to who has agreed",
                subscriber.email
            );
            return Err(Status::failed_precondition(problem));
        }
        let digest = self.digests.send_test(&subscriber).await;
        let digest = to_wire(subscriber.email, digest.map_err(digest_failed)?);
        Ok(Response::new(SendTestDigestResponse { digest: Some(digest) }))
    }

    type SendDigestsStream = Pin<Box<dyn Stream<Item = Result<SendDigestsResponse, Status>> + Send>>;

    async fn send_digests(
        &self,
        request: Request<SendDigestsRequest>,
    ) -> Result<Response<Self::SendDigestsStream>, Status> {
        let SendDigestsRequest { email, dry_run } = request.into_inner();
        let recipients = self.recipients(&email).await?;
        let this = self.clone();
        // The answers are made after this call has returned; their spans belong to it all the same.
        let span = Span::current();
        let outcomes = recipients.then(move |ids| {
            let this = this.clone();
            let outcome = async move {
                match ids {
                    Ok((channel, ids)) => this.deliver(channel, ids, dry_run).await,
                    Err(status) => vec![Err(status)],
                }
            };
            outcome.instrument(span.clone())
        });
        let answers = outcomes
            .flat_map(futures::stream::iter)
            .map_ok(|delivery| SendDigestsResponse {
                delivery: Some(delivery),
            });
        Ok(Response::new(answers.boxed()))
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let subscriber = self.by_email(&request.email).await?;
        let size = status::page_size(request.page_size, 20, 100)?;
        let before = match request.page_token.as_str() {
            "" => None,
            token => {
                let slot = token
                    .parse()
                    .ok()
                    .and_then(|slot| Timestamp::from_millisecond(slot).ok());
                Some(slot.ok_or_else(|| status::invalid("page_token", "is not one that a response gave"))?)
            }
        };
        let mut records = self.records(&subscriber.id, before, size + 1).await?;
        let more = records.len() > size;
        records.truncate(size);
        let next_page_token = match records.last() {
            Some((last, _)) if more => last.as_millisecond().to_string(),
            _ => String::new(),
        };
        let deliveries = records.into_iter().flat_map(|(slot, records)| {
            let email = &subscriber.email;
            let each = records.into_iter();
            each.map(move |(channel, record)| delivery(email, channel, slot, record))
        });
        Ok(Response::new(ListDeliveriesResponse {
            deliveries: deliveries.collect(),
            next_page_token,
        }))
    }

    async fn get_latest_digest(
        &self,
        request: Request<GetLatestDigestRequest>,
    ) -> Result<Response<GetLatestDigestResponse>, Status> {
        let request = request.into_inner();
        let count = match request.digest_count {
            0 => 1,
            count if (1..=MOST_DIGESTS).contains(&count) => count.unsigned_abs() as usize,
            count => {
                let problem = format!("is {count}; allowed are 1 to {MOST_DIGESTS}, or 0");
                return Err(status::invalid("digest_count", problem));
            }
        };
        let subscriber = self.by_token(&READING, &request.token).await?;
        let (mut digests, mut before) = (Vec::new(), None);
        loop {
            let records = self.records(&subscriber.id, before, count).await?;
            before = records.last().map(|(slot, _)| *slot);
            // A digest that was sent on both channels is one digest.
            let sent = records.iter().filter_map(|(slot, records)| {
                let sent = records.iter().find(|(_, record)| record.stage == DeliveryStage::Sent);
                sent.map(|(_, record)| self.sent(*slot, record))
            });
            digests.extend(sent);
            if digests.len() >= count || records.len() < count {
                break;
            }
        }
        digests.truncate(count);
        Ok(Response::new(GetLatestDigestResponse { digests }))
    }

    async fn report_feedback(
        &self,
        request: Request<ReportFeedbackRequest>,
    ) -> Result<Response<ReportFeedbackResponse>, Status> {
        Ok(Response::new(
            super::feedback::report(self, request.into_inner()).await?,
        ))
    }
}

impl Notification {
    fn sent(&self, slot: Timestamp, record: &DeliveryRecord) -> SentDigest {
        let found = self.digests.find(&record.picks);
        let paper = |pick: &Pick| {
            let known = found.iter().find(|one| one.paper.id.as_str() == pick.id);
            known.map_or_else(
                || WirePaper {
                    paper: Some(WireShown {
                        id: pick.id.clone(),
                        ..WireShown::default()
                    }),
                    reason: pick.reason.clone(),
                    score: f64::from(pick.score),
                    parts: parts(pick),
                },
                shown,
            )
        };
        SentDigest {
            slot_time: Some(to_wire_time(slot)),
            sent_time: Some(to_wire_time(record.at)),
            message_id: record.message_id.clone(),
            papers: record.picks.iter().map(paper).collect(),
        }
    }
}

pub(super) fn to_wire(email: String, digest: Digest) -> WireDigest {
    WireDigest {
        email,
        slot_time: Some(to_wire_time(digest.slot)),
        papers: digest.papers.iter().map(shown).collect(),
        subject: digest.mail.subject,
        text: digest.mail.text,
        html: digest.mail.html.unwrap_or_default(),
    }
}

fn shown(one: &DigestPaper) -> WirePaper {
    WirePaper {
        paper: Some((&*one.paper).into()),
        reason: one.reason.clone(),
        score: f64::from(one.score),
        parts: parts(&Pick::of(one)),
    }
}

fn parts(pick: &Pick) -> Vec<ScorePart> {
    let parts = pick.parts().map(|part| ScorePart {
        name: part.name.to_owned(),
        value: f64::from(part.value),
        interest: part.interest,
    });
    parts.collect()
}

/// What would become of digests.
fn drafted(channel: Channel, drafts: Drafts, now: Timestamp) -> Deliveries {
    let each = drafts.into_iter().filter_map(|(id, draft)| match draft {
        Ok(None) => None,
        Ok(Some(draft)) => {
            let mut record = draft.record;
            let before = matches!(draft.decision, DraftDecision::Ended) && record.stage == DeliveryStage::Sent;
            match draft.decision {
                DraftDecision::Send(papers) => {
                    record.stage = DeliveryStage::Intended;
                    record.picks = papers.iter().map(Pick::of).collect();
                }
                DraftDecision::Empty(why) => {
                    record.stage = DeliveryStage::Empty;
                    why.detail().clone_into(&mut record.detail);
                }
                DraftDecision::Expired(detail) => (record.stage, record.detail) = (DeliveryStage::Expired, detail),
                DraftDecision::Defer(detail) => (record.stage, record.detail) = (DeliveryStage::Deferred, detail),
                DraftDecision::Ended => {}
            }
            Some(Delivery {
                already_delivered: before,
                ..delivery(&draft.subscriber.email, channel, draft.slot, record)
            })
        }
        Err(error) => {
            error!(subscriber = %id, %error, "digest not composed");
            Some(broken(String::new(), channel, now))
        }
    });
    each.map(Ok).collect()
}

fn ended(outcome: DeliveryOutcome, now: Timestamp) -> Delivery {
    match outcome.result {
        Ok(SettledDigest { slot, record, before }) => Delivery {
            already_delivered: before,
            ..delivery(&outcome.email, outcome.channel, slot, record)
        },
        Err(_) => broken(outcome.email, outcome.channel, now),
    }
}

fn broken(email: String, channel: Channel, now: Timestamp) -> Delivery {
    Delivery {
        email,
        state: DeliveryState::Failed.into(),
        detail: "not made because of a problem here; the log of notification says which".to_owned(),
        state_time: Some(to_wire_time(now)),
        channel: to_wire_channel(channel).into(),
        ..Delivery::default()
    }
}

fn to_wire_channel(channel: Channel) -> WireChannel {
    match channel {
        Channel::Mail => WireChannel::Mail,
        Channel::Webhook => WireChannel::Webhook,
    }
}

fn delivery(email: &str, channel: Channel, slot: Timestamp, record: DeliveryRecord) -> Delivery {
    let state = match record.stage {
        DeliveryStage::None => DeliveryState::Unspecified,
        DeliveryStage::Intended => DeliveryState::Intended,
        DeliveryStage::Sending => DeliveryState::Sending,
        DeliveryStage::Sent => DeliveryState::Sent,
        DeliveryStage::Failed => DeliveryState::Failed,
        DeliveryStage::Empty => DeliveryState::Empty,
        DeliveryStage::Deferred => DeliveryState::Deferred,
        DeliveryStage::Expired => DeliveryState::Expired,
    };
    Delivery {
        email: email.to_owned(),
        slot_time: Some(to_wire_time(slot)),
        state: state.into(),
        message_id: record.message_id,
        paper_ids: record.picks.into_iter().map(|pick| pick.id).collect(),
        detail: record.detail,
        state_time: Some(to_wire_time(record.at)),
        already_delivered: false,
        resent_count: i32::try_from(record.resent).unwrap_or(i32::MAX),
        channel: to_wire_channel(channel).into(),
    }
}
