//! Words that say what a part of a name is.

/// Suffixes of persons, lower case and without full stops.
const SUFFIXES: [&str; 9] = ["jr", "sr", "ii", "iii", "iv", "phd", "md", "esq", "dphil"];

/// Those of them that are written in capitals.
const CAPITAL_SUFFIXES: [&str; 4] = ["ii", "iii", "iv", "md"];

/// Particles that begin a family name even when they are written with a capital, lower case.
const PARTICLES: [&str; 26] = [
    "van", "von", "vom", "der", "den", "de", "del", "della", "dei", "di", "da", "das", "do", "dos", "du", "la", "le",
    "las", "los", "ter", "ten", "el", "al", "ibn", "st.", "zu",
];

/// Between the two family names of a person, lower case.
const CONJUNCTIONS: [&str; 3] = ["y", "i", "e"];

/// Words in the names of groups, lower case and without punctuation.
const GROUPS: [&str; 41] = [
    "collaboration",
    "collaborations",
    "consortium",
    "team",
    "teams",
    "group",
    "workgroup",
    "project",
    "committee",
    "initiative",
    "network",
    "university",
    "universität",
    "université",
    "universidad",
    "institute",
    "institut",
    "inc",
    "ltd",
    "llc",
    "gmbh",
    "corporation",
    "corp",
    "company",
    "foundation",
    "association",
    "agency",
    "department",
    "laboratory",
    "laboratories",
    "consortia",
    "organization",
    "organisation",
    "ministry",
    "federation",
    "alliance",
    "community",
    "developers",
    "investigators",
    "contributors",
    "authors",
];

/// Words in the names of groups, and of no person, as they are written.
const JOINTS: [&str; 5] = ["and", "&", "of", "for", "the"];

/// What stands for the authors that a list does not name, lower case and without full stops.
const REST: [&str; 5] = ["others", "et al", "and others", "et alii", "et alia"];

/// Whether a part is the suffix of a person, such as `Jr.`. Numbers and `MD` are in capitals; `Md` is a given name.
pub fn is_suffix(part: &str) -> bool {
    const LONGEST: usize = "D.Phil.".len();
    if part.len() > LONGEST {
        return false;
    }
    let bare = part.replace('.', "");
    let is_capital = bare.chars().all(char::is_uppercase);
    is_one_of(&SUFFIXES, &bare) && (is_capital || !is_one_of(&CAPITAL_SUFFIXES, &bare))
}

/// Whether a word belongs to the family name that follows it.
pub fn is_particle(word: &str) -> bool {
    is_small(word) || is_one_of(&PARTICLES, word)
}

/// Whether a word joins the two family names of a person.
pub fn is_conjunction(word: &str) -> bool {
    CONJUNCTIONS.contains(&word)
}

/// Whether a word is one that groups are called by.
pub fn is_group_word(word: &str) -> bool {
    is_one_of(&GROUPS, word.trim_matches(|c: char| !c.is_alphanumeric()))
}

/// Whether a name is that of a group.
pub fn is_group(name: &str) -> bool {
    name.split_whitespace()
        .any(|word| is_group_word(word) || JOINTS.contains(&word))
}

/// Whether a text stands for authors that are not named, such as `et al.` or `others`.
pub fn stands_for_others(text: &str) -> bool {
    is_one_of(&REST, text.trim().trim_end_matches(['.', ',']))
}

fn is_one_of(words: &[&str], word: &str) -> bool {
    words.iter().any(|one| one.eq_ignore_ascii_case(word))
}

/// Whether a word is made of initials, such as `K.`, `J.-P.`, `A.K.` or `AK`.
pub fn is_initial(word: &str) -> bool {
    let is_dotted = word.ends_with('.') && word.split(['.', '-']).all(|part| part.chars().count() <= 1);
    let is_bare = word.chars().count() <= 2 && word.chars().all(char::is_uppercase);
    is_bare || is_dotted && is_capital(word)
}

/// Whether a word begins with a capital.
pub fn is_capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// Whether a word begins with a small letter.
pub fn is_small(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_lowercase)
}

/// Chinese, Japanese or Korean letters; such names are written family name first, and often without a blank.
pub fn is_cjk(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3040}'..='\u{30ff}' | '\u{3130}'..='\u{318f}' | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
    })
}
