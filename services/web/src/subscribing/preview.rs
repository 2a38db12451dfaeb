//! A preview: what a digest would hold if it were sent now, made by the service that makes the digests. Nothing is sent, and a
//! page works without it.

use std::time::Duration;

use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::delivery::v1::{Digest, DigestPaper, PreviewDigestRequest};
use proto::subscriptions::v1::{Format, Preferences};
use serde::Serialize;
use tonic::{Code, Status};

use super::context::SubscriberContext;
use super::parsing::ParsedPreferences;
use super::problems::FormProblems;
use super::wording;
use crate::cookies::ReaderCookies;
use crate::paper::PaperView;

/// How long a page waits for a preview nobody asked for.
const QUICK_TIMEOUT: Duration = Duration::from_secs(2);

/// A paper of a digest, as pages show it.
#[derive(Debug, Clone, Serialize)]
pub struct DigestPaperView {
    paper: PaperView,
    reason: String,
}

impl DigestPaperView {
    /// A paper of a digest. Of a paper that is no longer among the recent ones only the id is known.
    pub fn new(one: &DigestPaper) -> Option<Self> {
        let mut paper = one.paper.clone()?;
        if paper.title.is_empty() {
            paper.title.clone_from(&paper.id);
        }
        Some(Self {
            paper: PaperView::new(&paper, &ReaderCookies::default()),
            reason: one.reason.clone(),
        })
    }
}

/// The preview for a form, or what is wrong with the form.
pub async fn digest_preview(
    ctx: &SubscriberContext,
    parsed: &ParsedPreferences,
    token: &str,
) -> Result<Value, FormProblems> {
    if !parsed.problems.is_empty() {
        return Err(parsed.problems.clone());
    }
    let request = PreviewDigestRequest {
        preferences: Some(parsed.to_preview()),
        token: token.to_owned(),
        ..PreviewDigestRequest::default()
    };
    match request_preview(ctx, request, &parsed.preferences).await {
        Ok(preview) => Ok(preview),
        Err(error) => match FormProblems::from_status(&error, &parsed.origins) {
            Some(problems) => Err(problems),
            None => Ok(unavailable(&error)),
        },
    }
}

/// The same for a page that works without it: nothing if it takes too long.
pub async fn quick_preview(ctx: &SubscriberContext, parsed: &ParsedPreferences) -> Result<Value, FormProblems> {
    let preview = digest_preview(ctx, parsed, "");
    let preview = ctx.app.clock.timeout(QUICK_TIMEOUT, preview).await;
    preview.unwrap_or(Ok(Value::UNDEFINED))
}

/// Shown instead of a preview until the form is corrected.
pub fn blocked(problems: &FormProblems) -> Value {
    context! { blocked => problems.sentences() }
}

async fn request_preview(
    ctx: &SubscriberContext,
    request: PreviewDigestRequest,
    preferences: &Preferences,
) -> Result<Value, Status> {
    let answer = ctx
        .app
        .deliveries
        .clone()
        .preview_digest(ctx.request(request))
        .await?
        .into_inner();
    let Digest {
        subject, text, papers, ..
    } = answer.digest.unwrap_or_default();
    let papers: Vec<DigestPaperView> = papers.iter().filter_map(DigestPaperView::new).collect();
    let schedule = preferences.schedule.clone().unwrap_or_default();
    let text = (preferences.format() == Format::Text && !papers.is_empty()).then_some(text);
    Ok(context! {
        subject,
        papers => Serde(papers),
        text,
        empty_detail => answer.empty_detail,
        next => wording::next_slot(&schedule, ctx.app.clock.now()),
    })
}

fn unavailable(error: &Status) -> Value {
    tracing::warn!(code = ?error.code(), message = error.message(), "cannot make a preview");
    let sentence = match error.code() {
        Code::ResourceExhausted => "Too many previews are being made right now. Try again in a minute.",
        _ => "The preview is not available at the moment. You can go on without it.",
    };
    context! { unavailable => sentence }
}
