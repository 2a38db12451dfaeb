//! Everything that a subscriber can change, what a change would bring, and what was sent so far.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};
use prost_types::FieldMask;
use proto::subscriptions::v1::{Subscription, SubscriptionState, UpdateSubscriptionRequest};
use serde::Deserialize;
use url::form_urlencoded;

use super::desk::Desk;
use super::editing::{self, Change, Marks};
use super::links;
use super::posted::Posted;
use super::problems::Problems;
use super::reading::Wanted;
use super::standing::{Form, Section};
use super::wishes::{self, Typed};
use super::words::{self, Summary};
use super::{choices, examples, history, preview};

/// What a link to the page may say, and what was done before it was shown.
#[derive(Debug, Deserialize)]
pub struct Visit {
    #[serde(default)]
    token: String,
    #[serde(default)]
    done: String,
}

/// The page as it is to be shown.
pub struct Shown {
    status: StatusCode,
    typed: Option<Typed>,
    webhook: Option<Form>,
    problems: Problems,
    preview: Value,
    alert: String,
    done: &'static str,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            typed: None,
            webhook: None,
            problems: Problems::default(),
            preview: Value::UNDEFINED,
            alert: String::new(),
            done: "",
        }
    }
}

impl Shown {
    /// With what is wrong, and what was typed if it was the form.
    pub fn refused(typed: Option<Typed>, problems: Problems) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            preview: if typed.is_some() {
                preview::held_back(&problems)
            } else {
                Value::UNDEFINED
            },
            typed,
            problems,
            ..Self::default()
        }
    }

    /// With word that webhooks were asked too often, and when to try again.
    pub fn held_back(wait: &str) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            alert: format!(
                "Your webhook was asked often within the last hour. Nothing was changed; try again in {wait}."
            ),
            ..Self::default()
        }
    }

    /// With what was typed of a webhook.
    #[must_use]
    pub fn with_webhook(mut self, form: Form) -> Self {
        self.webhook = Some(form);
        self
    }
}

/// Shows everything.
pub async fn page(desk: Desk, Query(visit): Query<Visit>) -> Response {
    let shown = Shown {
        done: said(&visit.done),
        alert: warned(&visit.done).to_owned(),
        ..Shown::default()
    };
    show(&desk, &visit.token, shown).await
}

/// What the preferences of the form would bring. Changes nothing.
pub async fn preview_page(desk: Desk, posted: Posted) -> Response {
    let kept = match links::subscription(&desk, posted.token()).await {
        Ok(subscription) => wishes::kept(&subscription),
        Err(error) => return links::failed(&desk, &error),
    };
    let typed = Typed::of(&kept).with(&posted);
    let wanted = Wanted::read(&typed);
    let shown = match preview::of(&desk, &wanted, posted.token()).await {
        Ok(preview) => Shown {
            preview,
            typed: Some(typed),
            ..Shown::default()
        },
        Err(problems) => Shown::refused(Some(typed), problems),
    };
    show_with(&desk, &posted, shown).await
}

/// Saves what was changed, and nothing else.
pub async fn save(desk: Desk, posted: Posted) -> Response {
    let kept = match links::subscription(&desk, posted.token()).await {
        Ok(subscription) => wishes::kept(&subscription),
        Err(error) => return links::failed(&desk, &error),
    };
    let typed = Typed::of(&kept).with(&posted);
    let wanted = Wanted::read(&typed);
    if !wanted.problems.is_empty() {
        return show_with(&desk, &posted, Shown::refused(Some(typed), wanted.problems)).await;
    }
    let paths = match editing::change(&posted, &kept, &wanted) {
        Change::Nothing => return back(posted.token(), "same"),
        Change::Groups(groups) => groups,
        Change::Overtaken(groups) => {
            let shown = Shown {
                status: StatusCode::CONFLICT,
                alert: overtaken(&groups),
                typed: Some(typed),
                ..Shown::default()
            };
            // Shown with the marks of what is kept now: whoever saves again means it.
            return show(&desk, posted.token(), shown).await;
        }
    };
    let request = UpdateSubscriptionRequest {
        token: posted.token().to_owned(),
        subscription: Some(editing::update(&wanted)),
        update_mask: Some(FieldMask {
            paths: paths.into_iter().map(str::to_owned).collect(),
        }),
    };
    match desk
        .front
        .subscriptions
        .clone()
        .update_subscription(desk.ask(request))
        .await
    {
        Ok(_) => back(posted.token(), "saved"),
        Err(error) => match Problems::of(&error, &wanted.origins) {
            Some(problems) => show_with(&desk, &posted, Shown::refused(Some(typed), problems)).await,
            None => links::failed(&desk, &error),
        },
    }
}

