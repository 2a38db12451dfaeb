//! Which papers of a window digests hold: the one place that calls the matching rules of the domain.
//!
//! All readers of a chunk are matched together, so that the papers pass each of them while they are near. It knows no
//! store and no clock.

use std::sync::Arc;

use domain::matching::{DimensionError, InterestQuery, Match, PaperSet, Workspace, top};
use domain::selection::{
    self, Candidate, CandidatePool, InterestMatches, SelectedPaper, SelectionPart, SelectionReason,
};
use domain::vectors::dot;
use domain::{Int8Vector, PaperId, Preferences};
use jiff::SignedDuration;

use super::DigestPaper;
use crate::mails::locale::Locale;
use crate::subscribers::seen::{PaperKey, SeenPapers};
use crate::window::WindowSnapshot;

/// Digests look back behind the slot of the last one by this much: papers that came in while it was made, and good ones
/// that it had no room for, get another chance.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// Cosine from which a paper is like one that a reader wants nothing like.
const ALIKE: f32 = 0.6;

/// Why a slot yields nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyReason {
    /// All papers since the last digest were sent before, or there are none.
    NoNewPaper,
    /// There are some, but none that any interest allows.
    NothingMatched,
    /// There are some, but each has something that the reader excluded.
    EverythingExcluded,
    /// The papers chosen at an earlier attempt are gone.
    Withdrawn,
    /// The subscription is not active, or is no more.
    NotActive,
    /// The reader takes digests another way by now.
    OtherChannel,
}

impl EmptyReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NoNewPaper,
        Self::NothingMatched,
        Self::EverythingExcluded,
        Self::Withdrawn,
        Self::NotActive,
        Self::OtherChannel,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoNewPaper => "no_new_paper",
            Self::NothingMatched => "nothing_matched",
            Self::EverythingExcluded => "everything_excluded",
            Self::Withdrawn => "withdrawn",
            Self::NotActive => "not_active",
            Self::OtherChannel => "other_channel",
        }
    }

    /// The words in the record.
    pub fn detail(self) -> &'static str {
        match self {
            Self::NoNewPaper => "no paper in the window that this subscriber has not been sent",
            Self::NothingMatched => "none of the new papers is one that the interests allow",
            Self::EverythingExcluded => "every new paper has something that the subscriber excluded",
            Self::Withdrawn => "the papers chosen for it were withdrawn",
            Self::NotActive => "the subscription is not active",
            Self::OtherChannel => "the subscription takes nothing on this channel",
        }
    }
}

/// Whom papers are chosen for.
#[derive(Debug, Clone, Copy)]
pub struct DigestReader<'a> {
    /// What they want.
    pub preferences: &'a Preferences,
    /// One vector per interest, by the encoder of the window.
    pub vectors: &'a [Int8Vector],
    /// What they were sent.
    pub seen: &'a SeenPapers,
    /// Papers they want nothing like.
    pub unwanted: &'a [PaperId],
}

/// A reader with what is asked for them.
struct MatchRequest<'a> {
    reader: DigestReader<'a>,
    skip: PaperSet,
    /// Papers that are not skipped.
    fresh: usize,
}

/// Chooses the papers of each reader's digest, best first. A paper whose cosine with an interest is below the floor does not
/// match it.
///
/// # Errors
/// The vectors of some reader have another dimension than the papers; nobody gets anything then.
pub fn choose(
    window: &WindowSnapshot,
    floor: f32,
    readers: &[DigestReader<'_>],
) -> Result<Vec<Result<Vec<DigestPaper>, EmptyReason>>, DimensionError> {
    if window.papers.is_empty() {
        return Ok(vec![Err(EmptyReason::NoNewPaper); readers.len()]);
    }
    let offer = CandidatePool::new(candidates(window)).with_floor(floor);
    let requests: Vec<MatchRequest<'_>> = readers.iter().map(|one| MatchRequest::new(window, *one)).collect();
    let asked: Vec<InterestQuery<'_>> = requests.iter().flat_map(MatchRequest::asked).collect();
    let counts = readers.iter().map(|one| one.preferences.paper_count);
    let k = selection::initial_k(counts.max().unwrap_or(0));
    let mut workspace = Workspace::default();
    let found = top(&window.panel, &asked, k, &mut workspace)?;
    let mut alone = Workspace::default();
    let mut begin = 0;
    let mut chosen = Vec::with_capacity(readers.len());
    for one in &requests {
        let end = begin + one.reader.vectors.len();
        let matches: Vec<&[Match]> = (begin..end).map(|interest| found.of(interest)).collect();
        begin = end;
        let reader = one.reader();
        let by_words = one.by_words(window);
        let found = InterestMatches {
            matches: &matches,
            by_words: &by_words,
            k,
        };
        let choices = match selection::select(&offer, reader, found) {
            Ok(choices) => choices,
            Err(short) => {
                let vectors = one.reader.vectors;
                selection::select_alone(&offer, &window.panel, reader, vectors, &by_words, short.k, &mut alone)?
            }
        };
        chosen.push(if choices.is_empty() {
            Err(one.why_nothing(floor, found))
        } else {
            Ok(choices.iter().map(|choice| one.explained(window, choice)).collect())
        });
    }
    Ok(chosen)
}

/// The papers of a window in its order, which is the order of an offer.
fn candidates(window: &WindowSnapshot) -> Vec<Candidate<'_>> {
    let mut candidates = Vec::with_capacity(window.papers.len());
    for (entry, trending) in window.papers.iter().zip(&window.trending) {
        candidates.push(Candidate {
            paper: &entry.paper,
            dense: &entry.vectors.dense,
            indexed_ms: entry.indexed.as_millisecond(),
            trending: *trending,
        });
    }
    candidates
}

