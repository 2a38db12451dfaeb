//! A folder in maildir form. A mail that is sent again replaces itself.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::message::Writer;
use super::{Outgoing, SendError, Transport};

/// The folder.
pub struct Maildir {
    writer: Writer,
    folder: PathBuf,
}

impl Maildir {
    /// Makes the folder.
    pub fn new(folder: &Path, writer: Writer) -> Result<Self, String> {
        for part in ["tmp", "new", "cur"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(Self {
            writer,
            folder: folder.to_owned(),
        })
    }
}

#[async_trait]
impl Transport for Maildir {
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError> {
        let message = self.writer.write(mail)?.to_text();
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
        let written = tokio::task::spawn_blocking(move || {
            std::fs::write(&tmp, message)?;
            std::fs::File::open(&tmp)?.sync_all()?;
            std::fs::rename(&tmp, folder.join(name))?;
            std::fs::File::open(&folder)?.sync_all()
        });
        let written = written.await.map_err(|error| SendError::Transient(error.to_string()))?;
        written.map_err(|error| SendError::Transient(format!("maildir {}: {error}", self.folder.display())))
    }
}
