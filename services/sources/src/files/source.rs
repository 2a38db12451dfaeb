//! The source of kind `files`: pages of files, folders and URLs, one after another.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use common::clock::Clock;

use super::inputs::{FileInput, request};
use super::{FileEvent, FilePage, FileProgress, FileSummary, FilesSettings, read};
use crate::cursor::{Cursor, CursorError, CursorPosition, DateRange, Validator};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::fetching::{read_blocking, read_response};
use crate::http::SourceClient;
use crate::interpretation::Sink;
use crate::kind::SourceKind;
use crate::source::{ChangeStatus, ItemSender, PageSummary, RecordCounts, Source};

/// How much larger the pages of a packed file are: each begins by unpacking all before it.
const PACKED_PAGES: u64 = 50;

/// Files.
pub struct FilesSource {
    name: String,
    settings: FilesSettings,
    client: SourceClient,
}

/// A page of one file that was read.
struct ReadPage {
    progress: FileProgress,
    counts: RecordCounts,
    validator: Option<Validator>,
    change: ChangeStatus,
}

impl ReadPage {
    const UNCHANGED: Self = Self {
        progress: FileProgress::Finished,
        counts: RecordCounts {
            papers: 0,
            withdrawn: 0,
            signals: 0,
            quarantined: 0,
            skipped: 0,
        },
        validator: None,
        change: ChangeStatus::Unchanged,
    };
}

impl FilesSource {
    /// By its settings. URLs are fetched by the client, whose clock tells when a page was read.
    pub fn new(name: &str, settings: &FilesSettings, client: &SourceClient) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }

    fn clock(&self) -> &Clock {
        self.client.clock()
    }

    /// Every file, in order.
    fn inputs(&self) -> Result<Vec<FileInput>, SourceError> {
        let mut inputs = Vec::new();
        for path in &self.settings.paths {
            let found = FileInput::of(path).map_err(|error| unreadable(path, &error))?;
            if found == [FileInput::Standard] {
                return Err(unreadable(
                    path,
                    &io::Error::other("a source cannot read standard input"),
                ));
            }
            inputs.extend(found);
        }
        Ok(inputs)
    }

    async fn read(
        &self,
        input: &FileInput,
        byte: u64,
        known: Option<Validator>,
        items: ItemSender,
    ) -> Result<ReadPage, SourceError> {
        let read = match input {
            FileInput::Remote(url) => {
                let mut request = request(url);
                request.validator = known;
                self.read_remote(&request, items).await
            }
            input => self.read_file(&input.to_string(), byte, known, items).await,
        };
        match (input, read) {
            // A folder may hold other things, too.
            (FileInput::Found(path), Err(SourceError::UnexpectedFormat { found, .. })) => {
                tracing::warn!(source = %self.name, path = %path.display(), %found, "this file of the folder is left out");
                Ok(ReadPage::UNCHANGED)
            }
            (_, read) => read,
        }
    }

    async fn read_file(
        &self,
        path: &str,
        byte: u64,
        known: Option<Validator>,
        items: ItemSender,
    ) -> Result<ReadPage, SourceError> {
        let (file, validator) = open(Path::new(path)).map_err(|error| unreadable(path, &error))?;
        if byte == 0 && known.as_ref() == Some(&validator) {
            return Ok(ReadPage::UNCHANGED);
        }
        let (summary, counts) = read_blocking(file, items, self.parser(path, byte, self.page_size(path))).await?;
        Ok(self.page(path, &summary, counts, Some(validator)))
    }

    async fn read_remote(
        &self,
        request: &crate::http::SourceRequest,
        items: ItemSender,
    ) -> Result<ReadPage, SourceError> {
        let response = self.client.get(request).await?;
        if response.is_unchanged() {
            return Ok(ReadPage::UNCHANGED);
        }
        let validator = response.validator();
        let path = request.url.path().to_owned();
        let parser = self.parser(&path, 0, u64::MAX);
        let (summary, counts) = read_response(response, items, |body, _, sink| parser(body, sink)).await?;
        Ok(self.page(&path, &summary, counts, validator))
    }

    /// Records a page of a file.
    fn page_size(&self, path: &str) -> u64 {
        let packed = [".gz", ".zst", ".xz"].iter().any(|ending| path.ends_with(ending));
        u64::from(self.settings.page_size) * if packed { PACKED_PAGES } else { 1 }
    }

    /// What reads a page of a file from a byte on.
    fn parser<R: Read + 'static>(
        &self,
        path: &str,
        byte: u64,
        most: u64,
    ) -> impl FnOnce(R, &mut Sink<'_>) -> Result<FileSummary, SourceError> + Send + 'static {
        let context = PageContext::new(&self.name, SourceKind::Files, self.clock().now());
        let options = self.settings.options();
        let path = path.to_owned();
        move |file, sink| {
            let page = FilePage { from: byte, most };
            let mut items = |event| match event {
                FileEvent::Item(_, item) => sink(item),
                FileEvent::Format(format, compression) => {
                    tracing::debug!(%path, format = format.as_str(), %compression, "reading a file");
                    Ok(())
                }
            };
            read(file, &path, page, &options, &context, &mut items)
        }
    }

    fn page(&self, path: &str, summary: &FileSummary, counts: RecordCounts, validator: Option<Validator>) -> ReadPage {
        if !summary.unread.is_empty() {
            tracing::info!(source = %self.name, %path, fields = %summary.unread, "fields were not understood");
        }
        ReadPage {
            progress: summary.progress,
            counts,
            validator,
            change: ChangeStatus::Changed,
        }
    }
}

