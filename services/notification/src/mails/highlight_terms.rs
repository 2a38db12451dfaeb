//! The terms that are highlighted in a paper: the words of the interest that brought it.

use std::cell::OnceCell;

use domain::Preferences;
use domain::highlight::QueryTerms;

/// The terms of a reader's interests, each analysed when it is first needed.
pub struct HighlightTerms<'a> {
    preferences: &'a Preferences,
    each: Vec<OnceCell<QueryTerms>>,
    all: OnceCell<QueryTerms>,
}

impl<'a> HighlightTerms<'a> {
    /// Of a reader.
    pub fn new(preferences: &'a Preferences) -> Self {
        Self {
            each: vec![OnceCell::new(); preferences.interests.len()],
            all: OnceCell::new(),
            preferences,
        }
    }

    /// The terms of the interest at an index; those of all interests where there is none at it, or where it has examples
    /// but no words.
    pub fn of_interest(&self, index: Option<u16>) -> &QueryTerms {
        let interests = &self.preferences.interests;
        let index = index.map(usize::from);
        let found = index.and_then(|index| Some((self.each.get(index)?, &interests.get(index)?.words)));
        if let Some((terms, words)) = found.filter(|(_, words)| !words.is_empty()) {
            return terms.get_or_init(|| QueryTerms::new(words));
        }
        self.all.get_or_init(|| {
            let words: Vec<&str> = interests.iter().map(|one| one.words.as_str()).collect();
            QueryTerms::new(&words.join(" "))
        })
    }
}
