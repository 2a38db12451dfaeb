//! Whether mails and the password reach the mail server encrypted, and that server is who it says.

use common::clock::Clock;

use super::finding::SenderFinding;
use crate::mailer::smtp::{SmtpServer, SmtpUrl, TlsDemand};

const CHECK: &str = "tls";

/// Begins a session as sending does, and ends it.
pub async fn check(url: Option<&SmtpUrl>, server: Option<SmtpServer>, clock: &Clock) -> SenderFinding {
    let (Some(url), Some(server)) = (url, server) else {
        let advice = "set notification.smtp_url to send mails";
        return SenderFinding::warn(
            CHECK,
            "no mail server is configured; mails are written to a folder",
            advice,
        );
    };
    let place = format!("{}:{}", url.host, url.port);
    let mut session = match server.connect(clock).await {
        Ok(session) => session,
        Err(error) => {
            let advice = "the server must be reachable, and have a certificate for its name of an authority that is trusted \
                          (notification.ca_file adds some)";
            return SenderFinding::fail(CHECK, error.to_string(), advice);
        }
    };
    let encrypted = session.connection.is_encrypted();
    session.end(clock).await;
    let login = if url.credentials.is_some() {
        ", and the password is accepted"
    } else {
        ""
    };
    match (encrypted, url.tls) {
        (true, TlsDemand::IfOffered) => {
            let found = format!("{place} offers TLS with a valid certificate{login}");
            let advice = "write ?tls=required in notification.smtp_url: whoever is on the way can make the server seem not to \
                          offer it";
            SenderFinding::warn(CHECK, found, advice)
        }
        (true, _) => SenderFinding::ok(CHECK, format!("{place} speaks TLS with a valid certificate{login}")),
        (false, _) if url.is_loopback => {
            let found =
                format!("{place} is this machine and answers without TLS{login}; what it does further on is its own");
            SenderFinding::ok(CHECK, found)
        }
        (false, _) => {
            let found = format!("{place} answers, and mails go there in clear");
            SenderFinding::fail(
                CHECK,
                found,
                "write smtps://… or ?tls=required in notification.smtp_url",
            )
        }
    }
}
