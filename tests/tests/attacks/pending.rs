//! The public form: subscriptions that nobody confirms, mail bombing, an unsubscription undone. And leaving, which must be
//! possible while the store is down.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use common::grpc::channel;
use nix::sys::signal::Signal;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Interest, SubscribeRequest, UnsubscribeRequest};
use serde_json::Value;
use standalone::{Children, DataFolder, Programs, Toolbox};
use tests::killable::Killable;
use tests::servers::nats_client;
use tests::services::free_ports;
use tests::{Platform, get, post, token, until};
use tonic::Code;
use tonic_types::StatusExt as _;

const ADA: &str = "ada@example.org";
const PAPERS: &str = "{\"id\":\"arxiv:2402.14776\",\"published\":\"2026-01-02\",\"title\":\"Sleepy consensus\",\"abstract\":\"Leader election that sleeps.\"}\n";
/// How long a mail program waits for the answer to its one click. The platform needs less than a second; a busy machine more.
const PATIENCE: Duration = Duration::from_secs(3);

/// A platform over a NATS and a Redis that the test can look into, kill, and stop.
struct Site {
    platform: Platform,
    web: String,
    redis: Killable,
    redis_port: u16,
    nats: Children,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn open(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tools = tokio::task::spawn_blocking(|| {
            let toolbox = Toolbox::from_env();
            (toolbox.redis_server().unwrap(), toolbox.nats_server().unwrap())
        });
        let (redis_server, nats_server) = tools.await.unwrap();
        let [redis_port] = free_ports::<1>();
        let redis = start_redis(&redis_server, redis_port, folder.path());
        let programs = Programs {
            nats: Some(nats_server),
            ..Programs::default()
        };
        let data = DataFolder::open(&folder.path().join("nats")).unwrap();
        let nats = Children::start(&data, programs, None).await.unwrap();
        let (nats_url, redis_url) = (nats.nats_url().unwrap(), format!("redis://127.0.0.1:{redis_port}"));
        let mut settings = vec![
            ("BROADSHEET_NATS__URL", nats_url.as_str()),
            ("BROADSHEET_NOTIFICATION__REDIS_URL", &redis_url),
            ("BROADSHEET_WEB__TRUSTED_PROXIES", "127.0.0.1/32"),
        ];
        settings.extend(environment);
        let platform = tokio::task::block_in_place(|| Platform::start_with(&folder.path().join("data"), &settings));
        Self {
            web: platform.endpoint("web"),
            platform,
            redis,
            redis_port,
            nats,
            _folder: folder,
        }
    }

    /// Posts a form as a stranger somewhere on the internet, each from a network of its own.
    fn form(&self, email: &str, interests: &str, stranger: usize) -> (u16, String) {
        let fields = [("email", email), ("interests", interests)];
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent = ureq::Agent::new_with_config(config);
        let posting = agent
            .post(format!("{}/subscribe", self.web))
            .header("x-forwarded-for", format!("198.51.{stranger}.7"));
        let mut answer = posting.send_form(fields).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// The mails to an address, whatever its tag.
    fn mails_to(&self, address: &str) -> Vec<String> {
        let mails = self.platform.mails().into_iter();
        mails.filter(|mail| mail.contains(&format!("To: {address}"))).collect()
    }

    fn shown(&self, email: &str) -> Value {
        self.platform.must(&["subscribers", "show", email, "--json"]).json()
    }

    /// What Redis answers to a command.
    fn redis(&self, command: &str) -> Vec<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.redis_port)).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        answer(&mut BufReader::new(stream))
    }

    /// Entries and bytes of a stream.
    async fn stream(&self, name: &str) -> async_nats::jetstream::stream::Info {
        let client = nats_client(&self.nats.nats_url().unwrap()).await;
        let context = async_nats::jetstream::new(client);
        context.get_stream(name).await.unwrap().cached_info().clone()
    }

    /// Active readers, with the tokens of the links in their digests.
    fn readers<const N: usize>(&self) -> [(String, String); N] {
        self.platform
            .must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
        let emails: [String; N] = std::array::from_fn(|number| format!("reader{number}@example.org"));
        for email in &emails {
            self.platform.must(&["subscribe", email, "--confirm"]);
        }
        self.platform.must(&["digest", "send", "--now"]);
        emails.map(|email| {
            let link = token(&self.mails_to(&email)[0], "unsubscribe");
            (email, link)
        })
    }

    /// Waits until Redis knows who has left, and finds that nothing is sent to them.
    fn assert_all_left<const N: usize>(&self, readers: &[(String, String); N]) {
        let before = self.platform.mails().len();
        for (email, _) in readers {
            until(&format!("{email} has left in redis, too"), || {
                let shown = self.platform.run(&["subscribers", "show", email, "--json"]);
                (shown.status == 0 && shown.json()["state"] == "unsubscribed").then_some(())
            });
            let refused = self.platform.run(&["digest", "send", "--to", email, "--now"]);
            assert_eq!(refused.status, 1, "{refused:?}");
        }
        assert_eq!(self.platform.mails().len(), before);
    }
}

