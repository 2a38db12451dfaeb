//! The port: fetch a page of a source from a cursor.
//!
//! A page may be of any size. Its items come one by one through a bounded channel while the page still arrives, so nobody
//! ever holds a whole page, and a slow consumer slows down the source.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::merging::Identifier;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cursor::{Cursor, CursorError, CursorPosition, DateRange};
use crate::error::SourceError;
use crate::kind::SourceKind;
use crate::record::PageItem;

/// Items that wait to be consumed; with the limit of a record (1 MiB) this bounds what a page holds in memory.
const WAITING_ITEMS: usize = 16;

/// Where papers come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its name in the settings; papers carry it as their source.
    fn name(&self) -> &str;

    /// Its kind.
    fn kind(&self) -> SourceKind;

    /// A cursor at the beginning of a range: without `until` to follow the source, with both ends for a back-fill.
    ///
    /// # Errors
    /// [`CursorError::Range`] for a range that this source cannot be asked for.
    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError>;

    /// Fetches the page at the cursor and sends its items while it arrives.
    ///
    /// The same cursor makes the same request; repeating it after an error or a crash is always correct and gives the same
    /// items again.
    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError>;

    /// Fetches single papers by their ids. Unknown ones are left out.
    async fn look_up(&self, _identifiers: &[Identifier], _items: ItemSender) -> Result<(), SourceError> {
        Err(SourceError::NotOffered("this source cannot be asked for single papers"))
    }
}

/// What is known at the end of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSummary {
    /// Where to go on, once everything on this page is safe.
    pub next: Cursor,
    /// When to go on.
    pub next_fetch: NextFetch,
    /// How many items there were of each kind.
    pub counts: RecordCounts,
    /// Whether the page had changed since it was last fetched.
    pub change: ChangeStatus,
}

impl PageSummary {
    /// A page that others of the same pass follow.
    pub(crate) fn more(next: Cursor, counts: RecordCounts, change: ChangeStatus) -> Self {
        Self {
            next,
            next_fetch: NextFetch::Now,
            counts,
            change,
        }
    }

    /// The last page of a pass. The next pass begins at the newest datestamp less the overlap; a bounded range is done.
    pub(crate) fn end_of_pass(cursor: &Cursor, overlap: SignedDuration, counts: RecordCounts) -> Self {
        let next = cursor.pass_ended(overlap);
        let next_fetch = if next.is_done() {
            NextFetch::Never
        } else {
            NextFetch::Later(Duration::ZERO)
        };
        Self {
            next,
            next_fetch,
            counts,
            change: ChangeStatus::Changed,
        }
    }

    /// The last page of a round over addresses or files, which begins anew at the first of them after `pause`.
    pub(crate) fn end_of_round(cursor: Cursor, pause: Duration, counts: RecordCounts, change: ChangeStatus) -> Self {
        Self {
            next: cursor.rewound(),
            next_fetch: NextFetch::Later(pause),
            counts,
            change,
        }
    }

    /// How many records fewer than announced the pass gave. Known at its last page; `before` is the cursor of that page.
    pub fn shortfall(&self, before: &Cursor) -> Option<u64> {
        let announced = before.pass.announced?;
        let last = matches!(self.next.position, CursorPosition::Start | CursorPosition::Done);
        let received = before.pass.records + self.counts.records();
        (last && received < announced).then(|| announced - received)
    }
}

/// When to fetch the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextFetch {
    /// At once: the pass has more pages. The client keeps the pauses that the host asks for.
    Now,
    /// At the usual interval, but not before this time has passed.
    Later(Duration),
    /// Never: a bounded range was read in full.
    Never,
}

/// Whether a page had changed since it was last fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeStatus {
    /// It was sent.
    Changed,
    /// The server says that it has not changed (304), or there was nothing to read.
    Unchanged,
}

/// How many items of each kind a page had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordCounts {
    /// Papers.
    pub papers: u64,
    /// Withdrawals.
    pub withdrawn: u64,
    /// Signals.
    pub signals: u64,
    /// Quarantined records.
    pub quarantined: u64,
    /// Records that the settings leave out, such as other categories.
    pub skipped: u64,
}

impl RecordCounts {
    /// Counts an item.
    pub fn add(&mut self, item: &PageItem) {
        match item {
            PageItem::Paper(_) => self.papers += 1,
            PageItem::Withdrawal(_) => self.withdrawn += 1,
            PageItem::Signal(_) => self.signals += 1,
            PageItem::Quarantined(_) => self.quarantined += 1,
        }
    }

    /// Records of the source: everything but signals, which come with a paper.
    pub fn records(&self) -> u64 {
        self.papers + self.withdrawn + self.quarantined + self.skipped
    }

    /// The same counts for a page of so many records: those without an item were skipped.
    #[must_use]
    pub(crate) fn out_of(self, records: u64) -> Self {
        let skipped = records.saturating_sub(self.records());
        Self { skipped, ..self }
    }
}

/// Where a source sends items. It waits while the consumer is busy.
#[derive(Debug, Clone)]
pub struct ItemSender(mpsc::Sender<PageItem>);

impl ItemSender {
    /// Sends an item from async code.
    ///
    /// # Errors
    /// [`SourceError::Abandoned`] when nobody listens any more.
    pub async fn send(&self, item: PageItem) -> Result<(), SourceError> {
        self.0.send(item).await.map_err(|_| SourceError::Abandoned)
    }

    /// Sends an item from a thread that may block.
    ///
    /// # Errors
    /// [`SourceError::Abandoned`] when nobody listens any more.
    pub fn send_blocking(&self, item: PageItem) -> Result<(), SourceError> {
        self.0.blocking_send(item).map_err(|_| SourceError::Abandoned)
    }
}

/// Items that a source sends from a task of its own, and how that task ended. Dropping it ends the task.
#[derive(Debug)]
pub struct ItemReader<T> {
    items: mpsc::Receiver<PageItem>,
    task: JoinSet<Result<T, SourceError>>,
}

/// Reads the page at a cursor.
pub fn read_page(source: Arc<dyn Source>, cursor: Cursor) -> ItemReader<PageSummary> {
    ItemReader::start(move |items| async move { source.fetch(&cursor, items).await })
}

/// Reads single papers; see [`Source::look_up`].
pub fn look_up(source: Arc<dyn Source>, identifiers: Vec<Identifier>) -> ItemReader<()> {
    ItemReader::start(move |items| async move { source.look_up(&identifiers, items).await })
}

impl<T: Send + 'static> ItemReader<T> {
    fn start<F>(work: impl FnOnce(ItemSender) -> F) -> Self
    where
        F: Future<Output = Result<T, SourceError>> + Send + 'static,
    {
        let (sender, items) = mpsc::channel(WAITING_ITEMS);
        let mut task = JoinSet::new();
        task.spawn(work(ItemSender(sender)));
        Self { items, task }
    }

    /// The next item; `None` after the last one, or where reading broke off.
    pub async fn next(&mut self) -> Option<PageItem> {
        self.items.recv().await
    }

    /// How reading ended. Call it after the last item: items not consumed are lost.
    ///
    /// # Errors
    /// Why the source could not be read to the end. A panic is an error, too: the process and the source itself go on.
    pub async fn finish(mut self) -> Result<T, SourceError> {
        self.items.close();
        match self.task.join_next().await {
            Some(Ok(end)) => end,
            Some(Err(error)) => Err(SourceError::Panicked(error.to_string())),
            None => Err(SourceError::Abandoned),
        }
    }
}
