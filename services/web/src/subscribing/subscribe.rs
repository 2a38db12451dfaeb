//! Subscribing: the form, its preview, and the request itself. The response never tells whether an address is already
//! subscribed.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::subscriptions::v1::{SubscribeRequest, SubscribeResponse};
use tonic::{Code, Status};
use url::form_urlencoded;

use super::context::SubscriberContext;
use super::examples::{self, ExamplePaper};
use super::form_body::PostedForm;
use super::form_state::FormState;
use super::parsing::ParsedPreferences;
use super::problems::FormProblems;
use super::wording::SubscriptionSummary;
use super::{choices, preview};

/// Longest value with which a link may prefill the form.
const MAX_PREFILLED_CHARS: usize = 1_000;

/// The page with the form.
struct SubscribePage {
    status: StatusCode,
    form: FormState,
    examples: Vec<ExamplePaper>,
    problems: FormProblems,
    preview: Value,
    /// A problem that belongs to no field.
    alert: String,
    /// Whether the script may fill in the browser's time zone.
    is_untouched: bool,
}

/// The form, prefilled with the interests or example papers in a link.
pub async fn page(ctx: SubscriberContext, address: Uri) -> Response {
    let mut form = FormState::default();
    for (name, value) in form_urlencoded::parse(address.query().unwrap_or_default().as_bytes()) {
        let field = match &*name {
            "like" => &mut form.like,
            "interest" => &mut form.interests,
            _ => continue,
        };
        if value.chars().count() > MAX_PREFILLED_CHARS {
            let text = "The link to this form is too long. Open the form without it.";
            return ctx.app.pages.message(StatusCode::BAD_REQUEST, "Link too long", text);
        }
        if !field.is_empty() {
            field.push('\n');
        }
        field.push_str(value.trim());
    }
    let parsed = ParsedPreferences::parse(&form);
    let preview = preview::quick_preview(&ctx, &parsed).await;
    let page = SubscribePage {
        is_untouched: true,
        ..SubscribePage::new(form, parsed)
    };
    let page = match preview {
        Ok(preview) => SubscribePage { preview, ..page },
        // Nothing was sent yet, but mistakes in the link are shown all the same.
        Err(problems) => SubscribePage {
            status: StatusCode::OK,
            ..page.refused(problems)
        },
    };
    page.render(&ctx).await
}

/// The same form with a preview of today's digest. Changes nothing.
pub async fn preview_page(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let form = FormState::default().with(&posted);
    let parsed = ParsedPreferences::parse(&form);
    let preview = preview::digest_preview(&ctx, &parsed, "").await;
    let page = SubscribePage::new(form, parsed);
    let (page, wait) = match preview {
        Ok(preview) => {
            let wait = preview.wait();
            let (status, preview) = (preview.status(), preview.value);
            (
                SubscribePage {
                    status,
                    preview,
                    ..page
                },
                wait,
            )
        }
        Err(problems) => (page.refused(problems), None),
    };
    preview::with_wait(page.render(&ctx).await, wait)
}

/// Subscribes.
pub async fn subscribe(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let form = FormState::default().with(&posted);
    let parsed = ParsedPreferences::parse(&form);
    if !parsed.problems.is_empty() {
        let problems = parsed.problems.clone();
        return SubscribePage::new(form, parsed).refused(problems).render(&ctx).await;
    }
    match send(&ctx, &form.email, &parsed).await {
        Ok(answer) => {
            let context = context! {
                email => form.email.trim(),
                confirmation_required => answer.confirmation_required,
                summary => Serde(SubscriptionSummary::new(&parsed.preferences)),
            };
            ctx.app.pages.render(StatusCode::OK, "subscribed.html", context)
        }
        Err(error) => {
            let problems = FormProblems::from_status(&error, &parsed.origins);
            let page = SubscribePage::new(form, parsed);
            match (problems, error.code()) {
                (Some(problems), _) => page.refused(problems).render(&ctx).await,
                (None, Code::ResourceExhausted) => too_many(&ctx, page, &error).await,
                (None, _) => unavailable(&ctx, page, &error).await,
            }
        }
    }
}

async fn send(ctx: &SubscriberContext, email: &str, parsed: &ParsedPreferences) -> Result<SubscribeResponse, Status> {
    let preferences = parsed.preferences.clone();
    let request = SubscribeRequest {
        email: email.to_owned(),
        interests: preferences.interests,
        schedule: preferences.schedule,
        paper_count: preferences.paper_count,
        exclusions: preferences.exclusions,
        trending_share: Some(preferences.trending_share),
        format: preferences.format,
        language: preferences.language,
        ..SubscribeRequest::default()
    };
    let answer = ctx.app.subscriptions.clone().subscribe(ctx.request(request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn too_many(ctx: &SubscriberContext, page: SubscribePage, error: &Status) -> Response {
    let wait = common::status::retry_delay(error).map_or(60, |wait| wait.as_secs().max(1));
    let in_words = match wait {
        0..=120 => format!("{wait} seconds"),
        _ => format!("{} minutes", wait.div_ceil(60)),
    };
    let alert = format!(
        "Too many people are subscribing right now, or there were many attempts from your network. Please try again in \
         {in_words}; your entries are still here."
    );
    let page = SubscribePage {
        status: StatusCode::TOO_MANY_REQUESTS,
        alert,
        ..page
    };
    let mut response = page.render(ctx).await;
    if let Ok(wait) = HeaderValue::from_str(&wait.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

async fn unavailable(ctx: &SubscriberContext, page: SubscribePage, error: &Status) -> Response {
    tracing::warn!(code = ?error.code(), message = error.message(), "cannot subscribe a reader");
    let alert = "You are not subscribed yet, because part of the service is not responding. Please try again in a minute; your \
                 entries are still here.";
    let page = SubscribePage {
        status: StatusCode::SERVICE_UNAVAILABLE,
        alert: alert.to_owned(),
        ..page
    };
    page.render(ctx).await
}

impl SubscribePage {
    fn new(form: FormState, parsed: ParsedPreferences) -> Self {
        Self {
            status: StatusCode::OK,
            form,
            examples: parsed.examples,
            problems: parsed.problems,
            preview: Value::UNDEFINED,
            alert: String::new(),
            is_untouched: false,
        }
    }

    fn refused(self, problems: FormProblems) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            preview: preview::blocked(&problems),
            problems,
            ..self
        }
    }

    async fn render(mut self, ctx: &SubscriberContext) -> Response {
        let ids = self.examples.iter().filter(|example| !example.id.is_empty());
        let titles = examples::titles(ctx, ids.map(|example| example.id.clone()).collect()).await;
        for example in &mut self.examples {
            example.title = titles.get(&example.id).cloned().unwrap_or_default();
        }
        let context = context! {
            section => "/subscribe",
            form => Serde(self.form),
            examples => Serde(self.examples),
            problems => Serde(self.problems),
            choices => Serde(choices::all()),
            preview => self.preview,
            alert => self.alert,
            is_untouched => self.is_untouched,
            most_interests => true,
        };
        ctx.app.pages.render(self.status, "subscribe.html", context)
    }
}
