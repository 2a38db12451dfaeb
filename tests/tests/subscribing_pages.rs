//! What subscribers do on the pages: each journey over HTTP against the real binary, from the form to the mail and back.
#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "tests; a journey is told in one piece"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;
use tests::{Platform, get, post, token};

const PAPERS: &str = r#"{"id":"arxiv:2402.14776","published":"2026-01-02","title":"Sleepy consensus","abstract":"Leader election that sleeps between heartbeats.","authors":["Ruth Abara"],"categories":["cs.DC"]}
{"id":"arxiv:2402.14777","published":"2026-01-02","title":"Counting seedlings from drones","abstract":"Weak supervision from row totals of drones over fields.","authors":["Eve Moss"],"categories":["cs.CV"]}
{"id":"arxiv:2402.14778","published":"2026-01-02","title":"<b>Bold</b> hedgehogs & <script>alert(1)</script>","abstract":"About hedgehogs.","categories":["q-bio.PE"]}
"#;
const KEY: &str = "a secret of this test that is long enough";

/// A platform with papers, and its pages.
struct Site {
    platform: Platform,
    web: String,
    _folder: TempDir,
}

impl Site {
    fn open(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform::start_with(folder.path(), environment);
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
        assert_eq!(taken.status, 0, "{taken:?}");
        Self {
            web: platform.endpoint("web"),
            platform,
            _folder: folder,
        }
    }

    fn get(&self, address: &str) -> (u16, String) {
        get(&format!("{}{address}", self.web))
    }

    fn post(&self, page: &str, fields: &[(&str, &str)]) -> (u16, String) {
        post(&format!("{}{page}", self.web), fields)
    }

    /// Subscribes and confirms; the answer is the token of the links in mails.
    fn reader(&self, email: &str, fields: &[(&str, &str)]) -> String {
        let fields: Vec<(&str, &str)> = [("email", email)].into_iter().chain(fields.iter().copied()).collect();
        let (status, page) = self.post("/subscribe", &fields);
        assert_eq!(status, 200, "{page}");
        let confirm = self.confirmation(email);
        let (status, page) = self.post("/confirm", &[("token", &confirm)]);
        assert!(status == 200 && page.contains("You are subscribed"), "{page}");
        token(&page, "preferences")
    }

    fn confirmation(&self, email: &str) -> String {
        let mails = self.platform.mails();
        let mail = mails.iter().rfind(|mail| mail.contains(&format!("To: {email}")));
        token(mail.unwrap_or_else(|| panic!("no mail to {email}")), "confirm")
    }

    /// What is held about Ada.
    fn export(&self) -> Value {
        self.platform.must(&["subscribers", "export", "ada@example.org"]).json()
    }

    fn preferences(&self, token: &str) -> String {
        let (status, page) = self.get(&format!("/preferences?token={token}"));
        assert_eq!(status, 200, "{page}");
        page
    }

    /// Messages that the bus has taken: what changes anything puts one there.
    fn messages(&self) -> u64 {
        self.platform.messages()
    }
}

/// The values of the hidden fields of a page's form for preferences.
fn hidden(page: &str) -> Vec<(String, String)> {
    let start = page.find("<form id=\"preferences\"").unwrap();
    let form = &page[start..start + page[start..].find("</form>").unwrap()];
    let fields = form.split("<input type=\"hidden\" name=\"").skip(1).map(|rest| {
        let (name, rest) = rest.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
    });
    fields.collect()
}

/// Posts the form of a page with some fields changed.
fn save(site: &Site, page: &str, changed: &[(&str, &str)]) -> (u16, String) {
    let hidden = hidden(page);
    let mut fields: Vec<(&str, &str)> = hidden
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    fields.extend(changed);
    site.post("/preferences", &fields)
}

/// The papers of the preview on a page.
fn previewed(page: &str) -> Vec<String> {
    let preview = &page[page.find("<section id=\"preview\"").unwrap()..];
    let preview = &preview[..preview.find("</section>").unwrap()];
    let papers = preview.split("data-paper=\"").skip(1);
    papers.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
}

