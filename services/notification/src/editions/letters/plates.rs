//! Templates set once and printed for every reader: what is the same for all is encoded once, and what differs has gaps.
//!
//! A template is rendered with a mark for each value that differs. Where the marks come out, there are the gaps; what stands
//! between them is kept as it goes over the wire. It decides nothing about what is in a mail.

use std::fmt;

use crate::mailer::quoted::{Piece, Quoted};

/// A character that is in no text (Unicode 23.7), around what a mark is of.
const MARK: char = '\u{fdd0}';

/// What differs from reader to reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The day of the edition.
    Date,
    /// The address.
    Email,
    /// The token that manages the subscription.
    Manage,
    /// One paper after the other.
    Paper,
    /// What mail programs show beside the subject.
    Preheader,
    /// The subject.
    Subject,
    /// Of a paper: its sentence as HTML, words marked.
    MarkedSentence,
    /// Of a paper: its place in the mail.
    Number,
    /// Of a paper: the token to react with.
    React,
    /// Of a paper: why it is there.
    Reason,
    /// Of a paper: its sentence.
    Sentence,
}

impl Gap {
    const ALL: [(char, Self); 11] = [
        ('d', Self::Date),
        ('e', Self::Email),
        ('m', Self::Manage),
        ('p', Self::Paper),
        ('h', Self::Preheader),
        ('s', Self::Subject),
        ('M', Self::MarkedSentence),
        ('N', Self::Number),
        ('R', Self::React),
        ('W', Self::Reason),
        ('S', Self::Sentence),
    ];

    /// What is rendered in its place.
    pub fn mark(self) -> String {
        let name = Self::ALL
            .iter()
            .find(|(_, gap)| *gap == self)
            .map_or(' ', |(name, _)| *name);
        format!("{MARK}{name}{MARK}")
    }

    fn named(name: &str) -> Option<Self> {
        let letter = name.chars().next()?;
        let found = Self::ALL.iter().find(|(name, _)| *name == letter);
        found.map(|(_, gap)| *gap)
    }
}

/// Whether a text could be taken for a mark.
pub fn is_marked(text: &str) -> bool {
    text.contains(MARK)
}

/// A template, set.
#[derive(Debug)]
pub struct Plate {
    first: Piece,
    rest: Vec<(Gap, Piece)>,
}

impl Plate {
    /// From what was rendered with marks.
    pub fn new(rendered: &str) -> Self {
        let mut parts = rendered.split(MARK);
        let first = Piece::new(parts.next().unwrap_or_default());
        let mut rest = Vec::new();
        while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
            if let Some(gap) = Gap::named(name) {
                rest.push((gap, Piece::new(text)));
            }
        }
        Self { first, rest }
    }

    /// Prints it, each gap filled as told.
    pub fn print(&self, out: &mut Quoted, mut fill: impl FnMut(Gap, &mut Quoted)) {
        out.push_piece(&self.first);
        for (gap, piece) in &self.rest {
            fill(*gap, out);
            out.push_piece(piece);
        }
    }
}

/// So that text is escaped into it.
impl fmt::Write for Quoted {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}
