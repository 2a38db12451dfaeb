//! Bad input at the front doors: each gets an error that names field, value and what is allowed, with the exit status that
//! the help promises; what is good beside it is taken.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use standalone::Toolbox;
use tests::{Platform, Ran, get, post, ran, services, token, up};

const MEGABYTE: usize = 1 << 20;
const ANY_GRPC: (&str, &str) = ("BROADSHEET_GRPC__LISTEN", "127.0.0.1:0");
const ANY_ADMIN: (&str, &str) = ("BROADSHEET_ADMIN__LISTEN", "127.0.0.1:0");

/// An `up` that is expected to end by itself.
fn refused_up(data: &Path, environment: &[(&str, &str)]) -> Ran {
    ran(up(data).envs(environment.iter().copied()).output().unwrap())
}

#[test]
fn a_megabyte_abstract_is_refused_and_others_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let lines = [
        json!({"id": "before", "title": "A paper before", "abstract": "Short."}),
        json!({"id": "long", "title": "A long paper", "abstract": "long ".repeat(MEGABYTE / 5)}),
        json!({"id": "after", "title": "A paper after", "abstract": "Short as well."}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let taken = platform.run_with_input(&["ingest", "-", "--json", "--wait", "--source", "test"], &lines);
    assert_eq!(taken.status, 65, "{taken:?}");
    let report = taken.json();
    assert_eq!(report["accepted"], 2);
    assert_eq!(report["refused"][0]["line"], 2);
    let problem = report["refused"][0]["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("abstract has 1048"),
        "names field and size: {problem}"
    );
    assert!(
        problem.contains("allowed") && problem.len() < 200,
        "says what is allowed: {problem}"
    );
}

#[test]
fn an_unknown_token_is_refused_on_every_page_that_takes_one() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    platform.must(&["subscribe", "eve@example.org"]);
    let web = platform.endpoint("web");
    let confirm = token(&platform.mails()[0], "confirm");
    let swapped = format!("x{}", &confirm[1..]);
    for page in ["confirm", "unsubscribe", "preferences"] {
        for bad in ["", "forged", "forged.token", "..", &swapped, "%00", &"x".repeat(2_000)] {
            let (status, body) = get(&format!("{web}/{page}?token={bad}"));
            assert_eq!(status, 400, "GET {page} {bad}: {body}");
            assert!(body.contains("open it from the mail again"), "says what to do: {body}");
            if page != "preferences" {
                let (status, body) = post(&format!("{web}/{page}"), &[("token", bad)]);
                assert_eq!(status, 400, "POST {page} {bad}: {body}");
            }
        }
    }
    let (status, body) = post(&format!("{web}/unsubscribe"), &[("token", &confirm)]);
    assert_eq!(status, 400, "a token confirms and no more: {body}");
    assert_eq!(
        post(&format!("{web}/confirm"), &[("token", &confirm)]).0,
        200,
        "the true one holds still"
    );
}

#[test]
fn a_data_folder_that_cannot_be_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "in the way").unwrap();
    // Nobody can make a folder there, not even root.
    for place in [file.as_path(), &file.join("below"), Path::new("/proc/broadsheet")] {
        let refused = refused_up(place, &[]);
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.err.contains(&place.display().to_string()), "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "in the way");
}

/// A limit on the size of every file stands for a full disk: unlike one, it can be had without being root.
fn up_on_a_full_disk(data: &Path) -> Platform {
    let mut command = std::process::Command::new("bash");
    let limited = r#"trap "" XFSZ; ulimit -f 200; exec "$@""#;
    command.args(["-c", limited, "bash"]).arg(tests::binary()).arg("up");
    Platform::start_command(command, data)
}

