//! What people do, through the front doors of a real platform: command line, gRPC, pages, mail.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;

use tests::{Platform, get, post, processes_over, ran, token, until, up};

const PAPERS: &str = r#"{"id":"arxiv:2402.14776","title":"Sleepy  consensus","abstract":"Leader election that sleeps between heartbeats.","authors":["Ruth Abara"],"categories":["cs.DC"],"published":"2026-01-02"}
{"id":"p2","published":"2026-01-03","title":"Counting seedlings from drones","abstract":"Weak supervision from row totals."}
not json
{"id":"p3","title":"  ","abstract":"No title."}
{"id":"p4","title":"A paper from tomorrow's tomorrow","published":"2999-01-01"}

{"id":"p5","title":"Control\u0000 characters","abstract":"A\u0007 bell."}
"#;

fn ids(results: &serde_json::Value) -> Vec<String> {
    results["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_paper_gets_from_a_file_to_an_inbox_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());

    let taken = platform.run_with_input(&["ingest", "-", "--wait", "--json", "--source", "test"], PAPERS);
    assert_eq!(taken.status, 65, "{taken:?}");
    let report = taken.json();
    assert_eq!(report["accepted"], 3);
    let refused = report["refused"].as_array().unwrap();
    assert_eq!(
        refused
            .iter()
            .map(|one| one["line"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert!(
        refused[1]["problem"].as_str().unwrap().starts_with("title is"),
        "{refused:?}"
    );
    assert!(
        refused[2]["problem"].as_str().unwrap().contains("2999-01-01"),
        "{refused:?}"
    );

    let found = platform.must(&["search", "leader election", "--json"]).json();
    assert_eq!(ids(&found)[0], "arxiv:2402.14776");
    assert_eq!(found["results"][0]["title"], "Sleepy consensus");

    let again = platform
        .run_with_input(&["ingest", "-", "--json", "--source", "test"], PAPERS)
        .json();
    assert_eq!((&again["accepted"], &again["unchanged"]), (&0.into(), &3.into()));

    platform.must(&[
        "subscribe",
        "Ada@Example.ORG",
        "--interest",
        "drones over fields",
        "--confirm",
    ]);
    let preview = platform.must(&["digest", "preview", "ada@example.org"]).out;
    assert!(preview.contains("Subject: Counting seedlings from drones"), "{preview}");
    let sent = platform
        .must(&["digest", "send", "--to", "ada@example.org", "--now", "--json"])
        .json();
    assert_eq!(sent["deliveries"][0]["state"], "sent");
    let second = platform.must(&["digest", "send", "--now", "--json"]).json();
    assert_eq!(second["deliveries"][0]["already_delivered"], true);
    let mails = platform.mails();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
        "{}",
        mails[0]
    );

    assert_eq!(platform.stop(), 0);
    assert!(!folder.path().join("endpoint.json").exists());
    assert_eq!(processes_over(folder.path()), Vec::<String>::new());

    let platform = Platform::start(folder.path());
    assert_eq!(
        ids(&platform.must(&["search", "leader election", "--json"]).json())[0],
        "arxiv:2402.14776"
    );
    let third = platform.must(&["digest", "send", "--now", "--json"]).json();
    assert_eq!(third["deliveries"][0]["already_delivered"], true);
}

#[test]
fn confirm_and_unsubscribe_links_change_nothing_on_get() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let web = platform.endpoint("web");
    platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    platform.must(&["subscribe", "eve@example.org"]);
    let refused = platform.run(&["digest", "send", "--to", "eve@example.org", "--now"]);
    assert_eq!(refused.status, 1, "{refused:?}");

    let confirm = token(&platform.mails()[0], "confirm");
    let page = ureq::get(format!("{web}/confirm?token={confirm}"))
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(
        page.contains("eve@example.org") && page.contains("method=\"post\""),
        "{page}"
    );
    assert_eq!(
        platform
            .run(&["digest", "send", "--to", "eve@example.org", "--now"])
            .status,
        1,
        "GET changed something"
    );
    ureq::post(format!("{web}/confirm"))
        .send_form([("token", confirm.as_str())])
        .unwrap();
    platform.must(&["digest", "send", "--to", "eve@example.org", "--now"]);

    let mails = platform.mails();
    let digest = mails
        .iter()
        .find(|mail| mail.contains("/unsubscribe?token=") && !mail.contains("/confirm?"))
        .unwrap();
    let manage = token(digest, "unsubscribe");
    let url = format!("{web}/unsubscribe?token={manage}");
    ureq::get(&url).call().unwrap();
    let still = platform.must(&["digest", "send", "--now", "--json"]).json();
    assert_eq!(
        still["deliveries"].as_array().unwrap().len(),
        1,
        "GET changed something"
    );
    ureq::post(&url).send_form([("List-Unsubscribe", "One-Click")]).unwrap();
    let nobody = platform.must(&["digest", "send", "--now", "--json"]).json();
    assert_eq!(nobody["deliveries"].as_array().unwrap().len(), 0);

    let forged = ureq::get(format!("{web}/unsubscribe?token=forged.token")).call();
    assert!(matches!(forged, Err(ureq::Error::StatusCode(400))), "{forged:?}");
}

#[test]
fn vote_links_in_mails_change_nothing_on_get() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    platform.must(&["subscribe", "ada@example.org", "--confirm"]);
    platform.must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let mail = &platform.mails()[0];
    let (react, manage) = (token(mail, "vote"), token(mail, "preferences"));
    let web = platform.endpoint("web");
    let paper = "arxiv:2402.14776";
    let (status, feed) = get(&format!("{web}/feeds/digest.atom?token={manage}"));
    assert!(
        status == 200 && feed.starts_with("<?xml") && feed.contains(paper) && feed.contains("new today"),
        "{feed}"
    );
    assert_eq!(
        get(&format!("{web}/feeds/digest.atom?token={react}")).0,
        400,
        "a link that reacts reads nothing"
    );
    let preferences = |page: &str, text: &str| {
        let (status, page) = post(&format!("{web}/{page}"), &[("token", &manage)]);
        assert!(status == 200 && page.contains(text), "{page}");
    };
    preferences("pause", "Resume the digest");
    preferences("resume", "Pause the digest");
    assert_eq!(post(&format!("{web}/pause"), &[("token", &react)]).0, 400);
    let recorded = || platform.messages();
    let before = recorded();
    let (status, page) = get(&format!("{web}/vote?token={react}&paper={paper}"));
    assert!(
        status == 200 && page.contains("method=\"post\"") && page.contains(paper),
        "{page}"
    );
    assert_eq!(recorded(), before, "GET changed something");
    for _ in 0..2 {
        let (status, page) = post(&format!("{web}/vote"), &[("token", &react), ("paper", paper)]);
        assert!(status == 200 && page.contains("Thank you for your vote"), "{page}");
    }
    assert_eq!(recorded(), before + 1, "one vote of a reader for a paper");
    // A link that reacts is passed on with the mail; it opens nothing else. The link that manages everything votes, too.
    for page in ["vote", "not-interested"] {
        let (status, page) = post(&format!("{web}/{page}"), &[("token", "forged.token"), ("paper", paper)]);
        assert_eq!(status, 400, "{page}");
    }
    assert_eq!(
        post(&format!("{web}/vote"), &[("token", &manage), ("paper", paper)]).0,
        200
    );
    assert_eq!(get(&format!("{web}/preferences?token={react}")).0, 400);
    assert_eq!(get(&format!("{web}/vote?token={react}")).0, 400, "no paper");
    let (status, page) = get(&format!("{web}/not-interested?token={react}&paper=%3Cb%3E"));
    assert!(status == 200 && page.contains("&lt;b&gt;"), "{page}");
}

#[test]
fn a_withdrawn_paper_is_not_found_and_results_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let web = platform.endpoint("web");
    let hostile = r#"{"id":"h1","title":"<script>alert(1)</script> hedgehogs","abstract":"About hedgehogs."}"#;
    let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], hostile);
    assert_eq!(taken.status, 0, "{taken:?}");
    let page = ureq::get(format!("{web}/search?q=hedgehogs"))
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    platform.must(&["withdraw", "test:h1", "--reason", "by its author"]);
    until("the withdrawal is indexed", || {
        let status = platform.must(&["status", "--json"]).json();
        (status["index"]["withdrawn"] == 1).then_some(())
    });
    assert!(ids(&platform.must(&["search", "hedgehogs", "--json"]).json()).is_empty());
    let resubmitted = platform
        .run_with_input(&["ingest", "-", "--json", "--source", "test"], hostile)
        .json();
    assert_eq!(resubmitted["unchanged"], 1, "the same revision does not bring it back");
}

