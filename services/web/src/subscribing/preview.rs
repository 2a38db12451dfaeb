//! What a digest would hold if it went out now. It is asked of the service that makes the digests; nothing is sent, and a
//! page can do without it.

use std::time::Duration;

use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::delivery::v1::{Edition, EditionPaper, PreviewEditionRequest};
use proto::subscriptions::v1::{Format, Preferences};
use serde::Serialize;
use tonic::{Code, Status};

use super::desk::Desk;
use super::problems::Problems;
use super::reading::Wanted;
use super::words;
use crate::paper::PaperView;
use crate::reader::Reader;

/// How long a page that was not asked for a preview waits for one.
const PATIENCE: Duration = Duration::from_secs(2);

/// A paper of an edition, as pages show it.
#[derive(Debug, Clone, Serialize)]
pub struct Picked {
    paper: PaperView,
    reason: String,
}

impl Picked {
    /// Of an edition's paper; one that has left the window of recent papers is known by its id alone.
    pub fn of(one: &EditionPaper) -> Option<Self> {
        let mut paper = one.paper.clone()?;
        if paper.title.is_empty() {
            paper.title.clone_from(&paper.id);
        }
        Some(Self {
            paper: PaperView::of(&paper, &Reader::default()),
            reason: one.reason.clone(),
        })
    }
}

/// What to show below a form, or what is wrong with it.
pub async fn of(desk: &Desk, wanted: &Wanted, token: &str) -> Result<Value, Problems> {
    if !wanted.problems.is_empty() {
        return Err(wanted.problems.clone());
    }
    let request = PreviewEditionRequest {
        preferences: Some(wanted.to_preview()),
        token: token.to_owned(),
        ..PreviewEditionRequest::default()
    };
    match ask(desk, request, &wanted.preferences).await {
        Ok(shown) => Ok(shown),
        Err(error) => match Problems::of(&error, &wanted.origins) {
            Some(problems) => Err(problems),
            None => Ok(not_now(&error)),
        },
    }
}

/// The same for a page that is fine without it: nothing where it does not come in time.
pub async fn at_hand(desk: &Desk, wanted: &Wanted) -> Result<Value, Problems> {
    let shown = tokio::time::timeout(PATIENCE, of(desk, wanted, "")).await;
    shown.unwrap_or(Ok(Value::UNDEFINED))
}

/// What to show where a form has to be put right first.
pub fn held_back(problems: &Problems) -> Value {
    context! { held_back => problems.sentences() }
}

async fn ask(desk: &Desk, request: PreviewEditionRequest, preferences: &Preferences) -> Result<Value, Status> {
    let answer = desk
        .front
        .deliveries
        .clone()
        .preview_edition(desk.ask(request))
        .await?
        .into_inner();
    let Edition {
        subject, text, papers, ..
    } = answer.edition.unwrap_or_default();
    let picked: Vec<Picked> = papers.iter().filter_map(Picked::of).collect();
    let schedule = preferences.schedule.clone().unwrap_or_default();
    let text = (preferences.format() == Format::Text && !picked.is_empty()).then_some(text);
    Ok(context! {
        subject,
        papers => Serde(picked),
        text,
        empty_detail => answer.empty_detail,
        next => words::next(&schedule, Timestamp::now()),
    })
}

fn not_now(error: &Status) -> Value {
    tracing::warn!(code = ?error.code(), message = error.message(), "a preview could not be made");
    let sentence = match error.code() {
        Code::ResourceExhausted => "Too many previews are asked for just now. Try again in a minute.",
        _ => "The preview cannot be made at the moment. You can subscribe without it.",
    };
    context! { not_now => sentence }
}
