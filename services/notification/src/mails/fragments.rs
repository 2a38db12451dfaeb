//! Template fragments: a template rendered once for all readers, with placeholders for what differs from reader to reader.
//!
//! A template is rendered with a marker for each value that differs. The output is cut at the markers; the fragments between
//! them are kept as they go over the wire. It decides nothing about what a mail says.

use crate::mailer::quoted_printable::{EncodedText, QuotedPrintable};

/// A noncharacter that no text holds (Unicode 23.7). A marker is one, a name, and another.
const DELIMITER: char = '\u{fdd0}';

/// What differs from reader to reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The day of the digest.
    Date,
    /// The reader's address.
    Email,
    /// The token that sees and changes the subscription.
    PreferencesToken,
    /// The token that ends the subscription.
    UnsubscribeToken,
    /// The next paper.
    Paper,
    /// What mail programs show beside the subject.
    Preheader,
    /// The subject.
    Subject,
    /// Of a paper: its sentence as HTML, with terms in bold.
    HighlightedSentence,
    /// Of a paper: its number in the mail.
    Number,
    /// Of a paper: the token to react with.
    ReactToken,
    /// Of a paper: why it is in the digest.
    Reason,
    /// Of a paper: its sentence.
    Sentence,
}

impl Placeholder {
    const NAMES: [(char, Self); 12] = [
        ('d', Self::Date),
        ('e', Self::Email),
        ('c', Self::PreferencesToken),
        ('u', Self::UnsubscribeToken),
        ('p', Self::Paper),
        ('h', Self::Preheader),
        ('s', Self::Subject),
        ('H', Self::HighlightedSentence),
        ('N', Self::Number),
        ('R', Self::ReactToken),
        ('W', Self::Reason),
        ('S', Self::Sentence),
    ];

    /// What a template is rendered with in its stead.
    pub fn marker(self) -> String {
        let found = Self::NAMES.iter().find(|(_, placeholder)| *placeholder == self);
        let name = found.map_or(' ', |(name, _)| *name);
        format!("{DELIMITER}{name}{DELIMITER}")
    }

    fn named(text: &str) -> Option<Self> {
        let wanted = text.chars().next()?;
        let found = Self::NAMES.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, placeholder)| *placeholder)
    }
}

/// Whether a text could be taken for a marker.
pub fn holds_delimiter(text: &str) -> bool {
    text.contains(DELIMITER)
}

/// A rendered template, cut at its placeholders.
#[derive(Debug)]
pub struct TemplateFragments {
    first: EncodedText,
    rest: Vec<(Placeholder, EncodedText)>,
}

impl TemplateFragments {
    /// From a template rendered with markers.
    pub fn new(rendered: &str) -> Self {
        let mut parts = rendered.split(DELIMITER);
        let first = EncodedText::new(parts.next().unwrap_or_default());
        let mut rest = Vec::new();
        while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
            if let Some(placeholder) = Placeholder::named(name) {
                rest.push((placeholder, EncodedText::new(text)));
            }
        }
        Self { first, rest }
    }

    /// Writes the fragments, and has each placeholder between them filled in.
    pub fn write(&self, out: &mut QuotedPrintable, mut fill: impl FnMut(Placeholder, &mut QuotedPrintable)) {
        out.push_encoded(&self.first);
        for (placeholder, text) in &self.rest {
            fill(*placeholder, out);
            out.push_encoded(text);
        }
    }
}