#[test]
fn a_paper_without_a_date_has_none_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let web = platform.endpoint("web");
    for (revision, text) in [(1, "First."), (2, "Second.")] {
        let line = format!(r#"{{"id":"undated","title":"Hedgehogs of all times","abstract":"{text}"}}"#);
        platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], &line);
        let found = platform.must(&["search", "hedgehogs", "--json"]).json();
        assert_eq!(found["results"][0]["revision"], revision, "{found}");
        assert!(found["results"][0]["published"].is_null(), "{found}");
    }
    let found = platform.must(&["search", "hedgehogs"]);
    assert!(found.out.contains("date unknown"), "{found:?}");
    let (_, page) = get(&format!("{web}/papers/test:undated"));
    assert!(page.contains("date unknown"), "{page}");
    for (format, date) in [("bibtex", "year"), ("ris", "PY  -"), ("csl", "issued")] {
        let (status, text) = get(&format!("{web}/papers/test:undated?format={format}"));
        assert!(status == 200 && !text.contains(date), "{text}");
    }
    for path in ["/api/daily_papers", "/feeds/today.json"] {
        let (status, list) = get(&format!("{web}{path}"));
        assert!(status == 200 && !list.contains("Hedgehogs of all times"), "{list}");
    }
}

#[test]
fn a_long_list_of_results_is_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let papers: Vec<String> = (0..25)
        .map(|n| format!(r#"{{"title":"Hedgehogs, volume {n} of many","abstract":"About hedgehogs."}}"#))
        .collect();
    let taken = platform.run_with_input(&["ingest", "-", "--wait"], &papers.join("\n"));
    assert_eq!(taken.status, 0, "{taken:?}");
    let web = platform.endpoint("web");
    let mut seen = std::collections::BTreeSet::new();
    let mut address = "/search?q=hedgehogs".to_owned();
    for expected in [20, 25] {
        let (status, page) = get(&format!("{web}{address}"));
        assert_eq!(status, 200, "{page}");
        seen.extend(
            page.match_indices("volume ")
                .map(|(at, _)| page[at + 7..at + 9].trim().to_owned()),
        );
        assert_eq!(seen.len(), expected, "{page}");
        let next = page.split_once("rel=\"next\" href=\"").map(|(_, rest)| rest);
        address = next.map_or_else(String::new, |rest| {
            rest[..rest.find('"').unwrap()].replace("&amp;", "&")
        });
    }
    assert_eq!(address, "", "the last page leads nowhere");
}

#[test]
fn a_new_model_takes_over_by_itself_and_no_paper_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut papers = 0;
    for (profile, encoder) in [
        ("minilm", "all-MiniLM-L6-v2@53aa51172d14"),
        ("static", "potion-base-8M@f65d0f325faa"),
    ] {
        let platform = Platform::start_with(folder.path(), &[("BROADSHEET_EMBEDDING__MODEL", profile)]);
        // What the former model made is found all the time, by its words, and soon by its meaning again.
        assert_eq!(ids(&platform.must(&["search", "naps", "--json"]).json()).len(), papers);
        until("the index of the model is in use", || {
            let index = platform.must(&["status", "--json"]).json()["index"].clone();
            assert_eq!(index["papers"], papers);
            (index["encoder"] == encoder).then_some(())
        });
        let paper = format!(r#"{{"title":"Naps of leaders, by {profile}","abstract":"Consensus that sleeps."}}"#);
        assert_eq!(platform.run_with_input(&["ingest", "-", "--wait"], &paper).status, 0);
        papers += 1;
        let found = platform.must(&["search", "sleepy elections", "--json"]).json();
        assert_eq!(ids(&found).len(), papers, "{found}");
        assert_eq!(platform.stop(), 0);
    }
    let unknown = ran(up(folder.path())
        .env("BROADSHEET_EMBEDDING__MODEL", "gigantic")
        .output()
        .unwrap());
    assert_eq!(unknown.status, 1, "{unknown:?}");
    assert!(unknown.err.contains("gigantic/config.json"), "{unknown:?}");
}

#[test]
fn clients_that_hang_do_not_hold_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let mut hanging = Vec::new();
    for door in ["web", "admin", "grpc"] {
        let address = platform.address(door);
        for said in ["", "GET / HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut client = std::net::TcpStream::connect(&address).unwrap();
            client.write_all(said.as_bytes()).unwrap();
            hanging.push(client);
        }
    }
    // Held until the drain deadline it would end with 130.
    assert_eq!(platform.stop(), 0);
    assert_eq!(processes_over(folder.path()), Vec::<String>::new());
    drop(hanging);
}

