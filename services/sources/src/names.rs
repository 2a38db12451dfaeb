//! Names of authors as they are printed on a title page.
//!
//! It never identifies people: it splits lists and reorders names, and leaves what it does not understand unchanged.

/// `Last, First` as `First Last`; suffixes stay last (`King, Martin, Jr.`). Names without a comma are left unchanged.
pub fn natural(name: &str) -> String {
    let parts: Vec<&str> = name.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [last, first] if is_suffix(first) => format!("{last}, {first}"),
        [last, first] => format!("{first} {last}"),
        [last, first, suffix] if is_suffix(suffix) => format!("{first} {last} {suffix}"),
        _ => name.trim().trim_matches(',').trim().to_owned(),
    }
}

/// Given and family name, as far as there are both.
pub fn join(given: &str, family: &str, suffix: &str) -> String {
    [given, family, suffix]
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A list in one text: separated by semicolons, by ` and `, or, where every part has more than one word, by commas.
pub fn list(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.contains(';') {
        return text.split(';').map(natural).filter(|name| !name.is_empty()).collect();
    }
    let by_and: Vec<&str> = text.split(" and ").collect();
    if by_and.len() > 1 {
        return by_and.into_iter().flat_map(commas).collect();
    }
    commas(text)
}

/// `Ada Lovelace, Alan Turing` is two names; `Lovelace, Ada` and `Lovelace, A. K.` are one.
fn commas(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let several = parts.len() > 2 || parts.iter().all(|part| part.split_whitespace().count() > 1);
    let whole = parts.iter().all(|part| part.split_whitespace().count() > 1);
    if several && whole {
        return parts.into_iter().map(str::to_owned).collect();
    }
    if parts.len() > 3 && parts.len().is_multiple_of(2) {
        return parts.chunks(2).map(|pair| natural(&pair.join(", "))).collect();
    }
    let one = natural(text);
    if one.is_empty() { Vec::new() } else { vec![one] }
}

fn is_suffix(text: &str) -> bool {
    matches!(
        text.trim_end_matches('.').to_ascii_lowercase().as_str(),
        "jr" | "sr" | "i" | "ii" | "iii" | "iv" | "phd" | "md"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_in_natural_order() {
        for (name, expected) in [
            ("Lovelace, Ada", "Ada Lovelace"),
            ("King, Martin, Jr.", "Martin King Jr."),
            ("King, Jr.", "King, Jr."),
            ("Ada Lovelace", "Ada Lovelace"),
            ("IceCube Collaboration", "IceCube Collaboration"),
            (" , ", ""),
        ] {
            assert_eq!(natural(name), expected);
        }
    }

    #[test]
    fn lists_are_split() {
        assert_eq!(list("Last, F.; Müller, K. A."), ["F. Last", "K. A. Müller"]);
        assert_eq!(list("Ada Lovelace, Alan Turing"), ["Ada Lovelace", "Alan Turing"]);
        assert_eq!(list("Lovelace, Ada and Turing, Alan"), ["Ada Lovelace", "Alan Turing"]);
        assert_eq!(
            list("Ada Lovelace, Alan Turing and Kurt Gödel"),
            ["Ada Lovelace", "Alan Turing", "Kurt Gödel"]
        );
        assert_eq!(list("Lovelace, Ada"), ["Ada Lovelace"]);
        assert!(list(" ").is_empty());
    }
}
