//! Whole pages as a reader gets them, with much and with hostile text in them.

use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::subscriptions::v1::{
    DeliveryChannel, Exclusions, Format, Frequency, Interest, Preferences, Schedule, Subscription, Webhook,
    WebhookState,
};

use super::choices;
use super::editing::Marks;
use super::posted::Posted;
use super::preview;
use super::reading::Wanted;
use super::standing::Section;
use super::wishes::Typed;
use super::words::Summary;
use crate::page::Pages;

const HOSTILE: &str = "<script>alert(1)</script>\" onfocus=\"x";

fn filled(template: &str, context: Value) -> String {
    let clock = || Timestamp::from_second(1_795_000_000).expect("a timestamp");
    let page = Pages::at(clock).fill(template, context);
    let page = page.unwrap_or_else(|_| panic!("{template} does not render"));
    assert!(
        !page.contains("<script>alert") && !page.contains("\" onfocus"),
        "{page}"
    );
    let main = &page[page.find("<main").expect("a main part")..page.find("</main>").expect("its end")];
    let lines = main.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn kept() -> Preferences {
    Preferences {
        interests: vec![
            Interest {
                text: "sleepy consensus".to_owned(),
                like_paper_ids: vec!["arxiv:2402.14776".to_owned()],
                categories: vec!["cs.DC".to_owned()],
                weight: Some(2.0),
                ..Interest::default()
            },
            Interest {
                text: HOSTILE.to_owned(),
                weight: Some(3.5),
                ..Interest::default()
            },
        ],
        schedule: Some(Schedule {
            time: "06:15".to_owned(),
            time_zone: "Etc/GMT+5".to_owned(),
            frequency: Frequency::Weekly.into(),
            weekday: 7,
        }),
        paper_count: 7,
        exclusions: Some(Exclusions {
            words: vec!["blockchain".to_owned()],
            ..Exclusions::default()
        }),
        trending_share: 0.35,
        format: Format::Text.into(),
        language: "en".to_owned(),
        ..Preferences::default()
    }
}

fn picked() -> Value {
    use proto::delivery::v1::EditionPaper;
    use proto::papers::v1::{Author, Paper};
    let paper = Paper {
        id: "arxiv:2402.14776".to_owned(),
        title: format!("Sleepy consensus {HOSTILE}"),
        authors: vec![Author {
            name: "Ruth Abara".to_owned(),
        }],
        ..Paper::default()
    };
    let one = EditionPaper {
        parts: Vec::new(),
        paper: Some(paper),
        reason: format!("because you follow “{HOSTILE}”"),
        score: 1.0,
    };
    Value::from(Serde(preview::Picked::of(&one)))
}

#[test]
fn the_form_to_subscribe_with_mistakes_in_it() {
    let posted = Posted::of(&[
        ("email", HOSTILE),
        ("interests", "lakes"),
        ("like", "arxiv:2402.14776 cats"),
        ("paper_count", "many"),
        ("categories", "cs"),
    ]);
    let typed = Typed::default().with(&posted);
    let wanted = Wanted::read(&typed);
    let context = context! {
        typed => Serde(typed),
        examples => Serde(wanted.examples),
        preview => preview::held_back(&wanted.problems),
        problems => Serde(wanted.problems),
        choices => Serde(choices::few()),
        alert => "Too many people are subscribing.",
    };
    insta::assert_snapshot!(filled("subscribe.html", context));
}

/// A subscription with a webhook that is out of use.
fn hooked() -> Subscription {
    Subscription {
        delivery_channel: DeliveryChannel::MailAndWebhook.into(),
        webhook: Some(Webhook {
            url: HOSTILE.to_owned(),
            state: WebhookState::Disabled.into(),
            detail: HOSTILE.to_owned(),
            state_time: Some(prost_types::Timestamp::default()),
            failing_since_time: Some(prost_types::Timestamp::default()),
            failed_editions: 5,
        }),
        ..Subscription::default()
    }
}

#[test]
fn the_preferences_with_everything_in_them() {
    let kept = kept();
    let papers = vec![picked()];
    let past = context! { day => "Sunday, 22 November 2026", outcome => "sent", papers => papers.clone() };
    let context = context! {
        email => "ada@example.org",
        state => "paused",
        paused => true,
        pause_end => "Monday, 7 December 2026",
        typed => Serde(Typed::of(&kept)),
        titles => context! { },
        problems => Serde(super::problems::Problems::default()),
        choices => Serde(choices::few()),
        preview => context! { subject => HOSTILE, papers, next => "Sunday, 29 November, at 06:15 (UTC)" },
        done => "Your digest is paused.",
        past => vec![past],
        webhook => Serde(Section::of(&hooked(), None)),
        marks => Serde(Marks::of(&kept)),
        token => HOSTILE,
    };
    insta::assert_snapshot!(filled("preferences.html", context));
}

#[test]
fn pages_that_ask_and_pages_that_tell() {
    let summary = || Serde(Summary::of(&kept()));
    let (email, token) = (HOSTILE, HOSTILE);
    let pages = [
        (
            "confirm.html",
            context! { email, token, pending => true, summary => summary() },
        ),
        (
            "confirmed.html",
            context! { email, token, next => "Sunday, 29 November", summary => summary() },
        ),
        (
            "subscribed.html",
            context! { email, confirmation_required => true, summary => summary() },
        ),
        (
            "unsubscribe.html",
            context! { email, token, active => true, state => "active" },
        ),
        ("unsubscribed.html", context! { token }),
        ("delete.html", context! { email, token, held => vec!["2 interests"] }),
        (
            "deleted.html",
            context! { email, held => vec!["2 interests"], suppression_kept => true },
        ),
        (
            "webhook.html",
            context! { token, secret => "whsec_c2VjcmV0", url => HOSTILE, says => HOSTILE, earlier_end => "" },
        ),
        (
            "link.html",
            context! { title => "This link does not open anything", problem => HOSTILE },
        ),
    ];
    let pages = pages.map(|(template, context)| format!("== {template}\n{}", filled(template, context)));
    insta::assert_snapshot!(pages.join("\n"));
}
