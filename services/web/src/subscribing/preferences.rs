//! The preferences page: everything a subscriber can change, a preview, and past digests.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};
use prost_types::FieldMask;
use proto::subscriptions::v1::{Preferences, SubscriptionState, UpdateSubscriptionRequest};
use serde::Deserialize;
use url::form_urlencoded;

use super::context::SubscriberContext;
use super::editing::{self, FormChange, GroupHashes};
use super::form_body::PostedForm;
use super::form_state::{self, FormState};
use super::links::{self, OpenedLink};
use super::parsing::ParsedPreferences;
use super::problems::FormProblems;
use super::webhook_section::{WebhookForm, WebhookSection};
use super::wording;
use super::{choices, examples, history, preview};

/// Parameters of the page: the token, and the action that led here.
#[derive(Debug, Deserialize)]
pub struct PreferencesQuery {
    #[serde(default)]
    token: String,
    #[serde(default)]
    done: String,
}

/// The page.
pub struct PreferencesPage {
    status: StatusCode,
    form: Option<FormState>,
    webhook: Option<WebhookForm>,
    problems: FormProblems,
    preview: Value,
    alert: String,
    done: &'static str,
}

impl Default for PreferencesPage {
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            form: None,
            webhook: None,
            problems: FormProblems::default(),
            preview: Value::UNDEFINED,
            alert: String::new(),
            done: "",
        }
    }
}

impl PreferencesPage {
    /// With problems, and what was typed if they are in the main form.
    pub fn refused(form: Option<FormState>, problems: FormProblems) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            preview: if form.is_some() {
                preview::blocked(&problems)
            } else {
                Value::UNDEFINED
            },
            form,
            problems,
            ..Self::default()
        }
    }

    /// Says that the webhook was contacted too often, and when to try again.
    pub fn rate_limited(wait: &str) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            alert: format!(
                "Your webhook was contacted too often within the last hour. Nothing was changed; try again in {wait}."
            ),
            ..Self::default()
        }
    }

    /// With what was typed in the webhook form.
    #[must_use]
    pub fn with_webhook(mut self, form: WebhookForm) -> Self {
        self.webhook = Some(form);
        self
    }
}

/// Shows the page.
pub async fn page(ctx: SubscriberContext, Query(query): Query<PreferencesQuery>) -> Response {
    let page = PreferencesPage {
        done: done_message(&query.done),
        alert: alert_message(&query.done).to_owned(),
        ..PreferencesPage::default()
    };
    show(&ctx, &query.token, page).await
}

/// Shows what the preferences in the form would send. Changes nothing.
pub async fn preview_page(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let saved = match links::managed(&ctx, posted.token()).await {
        Ok(link) => form_state::saved_preferences(&link.subscription),
        Err(error) => return links::failure_page(&ctx, &error),
    };
    let form = FormState::from_preferences(&saved).with(&posted);
    let parsed = ParsedPreferences::parse(&form);
    let (page, wait) = match preview::digest_preview(&ctx, &parsed, posted.token()).await {
        Ok(preview) => {
            let wait = preview.wait();
            let page = PreferencesPage {
                status: preview.status(),
                preview: preview.value,
                form: Some(form),
                ..PreferencesPage::default()
            };
            (page, wait)
        }
        Err(problems) => (PreferencesPage::refused(Some(form), problems), None),
    };
    preview::with_wait(show_again(&ctx, &posted, page).await, wait)
}

/// Saves what was changed, and nothing else.
pub async fn save(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let saved = match links::managed(&ctx, posted.token()).await {
        Ok(link) => form_state::saved_preferences(&link.subscription),
        Err(error) => return links::failure_page(&ctx, &error),
    };
    let form = FormState::from_preferences(&saved).with(&posted);
    let parsed = ParsedPreferences::parse(&form);
    if !parsed.problems.is_empty() {
        return show_again(&ctx, &posted, PreferencesPage::refused(Some(form), parsed.problems)).await;
    }
    let groups = match editing::change(&posted, &saved, &parsed) {
        FormChange::Nothing => return back(posted.token(), "unchanged"),
        FormChange::Groups(groups) => groups,
        FormChange::Conflicting(groups) => {
            let page = PreferencesPage {
                status: StatusCode::CONFLICT,
                alert: conflict_message(&groups),
                form: Some(form),
                ..PreferencesPage::default()
            };
            // With the hashes of what is saved now: saving again overwrites it.
            return show(&ctx, posted.token(), page).await;
        }
    };
    let request = UpdateSubscriptionRequest {
        token: posted.token().to_owned(),
        subscription: Some(editing::update(&parsed)),
        update_mask: Some(FieldMask {
            paths: groups.into_iter().map(str::to_owned).collect(),
        }),
    };
    let mut subscriptions = ctx.app.subscriptions.clone();
    match subscriptions.update_subscription(ctx.request(request)).await {
        Ok(_) => back(posted.token(), "saved"),
        Err(error) => match FormProblems::from_status(&error, &parsed.origins) {
            Some(problems) => show_again(&ctx, &posted, PreferencesPage::refused(Some(form), problems)).await,
            None => links::failure_page(&ctx, &error),
        },
    }
}

