//! What a reader looks for in a paper: the words of the interest that brought it.

use std::cell::OnceCell;

use domain::Preferences;
use domain::highlight::QueryTerms;

/// The words of a reader's interests, each looked at when it is first needed.
pub struct Sought<'a> {
    preferences: &'a Preferences,
    each: Vec<OnceCell<QueryTerms>>,
    all: OnceCell<QueryTerms>,
}

impl<'a> Sought<'a> {
    /// Of a reader.
    pub fn new(preferences: &'a Preferences) -> Self {
        Self {
            each: vec![OnceCell::new(); preferences.interests.len()],
            all: OnceCell::new(),
            preferences,
        }
    }

    /// The words of one interest; those of all where none brought the paper, where it is no more, or where it has no words but
    /// examples.
    pub fn by(&self, interest: Option<u16>) -> &QueryTerms {
        let interests = &self.preferences.interests;
        let place = interest.map(usize::from);
        let found = place.and_then(|place| Some((self.each.get(place)?, &interests.get(place)?.words)));
        if let Some((cell, words)) = found.filter(|(_, words)| !words.is_empty()) {
            return cell.get_or_init(|| QueryTerms::new(words));
        }
        self.all.get_or_init(|| {
            let words: Vec<&str> = interests.iter().map(|one| one.words.as_str()).collect();
            QueryTerms::new(&words.join(" "))
        })
    }
}
