//! Complete pages, with every part filled and hostile text.

use common::clock::Clock;
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::subscriptions::v1::{
    DeliveryChannel, Exclusions, Format, Frequency, Interest, Preferences, Schedule, Subscription, Webhook,
    WebhookState,
};

use super::choices;
use super::editing::GroupHashes;
use super::form_body::PostedForm;
use super::form_state::FormState;
use super::parsing::ParsedPreferences;
use super::preview;
use super::webhook_section::WebhookSection;
use super::wording::SubscriptionSummary;
use crate::page::PageRenderer;

const HOSTILE: &str = "<script>alert(1)</script>\" onfocus=\"x";

fn filled(template: &str, context: Value) -> String {
    let (clock, _) = Clock::manual(Timestamp::from_second(1_795_000_000).expect("in range"));
    let page = PageRenderer::new(clock).fill(template, context);
    let page = page.unwrap_or_else(|_| panic!("{template} does not render"));
    assert!(
        !page.contains("<script>alert") && !page.contains("\" onfocus"),
        "{page}"
    );
    let main = &page[page.find("<main").expect("a main part")..page.find("</main>").expect("its end")];
    let lines = main.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn saved() -> Preferences {
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

fn digest_paper() -> Value {
    use proto::delivery::v1::DigestPaper;
    use proto::papers::v1::{Author, Paper};
    let paper = Paper {
        id: "arxiv:2402.14776".to_owned(),
        title: format!("Sleepy consensus {HOSTILE}"),
        authors: vec![Author {
            name: "Ruth Abara".to_owned(),
            ..Author::default()
        }],
        ..Paper::default()
    };
    let one = DigestPaper {
        parts: Vec::new(),
        paper: Some(paper),
        reason: format!("because you follow “{HOSTILE}”"),
        score: 1.0,
    };
    Value::from(Serde(preview::DigestPaperView::new(&one)))
}

#[test]
fn the_subscribe_form_with_mistakes() {
    let posted = PostedForm::from_fields(&[
        ("email", HOSTILE),
        ("interests", "lakes"),
        ("like", "arxiv:2402.14776 cats"),
        ("paper_count", "many"),
        ("categories", "cs"),
    ]);
    let form = FormState::default().with(&posted);
    let parsed = ParsedPreferences::parse(&form);
    let context = context! {
        form => Serde(form),
        examples => Serde(parsed.examples),
        preview => preview::blocked(&parsed.problems),
        problems => Serde(parsed.problems),
        choices => Serde(choices::few()),
        alert => "Too many people are subscribing.",
    };
    insta::assert_snapshot!(filled("subscribe.html", context));
}

/// A subscription with a disabled webhook.
fn with_webhook() -> Subscription {
    Subscription {
        delivery_channel: DeliveryChannel::MailAndWebhook.into(),
        webhook: Some(Webhook {
            url: HOSTILE.to_owned(),
            state: WebhookState::Disabled.into(),
            detail: HOSTILE.to_owned(),
            state_time: Some(prost_types::Timestamp::default()),
            failing_since_time: Some(prost_types::Timestamp::default()),
            failed_digests: 5,
        }),
        ..Subscription::default()
    }
}

#[test]
fn the_full_preferences_page() {
    let saved = saved();
    let papers = vec![digest_paper()];
    let past = context! { day => "Sunday, 22 November 2026", outcome => "sent", papers => papers.clone() };
    let context = context! {
        email => "ada@example.org",
        state => "paused",
        paused => true,
        pause_end => "Monday, 7 December 2026",
        form => Serde(FormState::from_preferences(&saved)),
        titles => context! { },
        problems => Serde(super::problems::FormProblems::default()),
        choices => Serde(choices::few()),
        preview => context! { subject => HOSTILE, papers, next => "Sunday, 29 November, at 06:15 (UTC)" },
        done => "Your digest is paused.",
        past => vec![past],
        webhook => Serde(WebhookSection::new(&with_webhook(), None)),
        hashes => Serde(GroupHashes::new(&saved)),
        token => HOSTILE,
        feed_token => HOSTILE,
        account => true,
    };
    insta::assert_snapshot!(filled("preferences.html", context.clone()));
    let with_mailed_link = filled("preferences.html", context! { account => false, ..context });
    for act in [
        "set-webhook",
        "rotate-webhook",
        "data-action=\"revoke\"",
        "/preferences/delete",
        "/preferences/export",
    ] {
        assert!(!with_mailed_link.contains(act), "{act}: {with_mailed_link}");
    }
    assert_eq!(with_mailed_link.matches("action=\"/account\"").count(), 2);
}

#[test]
fn confirmation_and_result_pages() {
    let summary = || Serde(SubscriptionSummary::new(&saved()));
    let (email, token) = (HOSTILE, HOSTILE);
    let pages = [
        (
            "confirm.html",
            context! { email, token, pending => true, summary => summary() },
        ),
        (
            "confirmed.html",
            context! { email, token, feed_token => token, next => "Sunday, 29 November", summary => summary() },
        ),
        (
            "subscribed.html",
            context! { email, confirmation_required => true, summary => summary() },
        ),
        (
            "unsubscribe.html",
            context! { email, token, active => true, manages => true, state => "active" },
        ),
        (
            "unsubscribe.html",
            context! { email, token, active => true, state => "active" },
        ),
        ("account.html", context! { token }),
        (
            "account.html",
            context! { email, problems => context! { email => vec![HOSTILE] } },
        ),
        ("account_mailed.html", context! { by_token => true }),
        ("unsubscribed.html", context! { token }),
        ("decline.html", context! { token }),
        ("declined.html", context! {}),
        (
            "delete.html",
            context! { email, token, held => vec!["2 interests"], backup_days => 30 },
        ),
        (
            "deleted.html",
            context! { email, held => vec!["2 interests"], suppression_kept => true, backup_days => 0 },
        ),
        (
            "webhook_secret.html",
            context! { token, secret => "whsec_c2VjcmV0", url => HOSTILE, status => HOSTILE, earlier_end => "" },
        ),
        (
            "link.html",
            context! { title => "This link is not valid", problem => HOSTILE },
        ),
    ];
    let pages = pages.map(|(template, context)| format!("== {template}\n{}", filled(template, context)));
    insta::assert_snapshot!(pages.join("\n"));
}