/// To the page, which says what was done. Its address can be kept and loaded again.
pub fn back(token: &str, done: &str) -> Response {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("done", done)
        .finish();
    Redirect::to(&format!("/preferences?{query}")).into_response()
}

/// Shows the page as it is to be shown.
pub async fn show(desk: &Desk, token: &str, shown: Shown) -> Response {
    let subscription = match links::subscription(desk, token).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(desk, &error),
    };
    let marks = Marks::of(&wishes::kept(&subscription));
    render(desk, token, &subscription, Value::from(Serde(marks)), shown).await
}

/// The same with the marks that the form had, so that who was overtaken meanwhile still learns of it.
async fn show_with(desk: &Desk, posted: &Posted, shown: Shown) -> Response {
    let subscription = match links::subscription(desk, posted.token()).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(desk, &error),
    };
    let marks = posted
        .fields()
        .filter_map(|(name, mark)| Some((name.strip_prefix("was.")?.to_owned(), mark.to_owned())));
    let marks: std::collections::BTreeMap<String, String> = marks.collect();
    render(desk, posted.token(), &subscription, Value::from(Serde(marks)), shown).await
}

async fn render(desk: &Desk, token: &str, subscription: &Subscription, marks: Value, shown: Shown) -> Response {
    let kept = wishes::kept(subscription);
    let zone = words::zone_of(subscription);
    let mut ids: Vec<String> = Vec::new();
    for interest in &kept.interests {
        ids.extend(
            interest
                .like_paper_ids
                .iter()
                .chain(&interest.unlike_paper_ids)
                .cloned(),
        );
    }
    // A link that confirms may be looked at here, and opens no editions.
    let (titles, past) = tokio::join!(
        examples::titles(desk, ids),
        history::of(desk, &subscription.email, token, &zone)
    );
    let past = match past {
        Ok(past) => past,
        Err(error) if common::status::blamed_field(&error).as_deref() == Some("token") => {
            return links::failed(desk, &error);
        }
        Err(_) => Vec::new(),
    };
    let state = subscription.state();
    let context = context! {
        email => subscription.email.as_str(),
        state => links::state(subscription),
        active => state == SubscriptionState::Active,
        paused => state == SubscriptionState::Paused,
        pause_end => words::pause_end(subscription),
        pause_reason => subscription.pause_reason.as_str(),
        webhook => Serde(Section::of(subscription, shown.webhook)),
        next => words::next_of(subscription),
        summary => Serde(Summary::of(&kept)),
        typed => Serde(shown.typed.unwrap_or_else(|| Typed::of(&kept))),
        titles => Serde(titles),
        problems => Serde(shown.problems),
        choices => Serde(choices::all()),
        preview => shown.preview,
        alert => shown.alert,
        done => shown.done,
        past => Serde(past),
        marks,
        token,
    };
    desk.front.pages.render(shown.status, "preferences.html", context)
}

fn overtaken(groups: &[&str]) -> String {
    let names: Vec<&str> = groups.iter().map(|group| editing::name(group)).collect();
    format!(
        "Since you opened this page, {} was changed elsewhere. Nothing was saved. What you typed is below: save again to put \
         it in place of the other change, or open the page anew to see that one.",
        names.join(", and ")
    )
}

fn said(done: &str) -> &'static str {
    match done {
        "saved" => "Your changes are saved.",
        "same" => "Nothing was changed, so everything stays as it is.",
        "paused" => "Your digest is paused.",
        "resumed" => "Your digest comes again.",
        "weekly" => "From now on your digest comes once a week.",
        "agreed" => "The webhook agreed.",
        "ways" => "Your digests come as you chose.",
        "removed" => "The webhook is forgotten, and your digests come by mail.",
        _ => "",
    }
}

fn warned(done: &str) -> &'static str {
    match done {
        "refused" => "The webhook did not agree. What it said stands beside its address.",
        _ => "",
    }
}
