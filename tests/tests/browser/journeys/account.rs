//! What a reader does by a link to the account, and what somebody does who never asked for a digest.

use crate::journeys::scanning::{links, mail_to};
use crate::reader::Reader;
use crate::stage::Stage;

pub fn from_link_to_deletion(stage: &Stage, reader: &mut Reader) {
    let email = format!("account-{}@example.org", reader.variant.name());
    stage.platform.must(&["subscribe", &email, "--confirm"]);
    reader.open("/account");
    reader.look("account");
    reader.fill("#account [name='email']", &email);
    reader.follow("[data-action='account-link']");
    reader.look("account-mailed");
    let mail = mail_to(stage, &email, "valid for one hour");
    let of_mail = links(&mail, &stage.web);
    let account = of_mail.iter().find(|link| link.contains("/preferences?token="));
    reader.open(account.expect("the mail leads to the account"));
    reader.look("account-open");
    reader.follow("#data a[href^='/preferences/delete']");
    reader.look("delete");
    reader.follow("[data-action='delete']");
    reader.look("deleted");
    assert_eq!(stage.platform.run(&["subscribers", "export", &email]).status, 1);
}

pub fn from_form_of_another_to_no_more_mail(stage: &Stage, reader: &mut Reader) {
    let email = format!("bystander-{}@example.org", reader.variant.name());
    reader.open("/subscribe");
    reader.fill("#subscribe [name='email']", &email);
    reader.follow("#subscribe [data-action='subscribe']");
    let mail = mail_to(stage, &email, "/not-me?token=");
    let of_mail = links(&mail, &stage.web);
    let decline = of_mail.iter().find(|link| link.contains("/not-me?"));
    reader.open(decline.expect("the mail leads to the end of it"));
    reader.look("decline");
    reader.follow("[data-action='decline']");
    reader.look("declined");
    let refused = stage.platform.run(&["subscribe", &email, "--confirm"]);
    assert!(refused.status != 0 && refused.err.contains("suppressed"), "{refused:?}");
}
