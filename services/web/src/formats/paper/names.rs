//! Names of authors as reference managers want them, split into family and given names.
//!
//! Names are printed given names first; a single word, or the name of a group, stays whole.

/// The name of an author.
#[derive(Debug, PartialEq, Eq)]
pub enum AuthorName {
    /// A person's.
    Person {
        /// Family name with its particles.
        family: String,
        /// Given names.
        given: String,
        /// Such as `Jr.`.
        suffix: String,
    },
    /// Whole, such as that of a collaboration.
    Whole(String),
}

const SUFFIXES: [&str; 8] = ["jr", "jr.", "sr", "sr.", "ii", "iii", "iv", "v"];
/// Words in the names of groups, which have no family name.
const GROUP_WORDS: [&str; 9] = [
    "collaboration",
    "consortium",
    "team",
    "group",
    "project",
    "committee",
    "initiative",
    "network",
    "university",
];

impl AuthorName {
    /// Parses a printed name.
    pub fn parse(printed: &str) -> Self {
        let printed = super::text::one_line(printed);
        let mut words: Vec<&str> = printed.split(' ').filter(|word| !word.is_empty()).collect();
        let is_group = |word: &&str| GROUP_WORDS.contains(&word.to_lowercase().as_str());
        if words.len() < 2 || printed.contains(',') || words.iter().any(is_group) {
            return Self::Whole(printed);
        }
        let last = words.last().copied().unwrap_or_default();
        let has_suffix = words.len() > 2 && SUFFIXES.contains(&last.to_lowercase().as_str());
        let suffix = if has_suffix {
            words.pop().unwrap_or_default()
        } else {
            ""
        };
        let mut first = words.len() - 1;
        // Particles such as "van der" are in lower case.
        while first > 1 && words[first - 1].chars().next().is_some_and(char::is_lowercase) {
            first -= 1;
        }
        Self::Person {
            family: words[first..].join(" "),
            given: words[..first].join(" "),
            suffix: suffix.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_names_are_found() {
        let of = |printed: &str| match AuthorName::parse(printed) {
            AuthorName::Person { family, given, suffix } => format!("{family}|{given}|{suffix}"),
            AuthorName::Whole(whole) => whole,
        };
        assert_eq!(of("Ada K. Lovelace"), "Lovelace|Ada K.|");
        assert_eq!(of("Ludwig van der Rohe"), "van der Rohe|Ludwig|");
        assert_eq!(of("Sammy Davis Jr."), "Davis|Sammy|Jr.");
        assert_eq!(of("Plato"), "Plato");
        assert_eq!(of("ATLAS Collaboration"), "ATLAS Collaboration");
        assert_eq!(of("Lovelace, Ada"), "Lovelace, Ada");
        assert_eq!(of(""), "");
    }
}
