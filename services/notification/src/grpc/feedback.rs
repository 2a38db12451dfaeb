//! ReportFeedback: what came back for a mail, from a webhook or a mail server's hook.

use common::status;
use jiff::Timestamp;
use proto::delivery::v1::report_feedback_request::Report as Wire;
use proto::delivery::v1::{Feedback as Fields, FeedbackKind, ReportFeedbackRequest, ReportFeedbackResponse};
use tonic::Status;

use super::{Notification, unavailable};
use crate::feedback::{Kind, MOST_BYTES, Report};

/// Takes a report in.
pub async fn report(service: &Notification, request: ReportFeedbackRequest) -> Result<ReportFeedbackResponse, Status> {
    let now = Timestamp::now();
    let feedback = &service.feedback;
    let taken = match request.report {
        Some(Wire::Message(message)) if message.len() > MOST_BYTES => {
            let description = format!("has {} bytes; at most {MOST_BYTES} are allowed", message.len());
            return Err(status::invalid("message", description));
        }
        Some(Wire::Message(message)) => {
            let taken = feedback.take_message(&message, now).await.map_err(unavailable)?;
            taken.ok_or_else(|| status::invalid("message", "is neither a bounce nor a complaint"))?
        }
        Some(Wire::Feedback(fields)) => feedback.take(&in_fields(fields)?, now).await.map_err(unavailable)?,
        None => return Err(status::invalid("report", "is missing; give the message or its fields")),
    };
    Ok(ReportFeedbackResponse {
        kind: to_wire(taken.kind).into(),
        subscriber_id: taken.subscriber.unwrap_or_default(),
        suppressed: taken.suppressed,
    })
}

fn in_fields(fields: Fields) -> Result<Report, Status> {
    let kind = match fields.kind() {
        FeedbackKind::HardBounce => Kind::HardBounce,
        FeedbackKind::SoftBounce => Kind::SoftBounce,
        FeedbackKind::Complaint => Kind::Complaint,
        FeedbackKind::Unspecified => return Err(status::invalid("feedback.kind", "is missing")),
    };
    if fields.message_id.is_empty() {
        return Err(status::invalid("feedback.message_id", "is missing"));
    }
    Ok(Report {
        kind,
        mails: vec![fields.message_id],
        detail: fields.detail,
    })
}

fn to_wire(kind: Kind) -> FeedbackKind {
    match kind {
        Kind::HardBounce => FeedbackKind::HardBounce,
        Kind::SoftBounce | Kind::Rejection => FeedbackKind::SoftBounce,
        Kind::Complaint => FeedbackKind::Complaint,
    }
}
