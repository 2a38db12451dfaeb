//! Papers that have no answer yet: which of them are to be sent, and when again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use common::clock::Clock;
use prost::Message as _;
use proto::ingest::v1::{PaperSubmission, SubmitPapersRequest};
use sources::RecordLocation;

use super::progress_file::IngestPosition;

/// Papers without an answer at the same time.
const MAX_PENDING: usize = 512;
/// Bytes of them.
const MAX_PENDING_BYTES: usize = 32 << 20;
/// Times that one paper is submitted.
const MAX_ATTEMPTS: u32 = 20;
/// Pause before a second attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A paper without an answer.
pub struct PendingPaper {
    /// Of which input, and how many records of it there are with this one.
    pub position: IngestPosition,
    /// Where it is in its file.
    pub location: RecordLocation,
    paper: PaperSubmission,
    bytes: usize,
    attempts: u32,
}

/// All of them, by numbers that link them to their answers.
pub struct PendingPapers {
    papers: BTreeMap<u64, PendingPaper>,
    bytes: usize,
    unsent: VecDeque<u64>,
    /// When which of them are to be sent again.
    paused: BTreeSet<(Instant, u64)>,
    next: u64,
    clock: Clock,
    patience: Duration,
    /// When the platform last took something, or began to be asked.
    last_taken: Instant,
}

impl PendingPapers {
    /// None so far. `patience` is how long the platform may take nothing.
    pub fn new(patience: Duration, clock: &Clock) -> Self {
        Self {
            papers: BTreeMap::new(),
            bytes: 0,
            unsent: VecDeque::new(),
            paused: BTreeSet::new(),
            next: 0,
            clock: clock.clone(),
            patience,
            last_taken: clock.instant(),
        }
    }

    /// Whether every paper has its answer.
    pub fn is_empty(&self) -> bool {
        self.papers.is_empty()
    }

    /// Whether one more may be added.
    pub fn has_room(&self) -> bool {
        self.papers.len() < MAX_PENDING && self.bytes < MAX_PENDING_BYTES
    }

    /// Where the first paper without an answer is.
    pub fn first_position(&self) -> Option<IngestPosition> {
        let (_, first) = self.papers.first_key_value()?;
        Some(first.position)
    }

    /// Adds a paper, to be sent.
    pub fn add(&mut self, position: IngestPosition, location: RecordLocation, paper: PaperSubmission) {
        self.begin_to_ask();
        let pending = PendingPaper {
            position,
            location,
            bytes: paper.encoded_len(),
            paper,
            attempts: 0,
        };
        self.bytes += pending.bytes;
        self.papers.insert(self.next, pending);
        self.unsent.push_back(self.next);
        self.next += 1;
    }

    /// The platform is asked for something. Its silence counts from now if nothing was asked before.
    pub fn begin_to_ask(&mut self) {
        if self.papers.is_empty() {
            self.last_taken = self.clock.instant();
        }
    }

    /// Whether any paper is to be sent now.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The next paper to send.
    pub fn next_request(&mut self) -> Option<SubmitPapersRequest> {
        let key = self.unsent.pop_front()?;
        let paper = self.papers.get(&key)?.paper.clone();
        Some(SubmitPapersRequest {
            reference: key.to_string(),
            paper: Some(paper),
        })
    }

    /// All of them are to be sent, over a new stream.
    pub fn send_all_again(&mut self) {
        self.paused.clear();
        self.unsent = self.papers.keys().copied().collect();
    }

    /// Takes out the paper that an answer is about. `None` for a second answer to one that was sent again.
    pub fn take(&mut self, reference: &str) -> Option<PendingPaper> {
        let pending = self.papers.remove(&reference.parse().ok()?)?;
        self.bytes -= pending.bytes;
        Some(pending)
    }

    /// The platform took something.
    pub fn note_taken(&mut self) {
        self.last_taken = self.clock.instant();
    }

    /// Puts back a paper for which the platform had no room, to be sent after a pause. False where that was tried often
    /// enough.
    pub fn put_back(&mut self, reference: &str, mut pending: PendingPaper) -> bool {
        pending.attempts += 1;
        let Ok(key) = reference.parse() else { return false };
        if pending.attempts >= MAX_ATTEMPTS || self.is_out_of_patience() {
            return false;
        }
        self.paused
            .insert((self.clock.instant() + pause(pending.attempts), key));
        self.bytes += pending.bytes;
        self.papers.insert(key, pending);
        true
    }

    /// Whether the platform has taken nothing for too long.
    pub fn is_out_of_patience(&self) -> bool {
        self.clock.elapsed(self.last_taken) > self.patience
    }

    /// How long until a paper is to be sent again, or the platform has been silent for too long.
    pub fn until_due(&self) -> Option<Duration> {
        if let Some((due, _)) = self.paused.first() {
            return Some(due.saturating_duration_since(self.clock.instant()));
        }
        let silent = self.clock.elapsed(self.last_taken);
        (!self.papers.is_empty()).then(|| (self.patience + FIRST_PAUSE).saturating_sub(silent))
    }

    /// Sends again what is due. False where the platform is silent instead.
    pub fn resume_due(&mut self) -> bool {
        let now = self.clock.instant();
        let was_paused = !self.paused.is_empty();
        while let Some(&(due, key)) = self.paused.first()
            && due <= now
        {
            self.paused.pop_first();
            self.unsent.push_back(key);
        }
        was_paused || !self.is_out_of_patience()
    }
}

/// The pause before the next of several attempts.
pub fn pause(attempts: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_are_sent_until_they_are_answered() {
        let (clock, time) = Clock::manual("2026-12-01T00:00:00Z".parse().expect("a timestamp"));
        let mut pending = PendingPapers::new(Duration::from_mins(1), &clock);
        let at = |records| IngestPosition { input: 0, records };
        for records in 1..=3 {
            pending.add(at(records), RecordLocation::default(), PaperSubmission::default());
        }
        let sent: Vec<String> = std::iter::from_fn(|| pending.next_request())
            .map(|one| one.reference)
            .collect();
        assert_eq!(sent, ["0", "1", "2"]);
        assert!(pending.take("1").is_some() && pending.take("1").is_none());
        assert_eq!(pending.first_position(), Some(at(1)));

        let first = pending.take("0").expect("the first paper");
        assert!(pending.put_back("0", first) && !pending.has_unsent());
        assert_eq!(pending.until_due(), Some(FIRST_PAUSE));
        time.advance(FIRST_PAUSE);
        assert!(pending.resume_due() && pending.has_unsent());

        pending.send_all_again();
        assert_eq!(std::iter::from_fn(|| pending.next_request()).count(), 2);
        time.advance(Duration::from_secs(61));
        assert!(!pending.resume_due());
        let first = pending.take("0").expect("the first paper");
        assert!(!pending.put_back("0", first), "the platform took nothing for too long");
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(
            (pause(1), pause(2), pause(3)),
            (FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4)
        );
        assert_eq!((pause(0), pause(40)), (FIRST_PAUSE, LONGEST_PAUSE));
    }
}