#[test]
fn on_a_full_disk_each_paper_is_taken_for_good_or_refused() {
    let data = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..60)
        .map(|number| {
            let words: Vec<String> = (0..1_000).map(|word| format!("w{number}x{word}")).collect();
            json!({"id": number.to_string(), "title": format!("Paper {number}"), "abstract": words.join(" ")})
                .to_string()
        })
        .collect();
    let lines = lines.join("\n");
    let platform = up_on_a_full_disk(data.path());
    let ingest = ["ingest", "-", "--json", "--source", "full", "--patience", "10"];
    let taken = platform.run_with_input(&ingest, &lines);
    // What has no room is sent again until the patience ends: then it is refused, or the whole run is given up.
    assert!([65, 69].contains(&taken.status), "{taken:?}");
    let report = taken.json();
    let accepted = report["accepted"].as_u64().unwrap();
    assert!(accepted > 0 && accepted < 60, "{taken:?}");
    let said = format!("{}{}", taken.out, taken.err);
    assert!(
        ["papers.accepted", "took no paper for"]
            .iter()
            .any(|why| said.contains(why)),
        "{taken:?}"
    );
    // It may still be asking the full disk; what it has acknowledged outlives a kill, too.
    platform.kill();

    let platform = Platform::start(data.path());
    let taken = platform.run_with_input(&["ingest", "-", "--json", "--wait", "--source", "full"], &lines);
    assert_eq!(
        taken.status, 0,
        "with room again all are taken, and those taken before are found: {taken:?}"
    );
    let report = taken.json();
    assert!(
        report["unchanged"].as_u64().unwrap() >= accepted,
        "nothing acknowledged was lost: {report}"
    );
    assert_eq!(platform.must(&["status", "--json"]).json()["index"]["papers"], 60);
}

#[test]
fn a_corrupt_model_is_named_and_nothing_is_left_running() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = Toolbox::from_env().model("potion-base-8M").unwrap();
    let model = folder.path().join("potion-base-8M");
    std::fs::create_dir(&model).unwrap();
    for name in ["tokenizer.json", "config.json"] {
        std::fs::copy(whole.join(name), model.join(name)).unwrap();
    }
    let weights = std::fs::read(whole.join("model.safetensors")).unwrap();
    std::fs::write(model.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    let refused = refused_up(data.path(), &[("BROADSHEET_EMBEDDING__MODEL", model.to_str().unwrap())]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let named = model.join("model.safetensors");
    assert!(refused.err.contains(&named.display().to_string()), "{refused:?}");
    assert_eq!(tests::processes_over(data.path()), Vec::<String>::new());
}

/// Speaks as much NATS as a client needs to be greeted.
fn old_nats() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut answers = stream.try_clone().unwrap();
            let info = r#"{"server_id":"old","server_name":"old","version":"2.9.10","host":"127.0.0.1","port":0,"max_payload":1048576,"headers":true,"proto":1}"#;
            write!(answers, "INFO {info}\r\n").unwrap();
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if line.starts_with("PING") {
                    answers.write_all(b"PONG\r\n").unwrap();
                }
            }
        }
    });
    url
}

#[test]
fn a_nats_server_that_is_too_old_is_refused_with_the_way_out() {
    let url = old_nats();
    let refused = services::run("ingest", &[("BROADSHEET_NATS__URL", &url), ANY_GRPC, ANY_ADMIN]);
    assert_eq!(refused.status, 1, "{refused:?}");
    for expected in ["2.9.10", &url, "at least 2.11", "brew install nats-server"] {
        assert!(refused.err.contains(expected), "{expected}: {refused:?}");
    }
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let grpc = services::run("ingest", &[("BROADSHEET_GRPC__LISTEN", &taken), ANY_ADMIN]);
    let admin = services::run("ingest", &[ANY_GRPC, ("BROADSHEET_ADMIN__LISTEN", &taken)]);
    for (refused, setting) in [(grpc, "grpc.listen"), (admin, "admin.listen")] {
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(
            refused.err.contains(setting) && refused.err.contains(&taken),
            "{refused:?}"
        );
    }
}

#[test]
fn mistakes_of_a_service_come_all_at_once_with_their_origin() {
    let refused = services::run(
        "notification",
        &[
            ("BROADSHEET_NOTIFICATION__RETRY_SECONDS", "0"),
            ("BROADSHEET_NOTIFICATION__SMTP_URL", "mail.example.org:25"),
            ("BROADSHEET_GRPC__LISTEN", "0.0.0.0:7100"),
        ],
    );
    assert_eq!(refused.status, 64, "{refused:?}");
    for expected in [
        "4 mistakes",
        "notification.retry_seconds",
        "1 to 3600",
        "smtp://",
        "grpc.keys",
        "grpc.allow_plaintext",
        "environment variable BROADSHEET_NOTIFICATION__RETRY_SECONDS",
    ] {
        assert!(refused.err.contains(expected), "{expected}: {refused:?}");
    }
    assert!(
        !refused.err.contains("mail.example.org"),
        "an address may hold a password: {refused:?}"
    );
}
