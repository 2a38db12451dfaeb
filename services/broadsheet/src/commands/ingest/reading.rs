//! Reads the inputs one after another, on a thread that may block, and passes on what is in them.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::clock::Clock;
use common::tasks;
use domain::{LinkKind, Submission};
use proto::convert::to_wire_time;
use proto::ingest::v1::PaperSubmission;
use proto::papers::v1::Author;
use sources::files::inputs::{FileInput, request};
use sources::files::{Compression, FileEvent, FileFormat, FileOptions, FilePage, FileSummary, UnreadFields, read};
use sources::{HttpConfig, PageContext, PageItem, RecordLocation, SourceClient, SourceError, SourceKind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::IngestJob;
use super::progress_file::IngestPosition;

/// Events that wait to be taken; with the limit of a record (2 MiB) this bounds what is held.
const WAITING_EVENTS: usize = 32;

/// What is read.
#[derive(Debug)]
pub enum ReadEvent {
    /// An input begins, and what it is.
    Format(usize, FileFormat, Compression),
    /// A record of an input.
    Record(ReadRecord),
    /// An input has ended.
    End(usize, Result<UnreadFields, SourceError>),
}

/// A record that was read.
#[derive(Debug)]
pub struct ReadRecord {
    /// Of which input, and how many records of it there are with this one.
    pub position: IngestPosition,
    /// Where it is in its file.
    pub location: RecordLocation,
    /// What it is.
    pub content: RecordContent,
}

/// What a record is.
#[derive(Debug)]
pub enum RecordContent {
    /// A paper.
    Paper(Box<PaperSubmission>),
    /// A paper that was withdrawn: its id and the reason.
    Withdrawal(String, String),
    /// Nothing that can be used, and why.
    Unusable(String),
}

/// The inputs while they are read. Dropping it ends that.
pub struct FileReading {
    events: mpsc::Receiver<ReadEvent>,
    bytes: Arc<AtomicU64>,
    total: Option<u64>,
    _task: JoinSet<()>,
}

impl FileReading {
    /// Begins at a position.
    pub fn start(job: &IngestJob, begin: IngestPosition, clock: &Clock) -> Self {
        let (sender, events) = mpsc::channel(WAITING_EVENTS);
        let bytes = Arc::new(AtomicU64::new(0));
        let reader = InputReader {
            options: job.options.clone(),
            context: PageContext::new(&job.source, SourceKind::Files, clock.now()),
            sender,
            bytes: Arc::clone(&bytes),
            clock: clock.clone(),
        };
        let inputs: Vec<FileInput> = job.inputs[begin.input.min(job.inputs.len())..].to_vec();
        let sizes = inputs.iter().map(|input| Some(input.path()?.metadata().ok()?.len()));
        let total = sizes.sum();
        let mut task = JoinSet::new();
        task.spawn(async move {
            for (offset, input) in inputs.into_iter().enumerate() {
                let skip = if offset == 0 { begin.records } else { 0 };
                let number = begin.input + offset;
                let ended = reader.read(number, skip, input).await;
                if reader.sender.send(ReadEvent::End(number, ended)).await.is_err() {
                    return;
                }
            }
        });
        Self {
            events,
            bytes,
            total,
            _task: task,
        }
    }

    /// What comes next; `None` at the end.
    pub async fn next(&mut self) -> Option<ReadEvent> {
        self.events.recv().await
    }

    /// Bytes of the files that were read, as they lie on the disk.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of all files, if they are known.
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

#[derive(Clone)]
struct InputReader {
    options: FileOptions,
    context: PageContext,
    sender: mpsc::Sender<ReadEvent>,
    bytes: Arc<AtomicU64>,
    clock: Clock,
}

impl InputReader {
    async fn read(&self, number: usize, skip: u64, input: FileInput) -> Result<UnreadFields, SourceError> {
        let this = self.clone();
        match input {
            FileInput::Remote(url) => {
                let client = client(self.clock.clone())?;
                let response = client.get(&request(&url)).await?;
                let body = response.body;
                let parsing = tasks::blocking(move || this.parse(number, skip, url.path(), body.reader));
                // The parser drops its reader when it is finished, and with that the transfer ends.
                tokio::join!(parsing, body.transfer).0
            }
            FileInput::Standard => tasks::blocking(move || this.parse(number, skip, "", std::io::stdin().lock())).await,
            FileInput::Named(path) | FileInput::Found(path) => {
                let name = path.display().to_string();
                let file = std::fs::File::open(&path).map_err(|error| SourceError::File {
                    path: name.clone(),
                    cause: error.to_string(),
                })?;
                tasks::blocking(move || this.parse(number, skip, &name, file)).await
            }
        }
    }

    fn parse(&self, number: usize, skip: u64, path: &str, file: impl Read) -> Result<UnreadFields, SourceError> {
        let file = CountedReader {
            inner: file,
            bytes: &self.bytes,
        };
        let mut records = 0;
        let mut pass = |event| {
            let event = match event {
                FileEvent::Format(format, compression) => ReadEvent::Format(number, format, compression),
                FileEvent::Item(location, item) => {
                    let Some(content) = content(item) else { return Ok(()) };
                    records += 1;
                    if records <= skip {
                        return Ok(());
                    }
                    let position = IngestPosition { input: number, records };
                    ReadEvent::Record(ReadRecord {
                        position,
                        location,
                        content,
                    })
                }
            };
            self.sender.blocking_send(event).map_err(|_| SourceError::Abandoned)
        };
        let summary: FileSummary = read(file, path, FilePage::WHOLE, &self.options, &self.context, &mut pass)?;
        Ok(summary.unread)
    }
}

/// Counts are no part of a submission.
fn content(item: PageItem) -> Option<RecordContent> {
    Some(match item {
        PageItem::Paper(record) => RecordContent::Paper(Box::new(wire(record.submission))),
        PageItem::Withdrawal(withdrawal) => RecordContent::Withdrawal(withdrawal.id.to_string(), withdrawal.reason),
        PageItem::Quarantined(record) => RecordContent::Unusable(record.reason),
        PageItem::Signal(_) => return None,
    })
}

fn wire(paper: Submission) -> PaperSubmission {
    let link = |wanted: LinkKind| {
        let mut links = paper.links.iter();
        let found = links.find(|(kind, _)| *kind == wanted);
        found.map(|(_, url)| url.clone()).unwrap_or_default()
    };
    PaperSubmission {
        url: link(LinkKind::Abstract),
        pdf_url: link(LinkKind::Pdf),
        code_url: link(LinkKind::Code),
        id: paper.id,
        title: paper.title,
        r#abstract: paper.abstract_text,
        authors: paper.authors.iter().map(ToString::to_string).collect(),
        author_names: paper.authors.iter().map(Author::from).collect(),
        categories: paper.categories,
        published_time: paper.published.map(to_wire_time),
        updated_time: paper.updated.map(to_wire_time),
        source: paper.source,
        language: paper.language,
    }
}

/// A client for single files. The person who names an address may have meant one of their own network, and there is no
/// operator to be reached.
fn client(clock: Clock) -> Result<SourceClient, SourceError> {
    let config = HttpConfig {
        contact: "https://localhost/".to_owned(),
        networks: "0.0.0.0/0, ::/0".to_owned(),
        total_timeout_seconds: 86_400,
        max_response_bytes: 1 << 40,
        ..HttpConfig::default()
    };
    SourceClient::new(&config, clock).map_err(|error| SourceError::Protocol {
        code: "client".to_owned(),
        text: error.to_string(),
    })
}

/// Counts the bytes of a file.
struct CountedReader<'a, R> {
    inner: R,
    bytes: &'a AtomicU64,
}

impl<R: Read> Read for CountedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