impl<'a> MatchRequest<'a> {
    /// Skips the papers that came in before the last digest, those that were sent, and those like unwanted ones.
    fn new(window: &WindowSnapshot, reader: DigestReader<'a>) -> Self {
        let since = reader.seen.last_slot.and_then(|slot| slot.checked_sub(OVERLAP).ok());
        let end = since.map_or(window.papers.len(), |since| {
            window.papers.partition_point(|entry| entry.indexed >= since)
        });
        let places = &window.places;
        let sent = reader.seen.papers().filter_map(|key| places.get(&key).copied());
        let unwanted = reader
            .unwanted
            .iter()
            .filter_map(|id| places.get(&PaperKey::of(id)).copied());
        let mut skip: PaperSet = (end..window.papers.len()).chain(sent).collect();
        for unwanted in unwanted {
            let like = |paper: &usize| dot(window.dense(*paper), window.dense(unwanted)) >= ALIKE;
            skip.extend((0..end).filter(like));
        }
        Self {
            reader,
            fresh: (0..end).filter(|paper| !skip.contains(*paper)).count(),
            skip,
        }
    }

    fn asked(&self) -> impl Iterator<Item = InterestQuery<'_>> {
        self.reader.vectors.iter().map(|vector| InterestQuery {
            vector,
            skip: Some(&self.skip),
        })
    }

    /// The matches by words of each interest.
    fn by_words(&self, window: &WindowSnapshot) -> Vec<Vec<Match>> {
        let interests = self.reader.preferences.interests.iter().zip(self.reader.vectors);
        interests
            .map(|(interest, vector)| window.by_words(interest, vector))
            .collect()
    }

    fn reader(&self) -> selection::ReaderProfile<'_> {
        selection::ReaderProfile {
            preferences: self.reader.preferences,
            seen: Some(&self.skip),
        }
    }

    fn why_nothing(&self, floor: f32, found: InterestMatches<'_>) -> EmptyReason {
        let by_meaning = found.matches.iter().copied().flatten().any(|one| one.score >= floor);
        let mut by_words = found.by_words.iter().flatten();
        let fits = by_meaning || by_words.any(|one| !self.skip.contains(one.paper as usize));
        let preferences = self.reader.preferences;
        match (self.fresh, fits || preferences.interests.is_empty()) {
            (0, _) => EmptyReason::NoNewPaper,
            (_, true) if !preferences.exclusions.is_empty() => EmptyReason::EverythingExcluded,
            _ => EmptyReason::NothingMatched,
        }
    }

    /// Whether an interest and a paper were compared by words alone, because the encoder cannot read one of them.
    fn by_words_alone(&self, window: &WindowSnapshot, interest: usize, paper: usize) -> bool {
        let unread = self.reader.vectors.get(interest).is_some_and(Int8Vector::is_zero);
        unread || window.papers[paper].vectors.dense.is_zero()
    }

    fn explained(&self, window: &WindowSnapshot, choice: &SelectedPaper) -> DigestPaper {
        let part = |wanted: SelectionPart| {
            let found = choice.parts.iter().find(|(part, _)| *part == wanted);
            found.map_or(0.0, |(_, value)| *value)
        };
        let interest = |at: usize| self.reader.preferences.interests.get(at);
        let locale = Locale::of(&self.reader.preferences.language);
        let reason = match choice.reason {
            SelectionReason::Interest(at) => interest(at).map_or_else(String::new, |one| {
                if self.by_words_alone(window, at, choice.paper) {
                    return locale.words_reason(one);
                }
                locale.interest_reason(one, part(SelectionPart::Interest) / one.weight)
            }),
            SelectionReason::Trending => locale.trending_reason(),
            SelectionReason::New => locale.new_reason(),
        };
        DigestPaper {
            paper: Arc::clone(&window.papers[choice.paper].paper),
            score: choice.score,
            reason,
            trending: part(SelectionPart::Trending),
            interest: choice.interest.and_then(|at| u16::try_from(at).ok()),
        }
    }
}

#[cfg(test)]
mod tests;
