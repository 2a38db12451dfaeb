//! A webhook, set and looked after on the page of the preferences.

use tests::webhooks::WebhookServer;

use crate::reader::Reader;
use crate::stage::Stage;

pub fn from_setting_to_removing(stage: &Stage, reader: &mut Reader) {
    let email = format!("hook-{}@example.org", reader.variant.name());
    stage.platform.must(&["subscribe", &email, "--confirm"]);
    let page = format!("/preferences?token={}", stage.platform.account_token(&email));
    let server = WebhookServer::start();

    reader.open(&page);
    reader.fill("#webhook [name='url']", "ftp://hooks.example.org/");
    reader.follow("#webhook [data-action='set-webhook']");
    reader.look_expecting("webhook-refused", 400);
    assert!(
        reader.text("#f-url-wrong").contains("https://"),
        "{}",
        reader.text("#f-url-wrong")
    );
    let typed = reader.run("return document.querySelector(\"#webhook [name='url']\").value", &[]);
    assert_eq!(typed, "ftp://hooks.example.org/", "what was written stays");

    reader.fill("#webhook [name='url']", &server.url("/unwilling"));
    reader.press("#webhook [name='channel'][value='both']");
    reader.follow("#webhook [data-action='set-webhook']");
    reader.look("webhook-secret");
    let secret = reader.run("return document.getElementById('secret').value", &[]);
    let secret = secret.as_str().unwrap().to_owned();
    assert!(server.challenge().is_signed_with(&secret));
    assert!(
        reader.text("#webhook-status").contains("403"),
        "{}",
        reader.text("#webhook-status")
    );
    reader.follow("main [data-action='verify-webhook']");
    server.challenge();
    reader.look("webhook-set");
    assert!(
        reader.text("#webhook-status").contains("In use since"),
        "{}",
        reader.text("#webhook-status")
    );

    reader.follow("#webhook [data-action='rotate-webhook']");
    reader.look("webhook-rotated");
    let fresh = reader.run("return document.getElementById('secret').value", &[]);
    assert_ne!(fresh, secret.as_str());
    reader.follow("main .onward a");
    reader.follow("#webhook [data-action='remove-webhook']");
    reader.look("webhook-removed");
    assert!(!reader.sees("#webhook-status"), "it is forgotten");
}
