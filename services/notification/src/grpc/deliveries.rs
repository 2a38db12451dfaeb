//! DeliveryService: editions composed and sent on demand, and what was sent.

use std::pin::Pin;

use common::status;
use domain::preferences::Channels;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::delivery::v1::delivery_service_server::DeliveryService;
use proto::delivery::v1::{
    Channel as WireChannel, Delivery, DeliveryState, Edition as WireEdition, EditionPaper as WirePaper, EditionPart,
    GetLatestEditionRequest, GetLatestEditionResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    PreviewEditionRequest, PreviewEditionResponse, ReportFeedbackRequest, ReportFeedbackResponse, SendEditionsRequest,
    SendEditionsResponse, SendTestEditionRequest, SendTestEditionResponse, SentEdition,
};
use proto::papers::v1::Paper as WireShown;
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span, error};

use super::{Notification, edition_failed, unavailable};
use crate::editions::{Delivered, Drafts, Edition, EditionPaper, Occasion, Outcome, Verdict};
use crate::subscribers::deliveries::{Pick, Record, Stage};
use crate::subscribers::{Channel, State};
use crate::tokens::Scope;

/// Subscribers whose editions are made together.
const CHUNK: usize = 512;
/// Most editions of one feed.
const MOST_EDITIONS: i32 = 30;

type Deliveries = Vec<Result<Delivery, Status>>;
/// Subscribers and the way on which they are sent something.
type Recipients = Result<(Channel, Vec<String>), Status>;

