//! A subscriber's preferences: interests, exclusions, the share of trending papers, schedule and format.
//!
//! It validates preferences and applies exclusions; it selects no papers (see [`crate::selection`]) and knows no address.

pub mod vector;

use std::collections::HashSet;

use crate::schedule::Schedule;
use crate::text;
use crate::{Paper, PaperId, Violation};

mod prepared;

pub use prepared::{PreparedExclusions, PreparedPaper};

/// Most interests of one subscriber.
pub const MOST_INTERESTS: usize = 100;
/// Most characters of the words of an interest.
pub const MOST_INTEREST_CHARS: usize = 1_000;
/// Most example papers of one interest, positive and negative ones counted separately.
pub const MOST_EXAMPLES: usize = 50;
/// Most entries of each list of an exclusion or a filter.
pub const MOST_ENTRIES: usize = 100;
/// Most characters of an entry.
pub const MOST_ENTRY_CHARS: usize = 200;
/// Most papers of one digest.
pub const MOST_PAPERS: usize = 50;
/// The default share of trending papers.
pub const TRENDING_SHARE: f32 = 0.2;
/// The default language.
pub const LANGUAGE: &str = "en";
/// Allowed weights of an interest.
pub const WEIGHTS: std::ops::RangeInclusive<f32> = 0.1..=10.0;

/// The preferences of a subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// Standing queries; without any, the digest holds trending and new papers.
    pub interests: Vec<Interest>,
    /// Papers never wanted, whatever they match.
    pub exclusions: Exclusions,
    /// Share of trending papers in a digest: 0 for matches only, 1 for trending papers only.
    pub trending_share: f32,
    /// Papers per digest, at most.
    pub paper_count: usize,
    /// When the digest is due.
    pub schedule: Schedule,
    /// Format of the mail.
    pub format: MailFormat,
    /// Language of everything around the papers, as a BCP 47 tag.
    pub language: String,
    /// How digests are delivered.
    pub channels: Channels,
}

/// A standing query.
#[derive(Debug, Clone, PartialEq)]
pub struct Interest {
    /// In the reader's own words; empty where there are only examples.
    pub words: String,
    /// Positive examples: matches should be like these papers.
    pub like: Vec<PaperId>,
    /// Negative examples.
    pub unlike: Vec<PaperId>,
    /// Only papers of one of these categories, such as `cs.CL`, or of an archive, such as `cs`; empty for all.
    pub categories: Vec<String>,
    /// What this interest excludes.
    pub exclusions: Exclusions,
    /// Weight of its matches relative to those of other interests; 1 by default.
    pub weight: f32,
}

/// What a paper must not have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exclusions {
    /// Words in all of their forms, or phrases.
    pub words: Vec<String>,
    /// Names of authors.
    pub authors: Vec<String>,
    /// Categories or archives.
    pub categories: Vec<String>,
}

/// The format of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MailFormat {
    /// HTML with an equivalent text part.
    #[default]
    Html,
    /// Plain text only.
    Text,
}

/// How digests are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// By mail.
    #[default]
    Mail,
    /// To a webhook.
    Webhook,
    /// By mail and to a webhook, with the same papers.
    Both,
}

impl Preferences {
    /// Preferences without interests: trending and new papers, this many, on a schedule.
    pub fn plain(schedule: Schedule, paper_count: usize) -> Self {
        Self {
            interests: Vec::new(),
            exclusions: Exclusions::default(),
            trending_share: TRENDING_SHARE,
            paper_count,
            schedule,
            format: MailFormat::Html,
            language: LANGUAGE.to_owned(),
            channels: Channels::Mail,
        }
    }