#[test]
fn mistakes_of_configuration_come_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = up(folder.path())
        .env("BROADSHEET_NATS__REPLICAS", "nine")
        .env("BROADSHEET_NOTIFICATION__TIME_ZONE", "Mars/Olympus")
        .env("BROADSHEET_INDEXING__FOLDR", "x")
        .arg("--check-config")
        .output()
        .unwrap();
    let checked = ran(output);
    assert_eq!(checked.status, 64, "{checked:?}");
    for expected in [
        "3 mistakes",
        "nats.replicas",
        "notification.time_zone",
        "did you mean indexing.folder?",
    ] {
        assert!(checked.err.contains(expected), "{expected}: {checked:?}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let second = ran(up(folder.path()).output().unwrap());
    assert_eq!(second.status, 1, "{second:?}");
    assert!(
        second.err.contains(&platform.pid().to_string()),
        "names who holds the folder: {second:?}"
    );
    let other = tempfile::tempdir().unwrap();
    let taken = platform.address("grpc");
    let port = ran(up(other.path())
        .env("BROADSHEET_GRPC__LISTEN", &taken)
        .output()
        .unwrap());
    assert_eq!(port.status, 1, "{port:?}");
    assert!(
        port.err.contains("grpc.listen") && port.err.contains(&taken),
        "{port:?}"
    );
    let bad = platform.run(&["subscribe", "not an address"]);
    assert_eq!(bad.status, 65, "{bad:?}");
    assert!(
        bad.err.contains("ada@example.org"),
        "shows what an address looks like: {bad:?}"
    );
    let absent = platform.run(&["digest", "preview", "nobody@example.org"]);
    assert!(absent.err.contains("nobody@example.org"), "{absent:?}");
    platform.stop();
    let down = ran(std::process::Command::new(tests::binary())
        .args(["search", "x", "--data"])
        .arg(other.path())
        .output()
        .unwrap());
    assert_eq!(down.status, 69, "{down:?}");
    assert!(down.err.contains("broadsheet up"), "{down:?}");
}