fn start_redis(program: &Path, port: u16, folder: &Path) -> Killable {
    let mut arguments: Vec<std::ffi::OsString> = [
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--save",
        "",
        "--appendonly",
        "yes",
        "--dir",
    ]
    .map(Into::into)
    .into();
    arguments.push(folder.into());
    let redis = Killable::start("redis", program, arguments, Vec::new(), folder);
    until("redis listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    redis
}

fn answer(lines: &mut BufReader<TcpStream>) -> Vec<String> {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    let count = || rest.parse::<usize>().unwrap_or_default();
    match kind {
        "*" => (0..count()).flat_map(|_| answer(lines)).collect(),
        "$" => {
            let mut bytes = vec![0; count() + 2];
            lines.read_exact(&mut bytes).unwrap();
            vec![String::from_utf8_lossy(&bytes[..count()]).into_owned()]
        }
        _ => vec![rest.to_owned()],
    }
}

/// One click on the unsubscribe header by a mail program, which hangs up after so long; 0 where it did.
fn one_click(web: &str, link: &str, patience: Duration) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = ureq::Agent::new_with_config(config.timeout_global(Some(patience)).build());
    let posting = agent.post(format!("{web}/unsubscribe?token={link}"));
    let answer = posting.send_form([("List-Unsubscribe", "One-Click")]);
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// A page or form in a browser whose reader waits no longer than a mail program.
fn in_time(what: impl FnOnce() -> (u16, String) + Send + 'static) -> (u16, String) {
    let (sender, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(what()));
    answer.recv_timeout(PATIENCE).expect("an answer in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_a_hundred_interests_leaves_nothing() {
    let site = Site::open(&[]).await;
    let interests = |count: usize, chars: usize| {
        let lines: Vec<String> = (0..count)
            .map(|number| format!("{number} {}", "x".repeat(chars)))
            .collect();
        lines.join("\n")
    };
    let (status, page) = site.form(ADA, &interests(100, 990), 1);
    assert!(
        status == 400 && page.contains("at most 10 are allowed until"),
        "{status}: {page}"
    );
    let (status, page) = site.form(ADA, &interests(10, 990), 1);
    assert!(
        status == 400 && page.contains("4000 are allowed until"),
        "{status}: {page}"
    );
    let many = SubscribeRequest {
        email: ADA.to_owned(),
        interests: vec![
            Interest {
                text: "lakes".to_owned(),
                ..Interest::default()
            };
            11
        ],
        ..SubscribeRequest::default()
    };
    let mut client = SubscriptionServiceClient::new(channel(&site.platform.endpoint("grpc"), None).unwrap());
    let refused = client.subscribe(many).await.unwrap_err();
    let details = refused.get_error_details();
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert_eq!(
        (refused.code(), violation.field.as_str()),
        (Code::InvalidArgument, "interests")
    );
    assert!(violation.description.contains("has 11 entries"), "{violation:?}");
    assert_eq!(site.stream("PENDING").await.state.messages, 0);
    assert!(site.redis("KEYS broadsheet:pending*").is_empty() && site.platform.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_confirms_is_small_and_ends_after_a_week() {
    let site = Site::open(&[]).await;
    let interests: Vec<String> = (0..10)
        .map(|number| format!("{number} {}", "lake ".repeat(70)))
        .collect();
    assert_eq!(site.form(ADA, &interests.join("\n"), 1).0, 200);
    let request = site.redis("KEYS broadsheet:pending:*").remove(0);
    let bytes: u64 = site.redis(&format!("STRLEN {request}"))[0].parse().unwrap();
    let pending = site.stream("PENDING").await;
    assert!(bytes < 4_500 && pending.state.bytes < 5_000, "{bytes} {pending:?}");
    assert_eq!(pending.state.messages, 1);
    let week = Duration::from_hours(24 * 7);
    assert_eq!(pending.config.max_age, week, "the log ends it by itself");
    assert!(pending.config.max_bytes > 0, "and has no room without end");
    for key in site.redis("KEYS broadsheet:pending*") {
        let left: i64 = site.redis(&format!("PTTL {key}"))[0].parse().unwrap();
        let is_index = key.ends_with("_ends") || key.ends_with("_bytes");
        assert!(
            is_index || (1..=week.as_millis()).contains(&left.unsigned_abs().into()),
            "{key} {left}"
        );
    }
    assert!(
        site.redis("KEYS broadsheet:email:*").is_empty(),
        "nothing stays for ever"
    );
    assert_eq!(site.stream("SUBSCRIBERS").await.state.messages, 0);
    // Confirmed, it is in the log of subscribers and in no other.
    let confirm = token(&site.mails_to(ADA)[0], "confirm");
    let (status, page) = post(&format!("{}/confirm", site.web), &[("token", &confirm)]);
    assert_eq!(status, 200, "{page}");
    assert_eq!(site.stream("PENDING").await.state.messages, 0);
    assert_eq!(site.shown(ADA)["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_of_requests_keeps_the_newest() {
    let site = Site::open(&[("BROADSHEET_NATS__PENDING_MB", "1")]).await;
    let mut client = SubscriptionServiceClient::new(channel(&site.platform.endpoint("grpc"), None).unwrap());
    let interests: Vec<Interest> = (0..10)
        .map(|number| Interest {
            text: format!("{number} {}", "lake ".repeat(70)),
            ..Interest::default()
        })
        .collect();
    let most = (1 << 20) / 4_000;
    for number in 0..most {
        let request = SubscribeRequest {
            email: format!("stranger@host{number}.example"),
            interests: interests.clone(),
            ..SubscribeRequest::default()
        };
        client.subscribe(request).await.unwrap();
    }
    let used: u64 = site.redis("GET broadsheet:pending_bytes")[0].parse().unwrap();
    let kept = site.redis("KEYS broadsheet:pending:*").len();
    assert!(used <= 1 << 20 && kept < most, "{used} bytes in {kept}");
    let logged = site.stream("PENDING").await.state;
    assert!(logged.bytes <= 1 << 20, "{logged:?}");
    let newest = site.mails_to(&format!("stranger@host{}.example", most - 1)).remove(0);
    let link = token(&newest, "confirm");
    let (status, page) = post(&format!("{}/confirm", site.web), &[("token", &link)]);
    assert_eq!(status, 200, "{page}");
    let oldest = token(&site.mails_to("stranger@host0.example")[0], "confirm");
    let (status, page) = get(&format!("{}/confirm?token={oldest}", site.web));
    assert!(
        status == 400 && page.contains("href=\"/subscribe\""),
        "{status}: {page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bombing_a_mailbox_sends_one_mail_an_hour() {
    let site = Site::open(&[]).await;
    let (status, page) = site.form("victim@example.org", "lakes", 0);
    assert_eq!(status, 200);
    for number in 1..30 {
        let address = match number % 3 {
            0 => format!("victim+{number}@example.org"),
            1 => format!("Victim+{number}@Example.org"),
            _ => "victim@example.org".to_owned(),
        };
        let (status, again) = site.form(&address, "lakes", number);
        let shown = again.replace(&address, "victim@example.org");
        assert_eq!((status, shown), (200, page.clone()), "{address}");
    }
    assert_eq!(site.platform.mails().len(), 1);
    assert_eq!(site.redis("KEYS broadsheet:pending:*").len(), 1, "and no more is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_are_capped_and_the_cap_tells_nothing() {
    let caps = [
        ("BROADSHEET_NOTIFICATION__CONFIRMATIONS_PER_HOUR_PER_DOMAIN", "3"),
        ("BROADSHEET_NOTIFICATION__CONFIRMATIONS_PER_HOUR", "5"),
    ];
    let site = Site::open(&caps).await;
    site.platform.must(&["subscribe", "known@target.example", "--confirm"]);
    for number in 0..3 {
        assert_eq!(site.form(&format!("a{number}@target.example"), "", number).0, 200);
    }
    let (status, page) = site.form("a3@target.example", "", 3);
    assert!(status == 429 && page.contains("try again in"), "{status}: {page}");
    for known in ["known@target.example", "a0@target.example"] {
        let (status, again) = site.form(known, "", 4);
        assert_eq!(
            (status, again),
            (429, page.replace("a3@target.example", known)),
            "{known}"
        );
    }
    assert_eq!(site.form("b@example.org", "", 5).0, 200, "another domain");
    assert_eq!(site.form("c@other.example", "", 6).0, 200);
    assert_eq!(site.form("d@third.example", "", 7).0, 429, "all together");
    assert_eq!(site.platform.mails().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_bombed_stops_it_for_good() {
    let site = Site::open(&[]).await;
    let (_, page) = site.form("victim+1@example.org", "lakes", 0);
    let mail = site.mails_to("victim+1@example.org").remove(0);
    let (decline, confirm) = (token(&mail, "not-me"), token(&mail, "confirm"));
    let url = format!("{}/not-me", site.web);
    for _ in 0..2 {
        // A mail scanner looks at it.
        let (status, asked) = get(&format!("{url}?token={decline}"));
        assert!(status == 200 && asked.contains("data-action=\"decline\""), "{asked}");
    }
    assert_eq!(
        site.shown("victim+1@example.org")["state"],
        "pending",
        "looking changed nothing"
    );
    assert_eq!(post(&url, &[("token", &confirm)]).0, 400, "the other link of the mail");
    assert_eq!(post(&format!("{}/confirm", site.web), &[("token", &decline)]).0, 400);
    for _ in 0..2 {
        let (status, done) = post(&url, &[("token", &decline)]);
        assert!(status == 200 && done.contains("no more mail"), "{done}");
    }
    let (status, late) = post(&format!("{}/confirm", site.web), &[("token", &confirm)]);
    assert!(matches!(status, 400 | 409), "{status}: {late}");
    assert!(site.redis("KEYS broadsheet:pending:*").is_empty());
    // An hour later, as far as the windows know.
    for window in site.redis("KEYS broadsheet:window:*") {
        site.redis(&format!("DEL {window}"));
    }
    for (number, address) in ["victim+2@example.org", "victim@example.org"].iter().enumerate() {
        let (status, again) = site.form(address, "lakes", number);
        assert_eq!(
            (status, again.replace(address, "victim+1@example.org")),
            (200, page.clone()),
            "a stranger learns nothing"
        );
    }
    assert_eq!(site.platform.mails().len(), 1);
    let suppressed = site.platform.must(&["subscribers", "suppressions"]).out;
    assert!(
        suppressed.contains("declined") && !suppressed.contains("victim"),
        "{suppressed}"
    );
    let imported = site.platform.run(&["subscribe", "victim@example.org", "--confirm"]);
    assert!(imported.err.contains("suppressed (declined)"), "{imported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_does_not_undo_an_unsubscription() {
    let site = Site::open(&[]).await;
    let csv = "email,interests,consent_source,consent_time\nreader0@example.org,lakes,fair 2024,2024-05-01\n";
    let import = || {
        site.platform
            .run_with_input(&["subscribers", "import", "-", "--json"], csv)
    };
    assert_eq!(import().status, 0);
    let [(email, link)] = site.readers();
    assert_eq!(one_click(&site.web, &link, PATIENCE), 200);
    let ended = site.shown(&email);
    assert_eq!(ended["state"], "unsubscribed");
    assert_eq!(site.form(&email, "rivers", 1).0, 200);
    assert_eq!(site.shown(&email), ended, "the record stands as it was");
    let again = import();
    assert!(again.status != 0 && again.out.contains("older than"), "{again:?}");
    assert_eq!(site.shown(&email)["state"], "unsubscribed");
    let refused = site.platform.run(&["digest", "send", "--to", &email, "--now"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    // Whoever reads the mailbox may come back.
    let mail = site
        .mails_to(&email)
        .into_iter()
        .find(|mail| mail.contains("/confirm?token="));
    let confirm = token(&mail.unwrap(), "confirm");
    let (status, page) = get(&format!("{}/confirm?token={confirm}", site.web));
    assert!(status == 200 && page.contains("rivers"), "{page}");
    assert_eq!(site.shown(&email), ended);
    assert_eq!(post(&format!("{}/confirm", site.web), &[("token", &confirm)]).0, 200);
    let back = site.shown(&email);
    assert_eq!(
        (&back["state"], &back["consent"]["kind"]),
        (&"active".into(), &"confirmed by mail".into())
    );
    assert_eq!(back["interests"][0]["text"], "rivers");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_takes_effect_while_redis_is_dead() {
    let mut site = Site::open(&[]).await;
    let readers: [_; 3] = site.readers();
    site.redis.signal(Signal::SIGKILL);
    until("redis is gone", || {
        TcpStream::connect(("127.0.0.1", site.redis_port))
            .is_err()
            .then_some(())
    });
    leave_in_every_way(&site, &readers).await;
    site.redis.supervise();
    site.assert_all_left(&readers);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_takes_effect_while_redis_hangs() {
    let site = Site::open(&[]).await;
    let readers: [_; 4] = site.readers();
    site.redis.signal(Signal::SIGSTOP);
    let [first, second, third, (_, link)] = readers.clone();
    leave_in_every_way(&site, &[first, second, third]).await;
    let log = "SUBSCRIBERS";
    let before = site.stream(log).await.state.last_sequence;
    // A caller that does not wait for the answer.
    one_click(&site.web, &link, Duration::from_millis(200));
    tests::eventually("the log has it", async || {
        let last = site.stream(log).await.state.last_sequence;
        (last > before).then_some(())
    })
    .await;
    site.redis.signal(Signal::SIGCONT);
    site.assert_all_left(&readers);
}

/// By the page, by one click of a mail program, and over gRPC without a deadline.
async fn leave_in_every_way(site: &Site, [by_page, by_click, by_call]: &[(String, String); 3]) {
    let url = format!("{}/unsubscribe?token={}", site.web, by_page.1);
    let (status, page) = in_time(move || get(&url));
    assert!(
        status == 200 && page.contains("data-action=\"unsubscribe\""),
        "{status}: {page}"
    );
    let (url, link) = (format!("{}/unsubscribe", site.web), by_page.1.clone());
    let (status, page) = in_time(move || post(&url, &[("token", &link)]));
    assert!(
        status == 200 && page.contains("You are unsubscribed"),
        "{status}: {page}"
    );
    for _ in 0..2 {
        assert_eq!(one_click(&site.web, &by_click.1, PATIENCE), 200);
    }
    let mut client = SubscriptionServiceClient::new(channel(&site.platform.endpoint("grpc"), None).unwrap());
    let request = UnsubscribeRequest {
        token: by_call.1.clone(),
    };
    let ended = tokio::time::timeout(PATIENCE, client.unsubscribe(request)).await;
    ended.expect("an answer in time").unwrap();
}
