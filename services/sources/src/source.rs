//! The port: fetch a page from a cursor.
//!
//! A page may be of any size. Its items come one by one through a channel of fixed length while the page still arrives,
//! so that nobody ever holds a whole page; a slow taker makes the source read more slowly.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::merging::Identifier;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::Kind;
use crate::cursor::{Cursor, CursorError, Position, Span};
use crate::error::SourceError;
use crate::record::{Item, Record};

/// Items that wait to be taken; with the limit of a record (1 MiB) this bounds what a page holds in memory.
const WAITING_ITEMS: usize = 16;

/// Where papers come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// The name it has in the settings; papers carry it as their source.
    fn name(&self) -> &str;

    /// Its kind.
    fn kind(&self) -> Kind;

    /// A cursor at the beginning of a span: `until` empty to follow the source, both set for a back-fill.
    ///
    /// # Errors
    /// [`CursorError::Span`] for a span that this source cannot be asked for.
    fn begin(&self, span: Span) -> Result<Cursor, CursorError>;

    /// Fetches the page at the cursor and hands out its items while it arrives.
    ///
    /// The same cursor asks the same question; asking it again after an error, or after a crash, is always right and
    /// gives again what was given before.
    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError>;

    /// Asks for single papers by their ids, such as for a paper that a reader wants now. What is unknown is left out.
    async fn look_up(&self, _identifiers: &[Identifier], _outlet: Outlet) -> Result<(), SourceError> {
        Err(SourceError::NotOffered("this source cannot be asked for single papers"))
    }
}

/// What is known at the end of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where to go on, once everything on this page is safe.
    pub next: Cursor,
    /// When to go on.
    pub come_back: ComeBack,
    /// What it held.
    pub counts: Counts,
    /// Whether it was sent, or the server said that nothing has changed.
    pub freshness: Freshness,
}

impl Page {
    /// Whether the pass gave less than the source said it would, and how much. Known at its last page, where `before` is
    /// the cursor of that page.
    pub fn shortfall(&self, before: &Cursor) -> Option<u64> {
        let announced = before.pass.announced?;
        let last = matches!(self.next.position, Position::Start | Position::Done);
        let taken = before.pass.records + self.counts.all();
        (last && taken < announced).then(|| announced - taken)
    }
}

/// When to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComeBack {
    /// At once: there are more pages of this pass. The client keeps the pauses that the host asks for.
    Now,
    /// At the usual interval, and not before this time has passed.
    Later(Duration),
    /// Never: a bounded span was taken in full.
    Never,
}

/// Whether a page was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It was sent.
    Sent,
    /// The server said that it has not changed (304).
    Unchanged,
}

/// How many items of each sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Papers.
    pub papers: u64,
    /// Withdrawals.
    pub withdrawn: u64,
    /// Signals.
    pub signals: u64,
    /// Records set aside.
    pub set_aside: u64,
    /// Records that the settings leave out, such as other categories.
    pub skipped: u64,
}

impl Counts {
    /// Counts an item.
    pub fn add(&mut self, item: &Item) {
        match item {
            Item::Record(Record::Paper(_)) => self.papers += 1,
            Item::Record(Record::Withdrawn(_)) => self.withdrawn += 1,
            Item::Record(Record::Signal(_)) => self.signals += 1,
            Item::SetAside(_) => self.set_aside += 1,
        }
    }

    /// Records of the source: all but signals, which come along with a paper.
    pub fn all(&self) -> u64 {
        self.papers + self.withdrawn + self.set_aside + self.skipped
    }
}

/// Where a source puts items. It waits while the taker is busy.
#[derive(Debug, Clone)]
pub struct Outlet(mpsc::Sender<Item>);

impl Outlet {
    /// Puts an item from async code.
    ///
    /// # Errors
    /// [`SourceError::Abandoned`] when nobody listens any more.
    pub async fn put(&self, item: Item) -> Result<(), SourceError> {
        self.0.send(item).await.map_err(|_| SourceError::Abandoned)
    }

    /// Puts an item from a thread that may block.
    ///
    /// # Errors
    /// [`SourceError::Abandoned`] when nobody listens any more.
    pub fn put_blocking(&self, item: Item) -> Result<(), SourceError> {
        self.0.blocking_send(item).map_err(|_| SourceError::Abandoned)
    }
}

/// A page that is being read: its items first, then how it ended.
#[derive(Debug)]
pub struct Reading {
    items: mpsc::Receiver<Item>,
    end: JoinHandle<Result<Page, SourceError>>,
}

impl Reading {
    /// Begins to read the page at a cursor in a task of its own. Dropping the reading ends the task.
    pub fn begin(source: Arc<dyn Source>, cursor: Cursor) -> Self {
        let (sender, items) = mpsc::channel(WAITING_ITEMS);
        let end = tokio::spawn(async move { source.fetch(&cursor, Outlet(sender)).await });
        Self { items, end }
    }

    /// Asks for single papers; [`Reading::next`] gives them, and the end says nothing but success.
    pub fn look_up(source: Arc<dyn Source>, identifiers: Vec<Identifier>) -> LookUp {
        let (sender, items) = mpsc::channel(WAITING_ITEMS);
        let end = tokio::spawn(async move { source.look_up(&identifiers, Outlet(sender)).await });
        LookUp { items, end }
    }

    /// The next item; `None` behind the last one, or where the page broke off.
    pub async fn next(&mut self) -> Option<Item> {
        self.items.recv().await
    }

    /// How the page ended. To be asked behind the last item; items that were not taken are lost.
    ///
    /// # Errors
    /// Why the page could not be read to its end.
    pub async fn finish(mut self) -> Result<Page, SourceError> {
        self.items.close();
        joined((&mut self.end).await)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.end.abort();
    }
}

/// Single papers that are being asked for.
#[derive(Debug)]
pub struct LookUp {
    items: mpsc::Receiver<Item>,
    end: JoinHandle<Result<(), SourceError>>,
}

impl LookUp {
    /// The next item; `None` behind the last one.
    pub async fn next(&mut self) -> Option<Item> {
        self.items.recv().await
    }

    /// Whether all was well.
    pub async fn finish(mut self) -> Result<(), SourceError> {
        self.items.close();
        joined((&mut self.end).await)
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.end.abort();
    }
}

/// A task that panicked or was stopped is a page that broke off; the source itself goes on.
fn joined<T>(end: Result<Result<T, SourceError>, tokio::task::JoinError>) -> Result<T, SourceError> {
    end.unwrap_or_else(|error| {
        Err(SourceError::Malformed {
            byte: 0,
            why: format!("reading it failed: {error}"),
        })
    })
}
