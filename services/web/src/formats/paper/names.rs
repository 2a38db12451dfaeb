//! Names of authors as reference managers want them: family name and given names apart.
//!
//! Names are printed given names first; where a name is one word, or is no person's, it stays whole.

/// A name.
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
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
/// Words of bodies, which have no family name.
const BODIES: [&str; 9] = [
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

impl Name {
    /// Reads a printed name.
    pub fn parse(printed: &str) -> Self {
        let printed = super::text::one_line(printed);
        let mut words: Vec<&str> = printed.split(' ').filter(|word| !word.is_empty()).collect();
        let is_body = |word: &&str| BODIES.contains(&word.to_lowercase().as_str());
        if words.len() < 2 || printed.contains(',') || words.iter().any(is_body) {
            return Self::Whole(printed);
        }
        let last = words.last().copied().unwrap_or_default();
        let has_suffix = words.len() > 2 && SUFFIXES.contains(&last.to_lowercase().as_str());
        let suffix = if has_suffix {
            words.pop().unwrap_or_default()
        } else {
            ""
        };
        let mut begin = words.len() - 1;
        // Particles such as "van der" are written small.
        while begin > 1 && words[begin - 1].chars().next().is_some_and(char::is_lowercase) {
            begin -= 1;
        }
        Self::Person {
            family: words[begin..].join(" "),
            given: words[..begin].join(" "),
            suffix: suffix.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_names_are_found() {
        let of = |printed: &str| match Name::parse(printed) {
            Name::Person { family, given, suffix } => format!("{family}|{given}|{suffix}"),
            Name::Whole(whole) => whole,
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