    /// Every violation, each with its field.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if self.interests.len() > MOST_INTERESTS {
            let count = self.interests.len();
            found.push(violation(
                "interests",
                format!("has {count} entries; at most {MOST_INTERESTS} are allowed"),
            ));
        }
        for (index, interest) in self.interests.iter().take(MOST_INTERESTS).enumerate() {
            interest.violations(&format!("interests[{index}]"), &mut found);
        }
        self.exclusions.violations("exclusions", &mut found);
        if !(0.0..=1.0).contains(&self.trending_share) {
            let share = self.trending_share;
            found.push(violation("trending_share", format!("is {share}; allowed is 0 to 1")));
        }
        if !(1..=MOST_PAPERS).contains(&self.paper_count) {
            let count = self.paper_count;
            found.push(violation(
                "paper_count",
                format!("is {count}; allowed are 1 to {MOST_PAPERS}"),
            ));
        }
        found
    }
}

impl Interest {
    /// An interest from words alone.
    pub fn in_words(words: &str) -> Self {
        Self {
            words: text::one_line(words),
            like: Vec::new(),
            unlike: Vec::new(),
            categories: Vec::new(),
            exclusions: Exclusions::default(),
            weight: 1.0,
        }
    }

    /// Whether a paper may match this interest at all.
    pub fn allows(&self, paper: &Paper) -> bool {
        self.covers(paper) && !self.exclusions.exclude(paper)
    }

    /// Whether a paper is in one of the interest's categories.
    pub fn covers(&self, paper: &Paper) -> bool {
        self.categories.is_empty() || self.categories.iter().any(|one| is_in(paper, one))
    }

    fn violations(&self, field: &str, found: &mut Vec<Violation>) {
        let length = self.words.chars().count();
        if length > MOST_INTEREST_CHARS {
            let problem = format!("has {length} characters; at most {MOST_INTEREST_CHARS} are allowed");
            found.push(violation(&format!("{field}.text"), problem));
        }
        if length == 0 && self.like.is_empty() {
            let problem = "is empty; words or papers to be like are required".to_owned();
            found.push(violation(&format!("{field}.text"), problem));
        }
        for (name, examples) in [("like_paper_ids", &self.like), ("unlike_paper_ids", &self.unlike)] {
            let count = examples.len();
            if count > MOST_EXAMPLES {
                let problem = format!("has {count} entries; at most {MOST_EXAMPLES} are allowed");
                found.push(violation(&format!("{field}.{name}"), problem));
            }
            if examples.iter().collect::<HashSet<_>>().len() < count {
                found.push(violation(&format!("{field}.{name}"), "names a paper twice".to_owned()));
            }
        }
        entries(&format!("{field}.categories"), &self.categories, found);
        self.exclusions.violations(&format!("{field}.exclusions"), found);
        if !WEIGHTS.contains(&self.weight) {
            let (weight, least, most) = (self.weight, WEIGHTS.start(), WEIGHTS.end());
            let problem = format!("is {weight}; allowed is {least} to {most}");
            found.push(violation(&format!("{field}.weight"), problem));
        }
    }
}

impl Exclusions {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.authors.is_empty() && self.categories.is_empty()
    }

    /// Whether a paper is excluded.
    pub fn exclude(&self, paper: &Paper) -> bool {
        self.prepare().exclude(&PreparedPaper::new(paper))
    }

    /// Prepares them for many papers.
    pub fn prepare(&self) -> PreparedExclusions<'_> {
        PreparedExclusions::new(self)
    }

    fn violations(&self, field: &str, found: &mut Vec<Violation>) {
        entries(&format!("{field}.words"), &self.words, found);
        entries(&format!("{field}.authors"), &self.authors, found);
        entries(&format!("{field}.categories"), &self.categories, found);
    }
}

/// Whether a paper is in a category, or in an archive such as `cs`.
fn is_in(paper: &Paper, category: &str) -> bool {
    paper.categories.iter().any(|one| {
        let rest = one
            .get(..category.len())
            .filter(|begin| begin.eq_ignore_ascii_case(category));
        rest.is_some() && (one.len() == category.len() || one.as_bytes()[category.len()] == b'.')
    })
}

