//! How urgent a text is. Each priority has a queue, a capacity and metrics of its own.

use encoder::TextKind;

/// How urgent a text is; the most urgent comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for it: the query of a search.
    Interactive,
    /// It will be done: papers, and interests of subscribers.
    Bulk,
    /// It is done with what is left: texts of people whom nobody knows.
    BestEffort,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Bulk, Self::BestEffort];

    /// The priority of texts of a kind whose caller asks for none.
    pub fn usual(kind: TextKind) -> Self {
        match kind {
            TextKind::Query => Self::Interactive,
            TextKind::Document => Self::Bulk,
        }
    }

    /// Its name in metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
            Self::BestEffort => "best_effort",
        }
    }
}

/// One value per priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByPriority<T> {
    interactive: T,
    bulk: T,
    best_effort: T,
}

impl<T> ByPriority<T> {
    /// What a function makes for each.
    pub fn new(mut make: impl FnMut(Priority) -> T) -> Self {
        Self {
            interactive: make(Priority::Interactive),
            bulk: make(Priority::Bulk),
            best_effort: make(Priority::BestEffort),
        }
    }

    /// What a function makes for each, or its first error.
    pub fn try_new<E>(mut make: impl FnMut(Priority) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            interactive: make(Priority::Interactive)?,
            bulk: make(Priority::Bulk)?,
            best_effort: make(Priority::BestEffort)?,
        })
    }

    /// The value of one.
    pub fn of(&self, priority: Priority) -> &T {
        match priority {
            Priority::Interactive => &self.interactive,
            Priority::Bulk => &self.bulk,
            Priority::BestEffort => &self.best_effort,
        }
    }

    /// The same to change it.
    pub fn of_mut(&mut self, priority: Priority) -> &mut T {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Bulk => &mut self.bulk,
            Priority::BestEffort => &mut self.best_effort,
        }
    }
}