/// A token as the platform signs it, with an end of our own.
fn signed(scope: &str, subscriber: &str, expiry: i64) -> String {
    let claim = URL_SAFE_NO_PAD.encode(format!("{scope}.{subscriber}.{expiry}.0"));
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let signature = mac.chain_update(claim.as_bytes()).finalize().into_bytes();
    format!("{claim}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_reader_subscribes_changes_everything_and_is_deleted() {
    let site = Site::open(&[]);
    let (status, form) = site.get("/subscribe?like=arxiv:2402.14776");
    assert_eq!(status, 200);
    for field in [
        "email",
        "interests",
        "paper_count",
        "time",
        "time_zone",
        "frequency",
        "weekday",
        "trending_share",
        "format",
    ] {
        assert!(form.contains(&format!("name=\"{field}\"")), "{field}: {form}");
    }
    assert!(
        form.contains("<form id=\"subscribe\"") && form.contains("Sleepy consensus"),
        "{form}"
    );

    let preferences = [
        ("email", "ada@example.org"),
        ("interests", "drones over fields\r\nhedgehogs"),
        ("trending_share", "0"),
        ("frequency", "weekly"),
        ("weekday", "sunday"),
        ("time", "06:15"),
        ("time_zone", "Europe/Berlin"),
        ("paper_count", "2"),
    ];
    let (status, page) = site.post("/subscribe/preview", &preferences);
    assert!(
        status == 200 && page.contains("drones over fields\nhedgehogs</textarea>"),
        "{page}"
    );
    let papers = previewed(&page);
    assert!(papers.contains(&"arxiv:2402.14777".to_owned()), "{papers:?}");
    assert!(
        page.contains("Sunday") && page.contains("06:15 (Berlin time)"),
        "{page}"
    );
    assert!(site.platform.mails().is_empty(), "a preview sends nothing");

    let manage = site.reader("ada@example.org", &preferences);
    let page = site.preferences(&manage);
    assert!(
        page.contains("drones over fields") && page.contains("value=\"sunday\" selected"),
        "{page}"
    );

    let edited = [
        ("interest.0.words", "sleepy consensus"),
        ("interest.0.weight", "2"),
        ("interest.1.words", "hedgehogs"),
        ("interest.1.remove", "yes"),
        ("like", "https://arxiv.org/abs/2402.14777v1"),
        ("excluded_authors", "Eve Moss"),
        ("frequency", "weekdays"),
        ("format", "text"),
    ];
    let mut asked = edited.to_vec();
    asked.push(("token", &manage));
    let before = site.export();
    let (status, preview) = site.post("/preferences/preview", &asked);
    assert!(
        status == 200 && preview.contains("<pre class=\"mail-text\""),
        "{preview}"
    );
    assert!(
        preview.contains("Sleepy consensus") && preview.contains("value=\"weekdays\" checked"),
        "{preview}"
    );
    assert_eq!(site.export(), before, "a preview saves nothing");

    let (status, saved) = save(&site, &page, &edited);
    assert!(
        status == 200 && saved.contains("Your changes have been saved.") && saved.contains("Next"),
        "{saved}"
    );
    let wants = site.export()["preferences"].clone();
    assert_eq!(wants["interests"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&wants["interests"][0]["words"], &wants["interests"][0]["weight"]),
        (&"sleepy consensus".into(), &2.0.into())
    );
    assert_eq!(wants["interests"][1]["like"][0], "arxiv:2402.14777");
    assert_eq!(wants["exclusions"]["authors"][0], "Eve Moss");
    assert_eq!(
        (&wants["frequency"], &wants["time"], &wants["format"]),
        (&"weekdays".into(), &"06:15".into(), &"text".into())
    );
    let (_, same) = save(&site, &saved, &[]);
    assert!(same.contains("Nothing was changed"), "{same}");

    site.platform
        .must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let page = site.preferences(&manage);
    assert!(
        page.contains(", sent</summary>") && page.contains("because you follow"),
        "{page}"
    );

    let (status, page) = site.post("/pause", &[("token", &manage), ("until", "2999-12-24")]);
    assert!(
        status == 200 && page.contains("paused until Tuesday, 24 December 2999"),
        "{page}"
    );
    let (status, page) = site.post("/resume", &[("token", &manage)]);
    assert!(
        status == 200 && page.contains("Your digest has been resumed."),
        "{page}"
    );

    let (status, page) = site.get(&format!("/preferences/delete?token={manage}"));
    assert!(
        status == 200 && page.contains("Mail me a link") && !page.contains("2 interests"),
        "{page}"
    );
    let account = site.platform.account_token("ada@example.org");
    let (status, page) = site.get(&format!("/preferences/delete?token={account}"));
    assert!(
        status == 200 && page.contains("2 interests") && page.contains("one digest record"),
        "{page}"
    );
    assert!(page.contains("for up to 30 more days"), "what backups hold: {page}");
    let (status, json) = site.get(&format!("/preferences/export?token={account}"));
    assert!(status == 200 && json.contains("ada@example.org"), "{json}");
    assert_eq!(site.export()["state"], "active", "GET changed something");
    let (status, page) = site.post("/preferences/delete", &[("token", &account)]);
    assert!(
        status == 200 && page.contains("Everything has been deleted") && page.contains("ada@example.org"),
        "{page}"
    );
    let (status, page) = site.post("/preferences/delete", &[("token", &account)]);
    assert!(
        status == 404 && page.contains("data of this subscription has been deleted"),
        "{page}"
    );
}

#[test]
fn mistakes_stand_beside_their_fields_and_nothing_typed_is_lost() {
    let site = Site::open(&[]);
    let long = "x".repeat(1_001);
    let interests = format!("lakes\r\n{long}");
    let (status, page) = site.post(
        "/subscribe",
        &[
            ("email", "not an address\"><script>alert(1)</script>"),
            ("interests", &interests),
            ("like", "arxiv:9999.99999"),
            ("time", "25:00"),
            ("paper_count", "51"),
        ],
    );
    assert_eq!(status, 400, "{page}");
    let wrong = |page: &str, field: &str| {
        let start = page.find(&format!("id=\"f-{field}-wrong\""));
        let rest = &page[start.unwrap_or_else(|| panic!("nothing beside {field}: {page}"))..];
        rest[..rest.find("</div>").unwrap()].to_owned()
    };
    // What the address is held to comes before what the rest is held to.
    assert!(wrong(&page, "email").contains("ada@example.org"), "{page}");
    assert!(
        page.contains(&format!("lakes\n{long}</textarea>")) && page.contains("value=\"25:00\""),
        "{page}"
    );
    assert!(!page.contains("<script>alert"), "{page}");
    let address = ("email", "ada@example.org");
    let (status, page) = site.post(
        "/subscribe",
        &[address, ("interests", &interests), ("paper_count", "51")],
    );
    assert!(
        status == 400 && wrong(&page, "interests").contains("Line 2 has 1001 characters"),
        "{page}"
    );
    assert!(wrong(&page, "paper_count").contains("51"), "{page}");
    let (_, page) = site.post("/subscribe", &[address, ("like", "arxiv:9999.99999 cats")]);
    assert!(
        wrong(&page, "like").contains("cats") && !wrong(&page, "like").contains("9999"),
        "one by one: {page}"
    );
    let (_, page) = site.post("/subscribe", &[address, ("like", "arxiv:9999.99999")]);
    assert!(wrong(&page, "like").contains("is not known"), "{page}");
    for (field, value) in [
        ("time", "25:00"),
        ("time_zone", "Mars/Olympus"),
        ("frequency", "hourly"),
        ("trending_share", "7"),
    ] {
        let (status, page) = site.post("/subscribe", &[address, (field, value)]);
        assert_eq!(status, 400, "{field}");
        assert!(!wrong(&page, field).is_empty());
    }
    assert!(site.platform.mails().is_empty(), "nothing was taken");

    let manage = site.reader("ada@example.org", &[("interests", "lakes")]);
    let page = site.preferences(&manage);
    let changed = [
        ("interest.0.words", "lakes"),
        ("interest.0.weight", "99"),
        ("excluded_words", &long),
        ("paper_count", "3"),
    ];
    let (status, page) = save(&site, &page, &changed);
    assert_eq!(status, 400, "{page}");
    assert!(wrong(&page, "interest.0.weight").contains("99"), "{page}");
    assert!(wrong(&page, "excluded_words").contains("Entry 1"), "{page}");
    assert!(
        page.contains("name=\"paper_count\" type=\"number\" min=\"1\" max=\"50\" value=\"3\""),
        "{page}"
    );
    assert_eq!(site.export()["preferences"]["paper_count"], 10, "and nothing is saved");
    let (status, page) = site.post("/pause", &[("token", &manage), ("until", "2001-01-01")]);
    assert!(status == 400 && wrong(&page, "until").contains("2001-01-01"), "{page}");
    assert_eq!(site.get(&format!("/subscribe?interest={long}")).0, 400, "over-long");
    assert_eq!(site.post("/subscribe", &[("interests", &"x\n".repeat(300_000))]).0, 413);
}

#[test]
fn the_answer_does_not_tell_who_is_subscribed() {
    let site = Site::open(&[]);
    let ask = || site.post("/subscribe", &[("email", "eve@example.org"), ("interests", "lakes")]);
    let first = ask();
    assert_eq!(first.0, 200);
    assert_eq!(ask(), first, "asked a moment ago");
    site.post("/confirm", &[("token", &site.confirmation("eve@example.org"))]);
    assert_eq!(ask(), first, "subscribed");
    assert_eq!(site.platform.mails().len(), 1, "and nobody is flooded");
}

#[test]
fn floods_are_told_when_to_come_back_and_keep_what_they_typed() {
    let site = Site::open(&[("BROADSHEET_NOTIFICATION__SUBSCRIBES_PER_MINUTE", "1")]);
    let ask = |email| site.post("/subscribe", &[("email", email), ("interests", "lakes at dawn")]);
    assert_eq!(ask("ada@example.org").0, 200);
    let (status, page) = ask("eve@example.org");
    assert!(
        status == 429 && page.contains("seconds") && page.contains("lakes at dawn</textarea>"),
        "{page}"
    );
    assert_eq!(site.platform.mails().len(), 1);
}

#[test]
fn who_was_overtaken_is_asked_before_anything_is_overwritten() {
    let site = Site::open(&[]);
    let manage = site.reader("ada@example.org", &[("interests", "lakes")]);
    let opened = site.preferences(&manage);
    let elsewhere = save(&site, &opened, &[("interest.0.words", "mountains")]);
    assert!(elsewhere.1.contains("saved"), "{elsewhere:?}");
    let (status, _) = save(&site, &opened, &[("paper_count", "5"), ("interest.0.words", "lakes")]);
    assert_eq!(status, 200, "another field");
    let wants = || site.export()["preferences"].clone();
    assert_eq!(
        (&wants()["interests"][0]["words"], &wants()["paper_count"]),
        (&"mountains".into(), &5.into())
    );
    let (status, asked) = save(&site, &opened, &[("interest.0.words", "rivers")]);
    assert!(
        status == 409 && asked.contains("Someone changed") && asked.contains("rivers"),
        "{asked}"
    );
    assert_eq!(wants()["interests"][0]["words"], "mountains");
    let (status, _) = save(&site, &asked, &[("interest.0.words", "rivers")]);
    assert_eq!(
        (status, &wants()["interests"][0]["words"]),
        (200, &"rivers".into()),
        "who saves again means it"
    );
}

#[test]
fn links_that_open_nothing_say_what_to_do() {
    let site = Site::open(&[("BROADSHEET_NOTIFICATION__TOKEN_KEY", KEY)]);
    let manage = site.reader("ada@example.org", &[]);
    let id = site.export()["subscriber_id"].as_str().unwrap().to_owned();
    let expired = signed("confirm", &id, 1_700_000_000);
    let react = signed("react", &id, 4_000_000_000);
    let nobody = signed("account", "nobody", 4_000_000_000);
    site.preferences(&signed("preferences", &id, 4_000_000_000));
    let (status, page) = site.get(&format!("/confirm?token={expired}"));
    assert!(
        status == 400 && page.contains("expired") && page.contains("href=\"/subscribe\""),
        "{page}"
    );
    assert_eq!(site.post("/confirm", &[("token", &expired)]).0, 400);
    let forged = format!("{manage}x");
    for address in [
        "/preferences",
        "/preferences/delete",
        "/preferences/export",
        "/unsubscribe",
        "/confirm",
    ] {
        for (bad, expected) in [
            (forged.as_str(), 400),
            ("", 400),
            (&"x".repeat(3_000), 400),
            (&react, 400),
            (&nobody, 404),
        ] {
            let (status, page) = site.get(&format!("{address}?token={bad}"));
            let expected = if address == "/confirm" && bad == nobody {
                status
            } else {
                expected
            };
            assert_eq!(status, expected, "{address} {bad}: {page}");
            assert!(
                page.contains("What to do") && !page.contains("ada@example.org"),
                "{address} {bad}: {page}"
            );
        }
    }
    for address in [
        "/preferences",
        "/preferences/preview",
        "/preferences/delete",
        "/unsubscribe",
        "/pause",
        "/resume",
        "/weekly",
    ] {
        for bad in [&forged, &react] {
            assert_eq!(
                site.post(address, &[("token", bad), ("paper_count", "3")]).0,
                400,
                "{address}"
            );
        }
    }
    assert_eq!(site.export()["state"], "active");
}

#[test]
fn whoever_follows_every_link_of_a_mail_changes_nothing() {
    let site = Site::open(&[]);
    site.post(
        "/subscribe",
        &[("email", "ada@example.org"), ("interests", "drones over fields")],
    );
    let links = |mail: &str| -> Vec<String> {
        let found = mail.match_indices(&site.web).map(|(start, _)| {
            let rest = &mail[start..];
            let end = rest
                .find(|c: char| c.is_whitespace() || "\"<>)".contains(c))
                .unwrap_or(rest.len());
            rest[..end].replace("&amp;", "&")
        });
        let mut found: Vec<String> = found.collect();
        found.sort();
        found.dedup();
        found
    };
    let before = site.messages();
    let confirm = links(&site.platform.mails()[0]);
    assert!(!confirm.is_empty());
    for link in &confirm {
        assert_eq!(get(link).0, 200, "{link}");
    }
    assert_eq!(site.messages(), before);
    assert_eq!(
        site.platform
            .run(&["digest", "send", "--to", "ada@example.org", "--now"])
            .status,
        1
    );

    site.post("/confirm", &[("token", &site.confirmation("ada@example.org"))]);
    site.platform
        .must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let mails = site.platform.mails();
    let digest = mails.iter().find(|mail| mail.contains("/vote?token=")).unwrap();
    let (before, held) = (site.messages(), site.export());
    let followed = links(digest);
    assert!(followed.len() > 4, "{followed:?}");
    for link in &followed {
        let (status, page) = get(link);
        assert_eq!(status, 200, "{link}: {page}");
        // A scanner that is thorough follows the links of the pages, too.
        for inner in page.split("href=\"/").skip(1).filter(|rest| rest.contains("token=")) {
            let (inner, _) = inner.split_once('"').unwrap();
            if inner.contains("token=") {
                assert_eq!(site.get(&format!("/{}", inner.replace("&amp;", "&"))).0, 200, "{inner}");
            }
        }
    }
    assert_eq!((site.messages(), site.export()), (before, held));
}

#[test]
fn less_of_it_is_offered_and_leaving_is_one_step() {
    let site = Site::open(&[]);
    let manage = site.reader("ada@example.org", &[]);
    let url = format!("/unsubscribe?token={manage}");
    let (_, page) = site.get(&url);
    assert!(
        page.find("data-action=\"unsubscribe\"") < page.find("Once a week instead"),
        "leaving comes first: {page}"
    );
    let (status, page) = site.post("/weekly", &[("token", &manage)]);
    assert!(status == 200 && page.contains("once a week"), "{page}");
    assert_eq!(site.export()["preferences"]["frequency"], "weekly");
    let (status, _) = site.post("/pause", &[("token", &manage), ("weeks", "4")]);
    assert_eq!((status, &site.export()["state"]), (200, &"paused".into()));
    // Mail programs post multipart forms (RFC 8058, section 3.2).
    let parts = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    let answer = ureq::post(format!("{}{url}", site.web))
        .content_type("multipart/form-data; boundary=b")
        .send(parts);
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(site.export()["state"], "unsubscribed");
    assert_eq!(
        site.post(&url, &[("List-Unsubscribe", "One-Click")]).0,
        200,
        "again changes nothing"
    );
    let (_, page) = site.get(&url);
    assert!(
        page.contains("Nothing is sent") && page.contains("/preferences/delete"),
        "{page}"
    );
}

#[test]
fn pages_behind_tokens_are_not_cached_and_papers_are_escaped() {
    let site = Site::open(&[]);
    site.reader("ada@example.org", &[("interests", "<i>hedgehogs</i>\"'>")]);
    let manage = site.platform.account_token("ada@example.org");
    for address in [
        "/preferences",
        "/preferences/delete",
        "/preferences/export",
        "/unsubscribe",
    ] {
        let answer = ureq::get(format!("{}{address}?token={manage}", site.web))
            .call()
            .unwrap();
        let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header("cache-control"), "no-store", "{address}");
        assert!(
            ["no-referrer", "same-origin"].contains(&header("referrer-policy").as_str()),
            "{address}"
        );
        assert_eq!(header("x-robots-tag"), "noindex", "{address}");
    }
    let (_, page) = site.post("/preferences/preview", &[("token", &manage)]);
    assert!(!previewed(&page).is_empty(), "{page}");
    assert!(
        !page.contains("<i>hedgehogs") && !page.contains("<b>Bold") && !page.contains("<script>alert"),
        "{page}"
    );
    site.platform
        .must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let page = site.preferences(&manage);
    assert!(
        page.contains("hedgehogs") && !page.contains("<b>Bold") && !page.contains("<script>alert"),
        "{page}"
    );
}