fn entries(field: &str, entries: &[String], found: &mut Vec<Violation>) {
    if entries.len() > MOST_ENTRIES {
        let problem = format!("has {} entries; at most {MOST_ENTRIES} are allowed", entries.len());
        found.push(violation(field, problem));
    }
    for (index, entry) in entries.iter().take(MOST_ENTRIES).enumerate() {
        let length = entry.chars().count();
        if !(1..=MOST_ENTRY_CHARS).contains(&length) {
            let problem = format!("has {length} characters; 1 to {MOST_ENTRY_CHARS} are allowed");
            found.push(violation(&format!("{field}[{index}]"), problem));
        }
    }
}

fn violation(field: &str, description: String) -> Violation {
    Violation {
        field: field.to_owned(),
        description,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn paper(title: &str, author: &str, category: &str) -> Paper {
        Paper {
            id: PaperId::parse("x:a").expect("an id"),
            title: title.to_owned(),
            abstract_text: String::new(),
            authors: vec![author.into()],
            categories: vec![category.to_owned()],
            published: Some(Timestamp::UNIX_EPOCH),
            updated: None,
            links: Vec::new(),
            source: "test".into(),
            revision: 1,
            content_hash: String::new(),
            language: String::new(),
            accepted: Timestamp::UNIX_EPOCH,
            revised: Timestamp::UNIX_EPOCH,
        }
    }

    fn exclusions(words: &[&str], authors: &[&str], categories: &[&str]) -> Exclusions {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Exclusions {
            words: owned(words),
            authors: owned(authors),
            categories: owned(categories),
        }
    }

    #[test]
    fn exclusions_match_word_forms_names_and_archives() {
        let one = paper("Learning about proteins", "Ada K. Lovelace", "q-bio.BM");
        for excluding in [
            exclusions(&["Protein"], &[], &[]),
            exclusions(&["learning about"], &[], &[]),
            exclusions(&[], &["lovelace"], &[]),
            exclusions(&[], &["Ada Lovelace"], &[]),
            exclusions(&[], &[], &["q-bio"]),
            exclusions(&[], &[], &["Q-BIO.bm"]),
        ] {
            assert!(excluding.exclude(&one), "{excluding:?}");
        }
        for passing in [
            Exclusions::default(),
            exclusions(&["cats"], &[], &[]),
            exclusions(&[], &["Ada King"], &[]),
            exclusions(&[], &[], &["q"]),
        ] {
            assert!(!passing.exclude(&one), "{passing:?}");
        }
    }

    #[test]
    fn an_interest_is_limited_to_its_categories() {
        let mut interest = Interest::in_words("proteins");
        interest.categories = vec!["cs".into(), "q-bio.BM".into()];
        assert!(interest.allows(&paper("a", "b", "cs.LG")));
        assert!(interest.allows(&paper("a", "b", "q-bio.BM")));
        assert!(!interest.allows(&paper("a", "b", "q-bio.GN")));
        assert!(!interest.allows(&paper("a", "b", "csx")));
    }

    #[test]
    fn every_violation_names_its_field() {
        let schedule = Schedule::parse("07:00", "UTC").expect("a schedule");
        let mut wrong = Preferences::plain(schedule.clone(), 51);
        assert!(Preferences::plain(schedule, 50).violations().is_empty());
        wrong.trending_share = f32::NAN;
        wrong.interests = vec![Interest::in_words(""), Interest::in_words(&"x".repeat(1_001))];
        wrong.interests[1].weight = 0.0;
        wrong.interests[1].like = vec![PaperId::parse("x:a").expect("an id"); 2];
        wrong.exclusions.authors = vec![String::new()];
        let fields: Vec<String> = wrong.violations().into_iter().map(|one| one.field).collect();
        assert_eq!(
            fields,
            [
                "interests[0].text",
                "interests[1].text",
                "interests[1].like_paper_ids",
                "interests[1].weight",
                "exclusions.authors[0]",
                "trending_share",
                "paper_count",
            ]
        );
    }
}
