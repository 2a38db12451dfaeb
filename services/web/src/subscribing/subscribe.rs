//! Subscribing: the form, what its digest would hold, and the wish itself. The answer is the same whether an address is
//! known or not, and says so nowhere else.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::subscriptions::v1::{SubscribeRequest, SubscribeResponse};
use tonic::{Code, Status};
use url::form_urlencoded;

use super::desk::Desk;
use super::examples::{self, Example};
use super::posted::Posted;
use super::problems::Problems;
use super::reading::Wanted;
use super::wishes::Typed;
use super::words::Summary;
use super::{choices, preview};

/// Longest value that a link to the form may bring along.
const MOST_PREFILLED_CHARS: usize = 1_000;

/// The form as it is to be shown.
struct Form {
    status: StatusCode,
    typed: Typed,
    examples: Vec<Example>,
    problems: Problems,
    preview: Value,
    /// What is wrong with no field in particular.
    alert: String,
    /// Whether the browser's time zone is to be put in.
    untouched: bool,
}

/// The form, with the interests or example papers that a link brings along.
pub async fn page(desk: Desk, address: Uri) -> Response {
    let mut typed = Typed::default();
    for (name, value) in form_urlencoded::parse(address.query().unwrap_or_default().as_bytes()) {
        let field = match &*name {
            "like" => &mut typed.like,
            "interest" => &mut typed.interests,
            _ => continue,
        };
        if value.chars().count() > MOST_PREFILLED_CHARS {
            let text = "The link to this form carries more than it can take. Open the form without it.";
            return desk
                .front
                .pages
                .message(StatusCode::BAD_REQUEST, "That is too long", text);
        }
        if !field.is_empty() {
            field.push('\n');
        }
        field.push_str(value.trim());
    }
    let wanted = Wanted::read(&typed);
    let shown = preview::at_hand(&desk, &wanted).await;
    let form = Form::of(typed, wanted);
    let form = match shown {
        Ok(preview) => Form { preview, ..form },
        // Nobody has sent anything yet; what the link brought along is said to be wrong all the same.
        Err(problems) => Form {
            status: StatusCode::OK,
            ..form.refused(problems)
        },
    };
    let form = Form {
        untouched: true,
        ..form
    };
    form.render(&desk).await
}

/// The same form, with what today's digest would hold. Changes nothing.
pub async fn preview_page(desk: Desk, posted: Posted) -> Response {
    let typed = Typed::default().with(&posted);
    let wanted = Wanted::read(&typed);
    let shown = preview::of(&desk, &wanted, "").await;
    let form = Form::of(typed, wanted);
    let form = match shown {
        Ok(preview) => Form { preview, ..form },
        Err(problems) => form.refused(problems),
    };
    form.render(&desk).await
}

/// Takes the wish.
pub async fn subscribe(desk: Desk, posted: Posted) -> Response {
    let typed = Typed::default().with(&posted);
    let wanted = Wanted::read(&typed);
    if !wanted.problems.is_empty() {
        let problems = wanted.problems.clone();
        return Form::of(typed, wanted).refused(problems).render(&desk).await;
    }
    match ask(&desk, &typed.email, &wanted).await {
        Ok(answer) => {
            let context = context! {
                email => typed.email.trim(),
                confirmation_required => answer.confirmation_required,
                summary => Serde(Summary::of(&wanted.preferences)),
            };
            desk.front.pages.render(StatusCode::OK, "subscribed.html", context)
        }
        Err(error) => {
            let problems = Problems::of(&error, &wanted.origins);
            let form = Form::of(typed, wanted);
            match (problems, error.code()) {
                (Some(problems), _) => form.refused(problems).render(&desk).await,
                (None, Code::ResourceExhausted) => too_many(&desk, form, &error).await,
                (None, _) => not_now(&desk, form, &error).await,
            }
        }
    }
}

async fn ask(desk: &Desk, email: &str, wanted: &Wanted) -> Result<SubscribeResponse, Status> {
    let preferences = wanted.preferences.clone();
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
    let answer = desk.front.subscriptions.clone().subscribe(desk.ask(request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn too_many(desk: &Desk, form: Form, error: &Status) -> Response {
    let wait = common::status::retry_delay(error).map_or(60, |wait| wait.as_secs().max(1));
    let alert = format!(
        "Too many people are subscribing at this moment, or somebody near you tried many times. Please press the button \
         again in {wait} seconds; what you typed is still here."
    );
    let form = Form {
        status: StatusCode::TOO_MANY_REQUESTS,
        alert,
        ..form
    };
    let mut response = form.render(desk).await;
    if let Ok(wait) = HeaderValue::from_str(&wait.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

async fn not_now(desk: &Desk, form: Form, error: &Status) -> Response {
    tracing::warn!(code = ?error.code(), message = error.message(), "a wish to subscribe could not be taken");
    let alert = "Your wish could not be taken, because a part of the service does not answer at the moment. Please press \
                 the button again in a minute; what you typed is still here.";
    let form = Form {
        status: StatusCode::SERVICE_UNAVAILABLE,
        alert: alert.to_owned(),
        ..form
    };
    form.render(desk).await
}

impl Form {
    fn of(typed: Typed, wanted: Wanted) -> Self {
        Self {
            status: StatusCode::OK,
            typed,
            examples: wanted.examples,
            problems: wanted.problems,
            preview: Value::UNDEFINED,
            alert: String::new(),
            untouched: false,
        }
    }

    fn refused(self, problems: Problems) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            preview: preview::held_back(&problems),
            problems,
            ..self
        }
    }

    async fn render(mut self, desk: &Desk) -> Response {
        let ids = self.examples.iter().filter(|one| !one.id.is_empty());
        let titles = examples::titles(desk, ids.map(|one| one.id.clone()).collect()).await;
        for example in &mut self.examples {
            example.title = titles.get(&example.id).cloned().unwrap_or_default();
        }
        let context = context! {
            section => "/subscribe",
            typed => Serde(self.typed),
            examples => Serde(self.examples),
            problems => Serde(self.problems),
            choices => Serde(choices::all()),
            preview => self.preview,
            alert => self.alert,
            untouched => self.untouched,
        };
        desk.front.pages.render(self.status, "subscribe.html", context)
    }
}
