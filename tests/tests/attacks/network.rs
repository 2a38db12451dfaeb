//! Forged client addresses, names of internal hosts, redirects into private networks.

use std::process::Command;

use tests::feeds::{FeedServer, Reply};
use tests::{Platform, binaries, get, post, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connections::connect_from;

const ADA: &str = "ada@example.org";
const CLIENT: &str = "198.51.100.7";

/// The status of the front page, asked from an address of this machine on behalf of a client.
async fn asked_from(source: &str, platform: &Platform, headers: &[(&str, &str)]) -> (u16, String) {
    let host = platform.endpoint("web").replace("http://", "");
    let mut request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request = format!("{request}{name}: {value}\r\n");
    }
    let mut connection = connect_from(source, &host).await;
    connection.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test]
async fn who_is_no_proxy_names_no_client() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start_with(folder.path(), &[("BROADSHEET_WEB__PAGES_PER_MINUTE", "5")]);
    for _ in 0..20 {
        asked_from("127.0.0.2", &platform, &[("x-forwarded-for", CLIENT)]).await;
    }
    let (status, _) = asked_from("127.0.0.1", &platform, &[("x-forwarded-for", CLIENT)]).await;
    assert_eq!(status, 200, "a stranger has used up the limit of a client");
    let (_, answer) = asked_from("127.0.0.2", &platform, &[("x-forwarded-proto", "https")]).await;
    assert!(!answer.contains("strict-transport-security"), "{answer}");
}

#[tokio::test]
async fn a_proxy_with_a_secret_is_no_proxy_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "0123456789abcdef";
    let settings = [
        ("BROADSHEET_WEB__PAGES_PER_MINUTE", "5"),
        ("BROADSHEET_WEB__TRUSTED_PROXIES", "0.0.0.0/0"),
        ("BROADSHEET_WEB__PROXY_SECRET", secret),
    ];
    let platform = Platform::start_with(folder.path(), &settings);
    for _ in 0..20 {
        let forged = [("x-forwarded-for", CLIENT), ("x-proxy-secret", "0123456789abcdeX")];
        asked_from("127.0.0.2", &platform, &forged).await;
    }
    let honest = [("x-forwarded-for", CLIENT), ("x-proxy-secret", secret)];
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(asked_from("127.0.0.1", &platform, &honest).await.0);
    }
    assert_eq!((statuses[0], statuses[7]), (200, 429), "{statuses:?}");
}

#[test]
fn a_whole_private_network_is_not_trusted() {
    for network in ["10.0.0.0/8", "192.168.0.0/16", "fc00::/7", "0.0.0.0/0"] {
        let mut check = Command::new(binaries().join("web"));
        check
            .arg("--check-config")
            .env("BROADSHEET_WEB__TRUSTED_PROXIES", network);
        let checked = check.output().unwrap();
        let said = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(64), "{network}: {said}");
        assert!(said.contains("web.trusted_proxies"), "{said}");
    }
}

#[test]
fn a_webhook_tells_nothing_of_names_inside() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    platform.must(&["subscribe", ADA, "--confirm"]);
    let papers = "{\"id\":\"p1\",\"title\":\"Lakes from above\",\"abstract\":\"Colour tells algae.\"}\n";
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], papers);
    let manage = platform.account_token(ADA);
    let web = platform.endpoint("web");
    // Something listens at the first, nothing at the second, and the third is no name at all.
    let port = web.rsplit(':').next().unwrap();
    let mut told = Vec::new();
    for (name, port) in [("localhost", port), ("localhost", "1"), ("no-such-host.invalid", port)] {
        let url = format!("https://{name}:{port}/");
        let fields = [("token", manage.as_str()), ("url", url.as_str()), ("channel", "both")];
        let (status, page) = post(&format!("{web}/preferences/webhook"), &fields);
        assert_eq!(status, 200, "{page}");
        let (_, page) = get(&format!("{web}/preferences?token={manage}"));
        let start = page.find("id=\"webhook-status\">").unwrap();
        let status = page[start..]
            .split_once('>')
            .unwrap()
            .1
            .split('<')
            .next()
            .unwrap()
            .to_owned();
        for inside in ["127.0.0.1", "::1", "webhook_networks", "os error", "resolve", "lookup"] {
            assert!(!status.contains(inside), "{status}");
        }
        let export = platform.must(&["subscribers", "show", ADA, "--json"]).out;
        assert!(!export.contains("127.0.0.1"), "{export}");
        told.push(status);
    }
    assert!(told[0].contains("no address on the public internet"), "{told:?}");
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
}

#[test]
fn a_feed_leads_nobody_into_a_private_network() {
    let folder = tempfile::tempdir().unwrap();
    let inside = FeedServer::start(|_, _| Reply::ok("<feed/>"));
    let secret = inside.url("/latest/meta-data");
    let by_name = secret.replace("127.0.0.1", "localhost");
    let targets = [
        secret,
        by_name,
        "http://10.0.0.1/".to_owned(),
        "http://[::ffff:169.254.169.254]/".to_owned(),
    ];
    let mut sources = "[http]\ncontact = \"test@example.org\"\nattempts = 1\nproxy = \"none\"\n\
                       [http.default_host]\ninterval_milliseconds = 0\n"
        .to_owned();
    for (number, target) in targets.iter().enumerate() {
        let target = target.clone();
        let feed = FeedServer::start(move |_, _| Reply::status(302, vec![("Location", target.clone())]));
        let url = feed.url("/feed");
        sources = format!("{sources}[sources.feed{number}]\nkind = \"feed\"\nurls = [\"{url}\"]\n");
    }
    let file = folder.path().join("sources.toml");
    std::fs::write(&file, sources).unwrap();
    let platform = Platform::start_with(folder.path(), &[("BROADSHEET_INGEST__SOURCES", file.to_str().unwrap())]);
    for number in 0..targets.len() {
        let name = format!("feed{number}");
        let stopped = until("the feed is refused", || {
            let shown = platform.must(&["sources", "show", &name, "--json"]).json();
            (shown["state"] == "stopped").then_some(shown)
        });
        let error = stopped["last_error"].as_str().unwrap();
        assert!(error.contains("not on the public internet"), "{error}");
    }
    assert!(inside.asked().is_empty(), "{:?}", inside.asked());
}

#[test]
fn browsers_are_told_to_come_by_https_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("BROADSHEET_WEB__PUBLIC_URL", "https://papers.example.org")];
    let platform = Platform::start_with(folder.path(), &settings);
    let web = platform.endpoint("web");
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    for path in ["/", "/style.css", "/nothing-here", "/api/daily_papers"] {
        let answer = agent.get(format!("{web}{path}")).call().unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            header("strict-transport-security").as_deref(),
            Some("max-age=31536000"),
            "{path}"
        );
        assert_eq!(
            header("cross-origin-opener-policy").as_deref(),
            Some("same-origin"),
            "{path}"
        );
        assert!(
            header("permissions-policy").is_some_and(|policy| policy.contains("geolocation=()")),
            "{path}"
        );
        assert_eq!(header("server"), None);
    }
}
