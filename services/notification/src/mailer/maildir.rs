//! A maildir instead of a mail server. A mail that is sent again replaces itself.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use common::tasks;

use super::message::MessageBuilder;
use super::{EncodedMail, SendError, Transport};

/// The folder.
pub struct MaildirTransport {
    builder: MessageBuilder,
    folder: PathBuf,
}

impl MaildirTransport {
    /// Makes the folder.
    pub fn new(folder: &Path, builder: MessageBuilder) -> Result<Self, String> {
        for part in ["tmp", "new", "cur"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(Self {
            builder,
            folder: folder.to_owned(),
        })
    }
}

#[async_trait]
impl Transport for MaildirTransport {
    async fn send(&self, mail: &EncodedMail) -> Result<(), SendError> {
        let message = self.builder.build(mail)?.to_text();
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '@') {
                c
            } else {
                '_'
            }
        };
        let name: String = mail.message_id.trim_matches(['<', '>']).chars().map(safe).collect();
        // Two attempts at the same mail write files of their own, and the later rename replaces the earlier one.
        let unique = format!("{name}.{}", uuid::Uuid::new_v4().simple());
        let (tmp, folder) = (self.folder.join("tmp").join(unique), self.folder.join("new"));
        let written = tasks::blocking(move || {
            std::fs::write(&tmp, message)?;
            std::fs::File::open(&tmp)?.sync_all()?;
            std::fs::rename(&tmp, folder.join(name))?;
            std::fs::File::open(&folder)?.sync_all()
        });
        let written = written.await;
        written.map_err(|error| SendError::Transient(format!("maildir {}: {error}", self.folder.display())))
    }
}
