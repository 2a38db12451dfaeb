//! The pinned servers and the model are fetched for real, and what is damaged in the cache is not used.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use standalone::Toolbox;

#[test]
fn the_model_is_there_complete() {
    let folder = Toolbox::from_env().model("potion-base-8M").unwrap();
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
}

#[test]
fn servers_named_or_installed_or_fetched_can_be_run() {
    let toolbox = Toolbox::from_env();
    for server in [toolbox.nats_server().unwrap(), toolbox.redis_server().unwrap()] {
        assert!(
            Command::new(&server)
                .arg("--version")
                .output()
                .unwrap()
                .status
                .success(),
            "{}",
            server.display()
        );
    }
}

#[test]
fn a_damaged_file_in_the_cache_is_fetched_anew() {
    let shared = Toolbox::with_cache(Toolbox::from_env().cache().to_owned())
        .redis_server()
        .unwrap();
    let name = shared.parent().and_then(Path::file_name).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let copy = temporary.path().join(name).join("valkey-server");
    fs::create_dir(copy.parent().unwrap()).unwrap();
    let mut bytes = fs::read(&shared).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&copy, &bytes).unwrap();

    let repaired = Toolbox::with_cache(temporary.path().to_owned()).redis_server().unwrap();
    assert_eq!(repaired, copy);
    assert!(
        fs::read(&repaired).unwrap() == fs::read(&shared).unwrap(),
        "the repaired file is not the pinned one"
    );
    assert!(
        Command::new(&repaired)
            .arg("--version")
            .output()
            .unwrap()
            .status
            .success()
    );
    let leavings = fs::read_dir(temporary.path()).unwrap().filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("fetching-")
    });
    assert_eq!(leavings.count(), 0);
}

#[test]
fn of_many_at_once_one_fetches_and_all_are_served() {
    let temporary = tempfile::tempdir().unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let servers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lines = Arc::clone(&lines);
                let toolbox = Toolbox::with_cache(temporary.path().to_owned())
                    .on_progress(move |line| lines.lock().unwrap().push(line.to_owned()));
                scope.spawn(move || toolbox.redis_server().unwrap())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(servers.iter().all(|server| *server == servers[0]), "{servers:?}");
    let lines = lines.lock().unwrap();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("fetching valkey-server 9.1.2"))
            .count(),
        1,
        "{lines:?}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_refused_by_name() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Toolbox::with_cache(file.join("cache"))
        .nats_server()
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("file/cache") && refused.contains("BROADSHEET_CACHE"),
        "{refused}"
    );
}
