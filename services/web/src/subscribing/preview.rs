//! A preview: what a digest would hold if it were sent now, made by the service that makes the digests. Nothing is sent, and a
//! page works without it.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
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
use crate::limits::whole_seconds;
use crate::paper::PaperView;

/// How long a page waits for a preview nobody asked for.
const QUICK_TIMEOUT: Duration = Duration::from_secs(2);

/// When to try again while too many previews are made, if the service does not say.
const BUSY_SECONDS: u64 = 60;

/// A preview for a page.
#[derive(Debug)]
pub struct PreviewSection {
    /// What the template shows.
    pub value: Value,
    /// When to try again, where there is no preview because too many are made.
    busy: Option<Duration>,
}

impl PreviewSection {
    fn shown(value: Value) -> Self {
        Self { value, busy: None }
    }

    /// Says when to try again.
    fn busy(wait: Duration) -> Self {
        let seconds = whole_seconds(wait).max(1);
        let unit = if seconds == 1 { "second" } else { "seconds" };
        let sentence = format!(
            "Too many previews are being made right now, or there was too much text from your network. Try again in {seconds} \
             {unit}; you can go on without it."
        );
        Self {
            value: context! { unavailable => sentence },
            busy: Some(Duration::from_secs(seconds)),
        }
    }

    /// The status of a page whose purpose is the preview.
    pub fn status(&self) -> StatusCode {
        match self.busy {
            Some(_) => StatusCode::TOO_MANY_REQUESTS,
            None => StatusCode::OK,
        }
    }

    /// How long to wait before trying again.
    pub fn wait(&self) -> Option<Duration> {
        self.busy
    }
}

/// A page with a preview, with how long to wait where there is none.
pub fn with_wait(mut response: Response, wait: Option<Duration>) -> Response {
    if let Some(wait) = wait {
        let seconds = HeaderValue::from(whole_seconds(wait));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

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

/// The preview for a form, or what is wrong with the form. It costs the caller what its text costs.
pub async fn digest_preview(
    ctx: &SubscriberContext,
    parsed: &ParsedPreferences,
    token: &str,
) -> Result<PreviewSection, FormProblems> {
    if !parsed.problems.is_empty() {
        return Err(parsed.problems.clone());
    }
    let interests = parsed.preferences.interests.iter();
    if let Err(wait) = ctx.charge_text(interests.map(|interest| interest.text.as_str())) {
        return Ok(PreviewSection::busy(wait));
    }
    let request = PreviewDigestRequest {
        preferences: Some(parsed.to_preview()),
        token: token.to_owned(),
        ..PreviewDigestRequest::default()
    };
    match request_preview(ctx, request, &parsed.preferences).await {
        Ok(preview) => Ok(PreviewSection::shown(preview)),
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
    preview.map_or(Ok(Value::UNDEFINED), |made| made.map(|preview| preview.value))
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

fn unavailable(error: &Status) -> PreviewSection {
    if error.code() == Code::ResourceExhausted {
        let wait = common::status::retry_delay(error).unwrap_or(Duration::from_secs(BUSY_SECONDS));
        return PreviewSection::busy(wait);
    }
    tracing::warn!(code = ?error.code(), message = error.message(), "cannot make a preview");
    let sentence = "The preview is not available at the moment. You can go on without it.";
    PreviewSection::shown(context! { unavailable => sentence })
}
