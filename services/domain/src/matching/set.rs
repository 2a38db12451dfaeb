//! A set of papers of a panel: a bit for each.

/// Papers by their places in a panel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PaperSet(Vec<u64>);

impl PaperSet {
    /// Adds a paper.
    pub fn insert(&mut self, paper: usize) {
        let word = paper / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (paper % 64);
    }

    /// Whether no paper is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Whether a paper is in it.
    pub fn contains(&self, paper: usize) -> bool {
        self.0.get(paper / 64).is_some_and(|word| word >> (paper % 64) & 1 == 1)
    }
}

impl FromIterator<usize> for PaperSet {
    fn from_iter<T: IntoIterator<Item = usize>>(papers: T) -> Self {
        let mut set = Self::default();
        set.extend(papers);
        set
    }
}

impl Extend<usize> for PaperSet {
    fn extend<T: IntoIterator<Item = usize>>(&mut self, papers: T) {
        for paper in papers {
            self.insert(paper);
        }
    }
}