impl Notification {
    /// Ids to send to, in chunks, on each way: the given subscriber, or all active ones.
    async fn recipients(&self, email: &str) -> Result<BoxStream<'static, Recipients>, Status> {
        if !email.is_empty() {
            let subscriber = self.by_email(email).await?;
            if subscriber.state != State::Active {
                let problem = format!(
                    "{} is not an active subscriber; the subscription must be confirmed",
                    subscriber.email
                );
                return Err(Status::failed_precondition(problem));
            }
            if subscriber.takes_nothing() {
                let problem = "takes editions by webhook alone, and the webhook has not agreed; verify it first";
                return Err(Status::failed_precondition(format!("{} {problem}", subscriber.email)));
            }
            let ways = Channel::ALL.into_iter().filter(|channel| subscriber.takes(*channel));
            let each: Vec<Recipients> = ways.map(|channel| Ok((channel, vec![subscriber.id.clone()]))).collect();
            return Ok(futures::stream::iter(each).boxed());
        }
        let ways = Channel::ALL.map(|channel| self.all_active(channel));
        Ok(futures::stream::iter(ways).flatten().boxed())
    }

    /// All who take something on a way.
    fn all_active(&self, channel: Channel) -> BoxStream<'static, Recipients> {
        let subscribers = self.subscribers.clone();
        let pages = futures::stream::try_unfold(Some(0), move |cursor| {
            let subscribers = subscribers.clone();
            async move {
                let Some(cursor) = cursor else {
                    return Ok::<_, Status>(None);
                };
                let (next, ids) = subscribers.active(channel, cursor).await.map_err(unavailable)?;
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
        let now = Timestamp::now();
        if dry_run {
            let drafts = self.editions.drafts(channel, ids, Occasion::Asked, now).await;
            let told = |drafts| drafted(channel, drafts, now);
            return drafts.map_or_else(|error| vec![Err(edition_failed(error))], told);
        }
        match self.editions.deliver(channel, ids, now).await {
            Ok(outcomes) => outcomes.into_iter().map(|one| Ok(ended(one, now))).collect(),
            Err(error) => vec![Err(edition_failed(error))],
        }
    }

    /// Records of so many editions of a subscriber, newest slot first, with the way of each.
    async fn records(
        &self,
        id: &str,
        before: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<(Timestamp, Vec<(Channel, Record)>)>, Status> {
        let slots = self.subscribers.slots(id, before, most).await.map_err(unavailable)?;
        let editions: Vec<_> = slots.iter().map(|slot| (id, *slot, Channels::Mail)).collect();
        let mut records: Vec<_> = slots.iter().map(|slot| (*slot, Vec::new())).collect();
        for channel in Channel::ALL {
            let pasts = self.subscribers.pasts(channel, &editions).await.map_err(unavailable)?;
            for ((_, records), past) in records.iter_mut().zip(pasts) {
                let record = past.map_err(unavailable)?.record;
                if record.stage != Stage::None {
                    records.push((channel, record));
                }
            }
        }
        Ok(records)
    }
}

#[tonic::async_trait]
impl DeliveryService for Notification {
    async fn preview_edition(
        &self,
        request: Request<PreviewEditionRequest>,
    ) -> Result<Response<PreviewEditionResponse>, Status> {
        Ok(Response::new(self.previewed(request.into_inner()).await?))
    }

    async fn send_test_edition(
        &self,
        request: Request<SendTestEditionRequest>,
    ) -> Result<Response<SendTestEditionResponse>, Status> {
        let subscriber = self.by_email(&request.into_inner().email).await?;
        if subscriber.state != State::Active {
            let problem = format!(
                "{} is not an active subscriber; tests are mailed to who has agreed",
                subscriber.email
            );
            return Err(Status::failed_precondition(problem));
        }
        let edition = self.editions.send_test(&subscriber, Timestamp::now()).await;
        let edition = to_wire(subscriber.email, edition.map_err(edition_failed)?);
        Ok(Response::new(SendTestEditionResponse { edition: Some(edition) }))
    }

    type SendEditionsStream = Pin<Box<dyn Stream<Item = Result<SendEditionsResponse, Status>> + Send>>;

    async fn send_editions(
        &self,
        request: Request<SendEditionsRequest>,
    ) -> Result<Response<Self::SendEditionsStream>, Status> {
        let SendEditionsRequest { email, dry_run } = request.into_inner();
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
            .map_ok(|delivery| SendEditionsResponse {
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

    async fn get_latest_edition(
        &self,
        request: Request<GetLatestEditionRequest>,
    ) -> Result<Response<GetLatestEditionResponse>, Status> {
        let request = request.into_inner();
        let count = match request.edition_count {
            0 => 1,
            count if (1..=MOST_EDITIONS).contains(&count) => count.unsigned_abs() as usize,
            count => {
                let problem = format!("is {count}; allowed are 1 to {MOST_EDITIONS}, or 0");
                return Err(status::invalid("edition_count", problem));
            }
        };
        let subscriber = self.by_token(&[Scope::Manage], &request.token).await?;
        let (mut editions, mut before) = (Vec::new(), None);
        loop {
            let records = self.records(&subscriber.id, before, count).await?;
            before = records.last().map(|(slot, _)| *slot);
            // An edition that was sent both ways is one edition.
            let sent = records.iter().filter_map(|(slot, records)| {
                let sent = records.iter().find(|(_, record)| record.stage == Stage::Sent);
                sent.map(|(_, record)| self.sent(*slot, record))
            });
            editions.extend(sent);
            if editions.len() >= count || records.len() < count {
                break;
            }
        }
        editions.truncate(count);
        Ok(Response::new(GetLatestEditionResponse { editions }))
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
    fn sent(&self, slot: Timestamp, record: &Record) -> SentEdition {
        let found = self.editions.find(&record.picks);
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
        SentEdition {
            slot_time: Some(to_wire_time(slot)),
            sent_time: Some(to_wire_time(record.at)),
            message_id: record.message_id.clone(),
            papers: record.picks.iter().map(paper).collect(),
        }
    }
}

pub(super) fn to_wire(email: String, edition: Edition) -> WireEdition {
    WireEdition {
        email,
        slot_time: Some(to_wire_time(edition.slot)),
        papers: edition.papers.iter().map(shown).collect(),
        subject: edition.mail.subject,
        text: edition.mail.text,
        html: edition.mail.html.unwrap_or_default(),
    }
}

fn shown(one: &EditionPaper) -> WirePaper {
    WirePaper {
        paper: Some((&*one.paper).into()),
        reason: one.reason.clone(),
        score: f64::from(one.score),
        parts: parts(&Pick::of(one)),
    }
}

fn parts(pick: &Pick) -> Vec<EditionPart> {
    let parts = pick.parts().map(|part| EditionPart {
        name: part.name.to_owned(),
        value: f64::from(part.value),
        interest: part.interest,
    });
    parts.collect()
}

/// What would become of editions.
fn drafted(channel: Channel, drafts: Drafts, now: Timestamp) -> Deliveries {
    let each = drafts.into_iter().filter_map(|(id, draft)| match draft {
        Ok(None) => None,
        Ok(Some(draft)) => {
            let mut record = draft.record;
            let before = matches!(draft.verdict, Verdict::Known) && record.stage == Stage::Sent;
            match draft.verdict {
                Verdict::Send(papers) => {
                    record.stage = Stage::Intended;
                    record.picks = papers.iter().map(Pick::of).collect();
                }
                Verdict::Empty(why) => {
                    record.stage = Stage::Empty;
                    why.detail().clone_into(&mut record.detail);
                }
                Verdict::Expired(detail) => (record.stage, record.detail) = (Stage::Expired, detail),
                Verdict::PutOff(detail) => (record.stage, record.detail) = (Stage::Deferred, detail),
                Verdict::Known => {}
            }
            Some(Delivery {
                already_delivered: before,
                ..delivery(&draft.subscriber.email, channel, draft.slot, record)
            })
        }
        Err(error) => {
            error!(subscriber = %id, %error, "edition not composed");
            Some(broken(String::new(), channel, now))
        }
    });
    each.map(Ok).collect()
}

fn ended(outcome: Outcome, now: Timestamp) -> Delivery {
    match outcome.result {
        Ok(Delivered { slot, record, before }) => Delivery {
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

fn delivery(email: &str, channel: Channel, slot: Timestamp, record: Record) -> Delivery {
    let state = match record.stage {
        Stage::None => DeliveryState::Unspecified,
        Stage::Intended => DeliveryState::Intended,
        Stage::Sending => DeliveryState::Sending,
        Stage::Sent => DeliveryState::Sent,
        Stage::Failed => DeliveryState::Failed,
        Stage::Empty => DeliveryState::Empty,
        Stage::Deferred => DeliveryState::Deferred,
        Stage::Expired => DeliveryState::Expired,
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
