//! ReportFeedback: what came back for a mail, from a webhook or a mail server's hook.

use common::status;
use proto::delivery::v1::report_feedback_request::Report as Wire;
use proto::delivery::v1::{Feedback as Fields, FeedbackKind, ReportFeedbackRequest, ReportFeedbackResponse};
use tonic::Status;

use super::{Notification, unavailable};
use crate::feedback::{FeedbackReport, MAX_MESSAGE_BYTES, ReportKind, ReportSource};

/// Takes a report in.
pub async fn report(service: &Notification, request: ReportFeedbackRequest) -> Result<ReportFeedbackResponse, Status> {
    let feedback = &service.feedback;
    let taken = match request.report {
        Some(Wire::Message(message)) if message.len() > MAX_MESSAGE_BYTES => {
            let description = format!("has {} bytes; at most {MAX_MESSAGE_BYTES} are allowed", message.len());
            return Err(status::invalid("message", description));
        }
        Some(Wire::Message(message)) => {
            let taken = feedback.handle_message(&message).await.map_err(unavailable)?;
            taken.ok_or_else(|| {
                status::invalid("message", "is neither a bounce nor a complaint nor an unsubscription")
            })?
        }
        Some(Wire::Feedback(fields)) => {
            let handled = feedback.handle(&in_fields(fields)?, ReportSource::Operator).await;
            handled.map_err(unavailable)?
        }
        None => return Err(status::invalid("report", "is missing; give the message or its fields")),
    };
    Ok(ReportFeedbackResponse {
        kind: to_wire(taken.kind).into(),
        subscriber_id: taken.subscriber.unwrap_or_default(),
        suppressed: taken.suppressed,
    })
}

fn in_fields(fields: Fields) -> Result<FeedbackReport, Status> {
    let kind = match fields.kind() {
        FeedbackKind::HardBounce => ReportKind::HardBounce,
        FeedbackKind::SoftBounce => ReportKind::SoftBounce,
        FeedbackKind::Complaint => ReportKind::Complaint,
        FeedbackKind::Unsubscription => {
            let problem =
                "is UNSUBSCRIPTION, which only a message can be: its address proves it; call Unsubscribe instead";
            return Err(status::invalid("feedback.kind", problem));
        }
        FeedbackKind::Unspecified => return Err(status::invalid("feedback.kind", "is missing")),
    };
    if fields.message_id.is_empty() {
        return Err(status::invalid("feedback.message_id", "is missing"));
    }
    Ok(FeedbackReport {
        kind,
        mails: vec![fields.message_id],
        detail: fields.detail,
    })
}

fn to_wire(kind: ReportKind) -> FeedbackKind {
    match kind {
        ReportKind::HardBounce => FeedbackKind::HardBounce,
        ReportKind::SoftBounce | ReportKind::Rejection => FeedbackKind::SoftBounce,
        ReportKind::Complaint => FeedbackKind::Complaint,
        ReportKind::Unsubscription => FeedbackKind::Unsubscription,
    }
}
