//! Lists of names as BibTeX splits them.
//!
//! It only splits and orders; what the names are in TeX is read later.

/// The names of a list, in printed order and still in TeX. Names end at the word `and` in any case, outside braces; a name in
/// braces is a group and stays as it is written; `others` is nobody.
pub fn split(list: &str) -> Vec<String> {
    let mut names = split_words(list, |word| word.eq_ignore_ascii_case("and"));
    if names.len() == 1 {
        // Some databases separate by semicolons.
        names = split_at(list, ';');
    }
    names
        .into_iter()
        .map(|name| name.trim_matches(|c: char| c.is_whitespace() || c == ','))
        .filter(|name| !name.is_empty() && !is_nobody(name))
        .map(printed)
        .collect()
}

fn is_nobody(name: &str) -> bool {
    let name = name.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    matches!(name.as_str(), "others" | "et al" | "etal" | "{others}")
}

/// `von Last, Jr, First` in printed order.
fn printed(name: &str) -> String {
    let parts: Vec<&str> = split_at(name, ',')
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if let Some(name) = of_named_parts(&parts) {
        return name;
    }
    match parts.as_slice() {
        [last, suffix] if is_suffix(suffix) => format!("{last} {suffix}"),
        [last, first] => format!("{first} {last}"),
        [last, first, suffix] if is_suffix(suffix) && !is_suffix(first) => format!("{first} {last} {suffix}"),
        [last, suffix, first] => format!("{first} {last} {suffix}"),
        _ => name.to_owned(),
    }
}

/// biblatex's `family=Beethoven, given=Ludwig, prefix=van`.
fn of_named_parts(parts: &[&str]) -> Option<String> {
    let part = |name: &str| {
        let value = parts
            .iter()
            .find_map(|part| part.strip_prefix(name)?.trim_start().strip_prefix('='));
        value.map(|value| value.trim().trim_matches('"'))
    };
    let family = part("family")?;
    let names = [part("given"), part("prefix"), Some(family), part("suffix")];
    Some(names.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn is_suffix(text: &str) -> bool {
    let text = text.trim_matches(['{', '}']).trim_end_matches('.').to_ascii_lowercase();
    matches!(text.as_str(), "jr" | "sr" | "ii" | "iii" | "iv" | "phd" | "md")
}

/// Splits at words outside braces.
fn split_words(text: &str, separates: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut word, mut part) = (0_u64, 0, 0);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if c.is_whitespace() && depth == 0 => {
                if separates(&text[word..at]) {
                    parts.push(&text[part..word]);
                    part = at;
                }
                word = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[part..]);
    parts
}

/// Splits at a character outside braces.
fn split_at(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0_u64;
    text.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c == separator
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_split_as_bibtex_does() {
        for (list, expected) in [
            (
                "Ann B. Lee and\n      Bob Ray AND\tEva Schmidt",
                &["Ann B. Lee", "Bob Ray", "Eva Schmidt"][..],
            ),
            (
                "Moreau, Hélène and {Advanced Kelp and Tide Research Team} and {Barnard and Sons, Inc.}",
                &[
                    "Hélène Moreau",
                    "{Advanced Kelp and Tide Research Team}",
                    "{Barnard and Sons, Inc.}",
                ],
            ),
            ("Okafor, Ngozi and Lind, Per and others", &["Ngozi Okafor", "Per Lind"]),
            ("Test, Some and others, ", &["Some Test"]),
            (
                "King, Jr., Martin Luther and van der Meer, Jan",
                &["Martin Luther King Jr.", "Jan van der Meer"],
            ),
            ("King, Martin, Jr.", &["Martin King Jr."]),
            ("Lee, Ann; Ray, Bob", &["Ann Lee", "Bob Ray"]),
            ("family=Beethoven, given=Ludwig, prefix=van", &["Ludwig van Beethoven"]),
            ("Anderson, Andy and Sand, Dora", &["Andy Anderson", "Dora Sand"]),
            ("and Lee, Ann and", &["Ann Lee"]),
            ("{\\'E}variste Galois", &["{\\'E}variste Galois"]),
            ("others", &[]),
            ("", &[]),
        ] {
            assert_eq!(split(list), expected, "{list}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_split(list in "([a-c{}, ;]| and |\\PC){0,40}") {
            let _ = split(&list);
        }
    }
}