/// Redirects to the page, which says what was done; its address can be bookmarked and reloaded.
pub fn back(token: &str, done: &str) -> Response {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("done", done)
        .finish();
    Redirect::to(&format!("/preferences?{query}")).into_response()
}

/// Renders the page for the subscription of a token.
pub async fn show(ctx: &SubscriberContext, token: &str, page: PreferencesPage) -> Response {
    let link = match links::managed(ctx, token).await {
        Ok(link) => link,
        Err(error) => return links::failure_page(ctx, &error),
    };
    let hashes = GroupHashes::new(&form_state::saved_preferences(&link.subscription));
    render(ctx, token, &link, Value::from(Serde(hashes)), page).await
}

/// The same with the hashes that the form had, so that a conflict is still noticed when it is saved.
async fn show_again(ctx: &SubscriberContext, posted: &PostedForm, page: PreferencesPage) -> Response {
    let link = match links::managed(ctx, posted.token()).await {
        Ok(link) => link,
        Err(error) => return links::failure_page(ctx, &error),
    };
    let hashes = posted
        .fields()
        .filter_map(|(name, hash)| Some((name.strip_prefix("was.")?.to_owned(), hash.to_owned())));
    let hashes: std::collections::BTreeMap<String, String> = hashes.collect();
    render(ctx, posted.token(), &link, Value::from(Serde(hashes)), page).await
}

async fn render(
    ctx: &SubscriberContext,
    token: &str,
    link: &OpenedLink,
    hashes: Value,
    page: PreferencesPage,
) -> Response {
    let subscription = &link.subscription;
    let saved = form_state::saved_preferences(subscription);
    let zone = wording::zone_of(subscription);
    let (titles, past) = tokio::join!(
        examples::titles(ctx, example_ids(&saved)),
        history::past_digests(ctx, &subscription.email, token, &zone)
    );
    let past = past.unwrap_or_default();
    let state = subscription.state();
    let context = context! {
        email => subscription.email.as_str(),
        state => links::state_label(subscription),
        active => state == SubscriptionState::Active,
        paused => state == SubscriptionState::Paused,
        pause_end => wording::pause_end(subscription),
        pause_reason => subscription.pause_reason.as_str(),
        webhook => Serde(WebhookSection::new(subscription, page.webhook)),
        next => wording::next_digest(subscription),
        form => Serde(page.form.unwrap_or_else(|| FormState::from_preferences(&saved))),
        titles => Serde(titles),
        problems => Serde(page.problems),
        choices => Serde(choices::all()),
        preview => page.preview,
        alert => page.alert,
        done => page.done,
        past => Serde(past),
        hashes,
        token,
        account => link.opens_account(),
        feed_token => link.feed_token.as_str(),
    };
    ctx.app.pages.render(page.status, "preferences.html", context)
}

fn example_ids(preferences: &Preferences) -> Vec<String> {
    let interests = preferences.interests.iter();
    let ids = interests.flat_map(|interest| interest.like_paper_ids.iter().chain(&interest.unlike_paper_ids));
    ids.cloned().collect()
}

fn conflict_message(groups: &[&str]) -> String {
    let names: Vec<&str> = groups.iter().map(|group| editing::name(group)).collect();
    format!(
        "Someone changed {} since you opened this page, so nothing was saved. Your entries are below: save again to overwrite \
         that change, or reload the page to see it.",
        names.join(" and ")
    )
}

fn done_message(done: &str) -> &'static str {
    match done {
        "saved" => "Your changes have been saved.",
        "unchanged" => "Nothing was changed.",
        "paused" => "Your digest is paused.",
        "resumed" => "Your digest has been resumed.",
        "weekly" => "You will get your digest once a week.",
        "verified" => "The webhook has been verified.",
        "channel" => "Your delivery settings have been saved.",
        "revoked" => {
            "All earlier links have been revoked, those to unsubscribe excepted. Your feed has a new address; see below."
        }
        "removed" => "The webhook has been removed. You will get your digests by mail.",
        _ => "",
    }
}

fn alert_message(done: &str) -> &'static str {
    match done {
        "unverified" => "The webhook did not accept the verification request. See the details below.",
        _ => "",
    }
}
