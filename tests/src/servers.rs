//! Real NATS and Redis of a test's own, which outlive the platform or the services under test.

use std::path::Path;

use standalone::{Children, DataFolder, Programs, Toolbox};

use crate::Platform;

/// A connection to NATS as the user that a URL names.
pub async fn nats_client(url: &str) -> async_nats::Client {
    let (login, address) = url.strip_prefix("nats://").unwrap().rsplit_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    options.connect(address).await.unwrap()
}

/// The servers, over a folder of their own.
pub struct Servers {
    /// Where they are.
    pub children: Children,
    folder: tempfile::TempDir,
}

impl Servers {
    /// Starts both and returns when they answer.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = tokio::task::spawn_blocking(|| {
            let toolbox = Toolbox::from_env();
            Programs {
                nats: Some(toolbox.nats_server().unwrap()),
                redis: Some(toolbox.redis_server().unwrap()),
                qdrant: None,
            }
        });
        let data = DataFolder::open(folder.path()).unwrap();
        let children = Children::start(&data, programs.await.unwrap(), None).await.unwrap();
        Self { children, folder }
    }

    /// `nats://user:password@…`
    pub fn nats(&self) -> String {
        self.children.nats_url().unwrap()
    }

    /// A connection to NATS.
    pub async fn nats_client(&self) -> async_nats::Client {
        nats_client(&self.nats()).await
    }

    /// `redis://:password@…`
    pub fn redis(&self) -> String {
        self.children.redis_url().unwrap()
    }

    /// A platform over them, ready.
    pub async fn platform(&self, folder: &Path) -> Platform {
        let (nats, redis, folder) = (self.nats(), self.redis(), folder.to_owned());
        let starting = tokio::task::spawn_blocking(move || {
            let environment = [
                ("BROADSHEET_NATS__URL", nats.as_str()),
                ("BROADSHEET_NOTIFICATION__REDIS_URL", redis.as_str()),
            ];
            Platform::start_with(&folder, &environment)
        });
        starting.await.unwrap()
    }

    /// Names of the files of both that hold a text, in their folder.
    pub fn files_with(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        search(self.folder.path(), text.as_bytes(), &mut found);
        found
    }

    /// Ends both.
    pub async fn stop(self) {
        self.children.stop().await;
        drop(self.folder);
    }
}

/// Files come and go while servers write.
fn search(folder: &Path, text: &[u8], found: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            search(&path, text, found);
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|part| part == text)
        {
            found.push(path.display().to_string());
        }
    }
}