#[async_trait]
impl Source for FilesSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Files
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        if range.until.is_some() {
            let why = "files are read whole and cannot be asked for a range of dates";
            return Err(CursorError::Range(why.into()));
        }
        Cursor::start(SourceKind::Files, DateRange::default())
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        cursor.expect(SourceKind::Files)?;
        let inputs = self.inputs()?;
        let names: Vec<String> = inputs.iter().map(FileInput::to_string).collect();
        let (number, byte) = position(cursor, &names)?;
        let mut next = cursor.clone();
        next.validators.retain(|path, _| names.contains(path));
        let read = match inputs.get(number) {
            Some(input) => {
                let known = cursor.validators.get(&names[number]).cloned();
                self.read(input, byte, known, items).await?
            }
            None => ReadPage::UNCHANGED,
        };
        next.pass.pages += 1;
        next.pass.records += read.counts.records();
        let (file, byte) = match read.progress {
            FileProgress::More(byte) => (number, byte),
            FileProgress::Finished => (number + 1, 0),
        };
        if let (FileProgress::Finished, Some(name), ChangeStatus::Changed) =
            (read.progress, names.get(number), read.change)
        {
            next.set_validator(name, read.validator);
        }
        let Some(path) = names.get(file) else {
            return Ok(PageSummary::end_of_round(
                next,
                Duration::ZERO,
                read.counts,
                read.change,
            ));
        };
        next.position = CursorPosition::Byte {
            file: file as u64,
            byte,
            path: path.clone(),
        };
        Ok(PageSummary::more(next, read.counts, read.change))
    }
}

/// Which file a cursor is at, and the byte. A file that has another number now is found by its name.
fn position(cursor: &Cursor, names: &[String]) -> Result<(usize, u64), SourceError> {
    match &cursor.position {
        CursorPosition::Start => Ok((0, 0)),
        CursorPosition::Byte { file, byte, path } => {
            let file = usize::try_from(*file).unwrap_or(usize::MAX);
            if path.is_empty() || names.get(file) == Some(path) {
                return Ok((file, *byte));
            }
            let moved = names.iter().position(|name| name == path);
            Ok(moved.map_or((file.min(names.len()), 0), |file| (file, *byte)))
        }
        other => Err(other.unexpected().into()),
    }
}

/// A file, with its size and modification time as what tells whether it has changed.
fn open(path: &Path) -> io::Result<(File, Validator)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let validator = Validator {
        etag: Some(format!(
            "{}-{}",
            metadata.len(),
            modified.unwrap_or_default().as_nanos()
        )),
        last_modified: None,
    };
    Ok((file, validator))
}

fn unreadable(path: &str, error: &io::Error) -> SourceError {
    SourceError::File {
        path: path.to_owned(),
        cause: error.to_string(),
    }
}
