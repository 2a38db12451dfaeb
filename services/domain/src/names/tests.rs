use proptest::prelude::*;

use super::*;

/// The table that the tests of search and of exports use, too.
const NAMES: &str = include_str!("../../tests/names.tsv");

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let rows = NAMES.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| line.split('\t').collect())
}

fn texts(column: &str) -> impl Iterator<Item = &str> {
    column.split("; ").filter(|text| !text.is_empty())
}

fn shares_key(name: &AuthorName, text: &str) -> bool {
    let keys = keys(name);
    search_keys(text).iter().any(|key| keys.contains(key))
}

#[test]
fn the_parts_of_a_name_are_found() {
    for row in rows() {
        let name = AuthorName::parse(row[0]);
        let parts = (
            name.as_str(),
            name.given(),
            name.family().unwrap_or_default(),
            name.suffix(),
        );
        assert_eq!(parts, (row[1], row[2], row[3], row[4]), "{}", row[0]);
        assert_eq!(
            AuthorName::parse(name.as_str()).as_str(),
            row[1],
            "the printed form of {}",
            row[0]
        );
    }
}

#[test]
fn a_name_is_found_in_every_usual_spelling() {
    for row in rows() {
        let name = AuthorName::parse(row[0]);
        for text in texts(row[5]).chain([row[0], row[1]]) {
            assert!(shares_key(&name, text), "{text:?} finds {}: {:?}", row[0], keys(&name));
        }
        for text in texts(row[6]) {
            assert!(
                !shares_key(&name, text),
                "{text:?} does not find {}: {:?}",
                row[0],
                keys(&name)
            );
        }
    }
}

#[test]
fn initials_find_a_name_but_not_the_other_way() {
    assert!(shares_key(&"Ada Lovelace".into(), "A. Lovelace"));
    assert!(!shares_key(&"A. Lovelace".into(), "Ada Lovelace"));
}

#[test]
fn keys_are_few_and_each_is_there_once() {
    assert_eq!(keys(&"Wei Zhang".into()), ["w zhang", "wei", "wei zhang", "zhang"]);
    assert!(keys(&" - ".into()).is_empty() && search_keys(" - ").is_empty());
    let long: AuthorName = "word ".repeat(50).as_str().into();
    assert_eq!(keys(&long).len(), 2);
    let both = keys_of_all(&["Ada Byron".into(), "Ada Lovelace".into()]);
    assert_eq!(both.iter().filter(|key| *key == "ada").count(), 1);
}

#[test]
fn lists_are_split() {
    for (text, expected) in [
        ("Last, F.; Müller, K. A.", "F. Last|K. A. Müller"),
        ("Ruth Abara; Eve Moss; and Wei Zhang", "Ruth Abara|Eve Moss|Wei Zhang"),
        ("Ada Lovelace, Alan Turing", "Ada Lovelace|Alan Turing"),
        ("Lovelace, Ada and Turing, Alan", "Ada Lovelace|Alan Turing"),
        ("Lovelace, Ada AND\n   Turing, Alan", "Ada Lovelace|Alan Turing"),
        (
            "Ada Lovelace, Alan Turing and Kurt Gödel",
            "Ada Lovelace|Alan Turing|Kurt Gödel",
        ),
        (
            "Ada Lovelace, Alan Turing, and Kurt Gödel",
            "Ada Lovelace|Alan Turing|Kurt Gödel",
        ),
        ("Lovelace, A. K., Turing, A. M.", "A. K. Lovelace|A. M. Turing"),
        ("Lovelace, A. K.", "A. K. Lovelace"),
        ("Gómez Ruiz, Ana B.", "Ana B. Gómez Ruiz"),
        ("van der Rohe, Ludwig K.", "Ludwig K. van der Rohe"),
        ("Lovelace AK, Turing A", "Lovelace AK|Turing A"),
        ("Martin King, Jr., Ada Lovelace", "Martin King Jr.|Ada Lovelace"),
        ("King, Jr., Martin", "Martin King Jr."),
        ("Ada Lovelace, Plato, Kurt Gödel", "Ada Lovelace|Plato|Kurt Gödel"),
        (
            "Lantern Collaboration: A. Moss, B. Reed",
            "Lantern Collaboration|A. Moss|B. Reed",
        ),
        ("A. Moss (Harbour, Sea and Land), B. Reed (2)", "A. Moss|B. Reed"),
        ("A. Moss, B. Reed et al.", "A. Moss|B. Reed"),
        ("A. Moss, B. Reed, C. Ray, et al.", "A. Moss|B. Reed|C. Ray"),
        ("Miller and Daughters, Inc.", "Miller and Daughters, Inc."),
        ("{Kelp and Tide} and Ann Lee", "Kelp and Tide|Ann Lee"),
        ("Ann Lee & Bob Ray", "Ann Lee|Bob Ray"),
        ("毛泽、王伟", "毛泽|王伟"),
        ("Lovelace, Ada", "Ada Lovelace"),
        ("A. Moss (Harbour, B. Reed, C. Ray", "A. Moss (Harbour|B. Reed|C. Ray"),
        (" ", ""),
        ("et al.", ""),
    ] {
        let printed: Vec<String> = list(text).iter().map(AuthorName::to_string).collect();
        assert_eq!(printed.join("|"), expected, "{text}");
    }
}

#[test]
fn names_of_bibtex_are_split_outside_of_braces() {
    let spell = |text: &str| text.replace("{\\\"u}", "ü").replace(['{', '}'], "");
    for (field, expected) in [
        ("Ann B. Lee and\n                  Bob Ray", "Ann B. Lee|Bob Ray"),
        (
            "M{\\\"u}ller, J{\\\"u}rgen AND Schmidt, Eva",
            "Jürgen Müller|Eva Schmidt",
        ),
        (
            "Reed, Ada and {Kelp and Tide Board} and {Miller and Sons, Inc.}",
            "Ada Reed|Kelp and Tide Board|Miller and Sons, Inc.",
        ),
        ("Reed, Ada and Lind, Per and others", "Ada Reed|Per Lind"),
        ("Test, Some and others, ", "Some Test"),
        (
            "Reed~Jones, Ada\tand {King}, Jr., Martin",
            "Ada Reed Jones|Martin King Jr.",
        ),
        ("Sandra Anderson", "Sandra Anderson"),
        ("Wu, Xin (Kyle) and Ann Lee", "Xin (Kyle) Wu|Ann Lee"),
        ("{Miller & Sons} and Moss, Eve", "Miller & Sons|Eve Moss"),
        ("", ""),
    ] {
        let printed: Vec<String> = bibtex_list(field, &spell).iter().map(AuthorName::to_string).collect();
        assert_eq!(printed.join("|"), expected, "{field}");
    }
}

#[test]
fn names_of_parts_are_printed_in_order() {
    let name = AuthorName::new(" Martin  Luther", "King", "Jr.");
    assert_eq!(name, "Martin Luther King Jr.");
    assert_eq!(
        (name.given(), name.family(), name.suffix()),
        ("Martin Luther", Some("King"), "Jr.")
    );
    for whole in [
        AuthorName::new("", "Plato", ""),
        AuthorName::new("Plato", "", ""),
        AuthorName::literal("Plato"),
    ] {
        assert_eq!(
            (whole.as_str(), whole.given(), whole.family(), whole.suffix()),
            ("Plato", "", None, "")
        );
    }
    assert_eq!(AuthorName::new("", "King", "Jr.").family(), Some("King"));
    let marked = AuthorName::new("A&amp;B", "Moss", "").map(|part| part.replace("&amp;", "&").into());
    assert_eq!((marked.as_str(), marked.family()), ("A&B Moss", Some("Moss")));
}

#[test]
fn what_stands_for_others_is_no_name() {
    assert_eq!(each(["Ada Lovelace", "et al.", " ", "others"]), ["Ada Lovelace"]);
}

proptest! {
    #[test]
    fn any_text_is_a_name(text in "[A-Za-zéł(){},;.@<>' -]{0,60}|\\PC{0,60}") {
        let name = AuthorName::parse(&text);
        prop_assert_eq!(text::one_line(name.as_str()), name.as_str());
        let parts = [name.given(), name.family().unwrap_or_default(), name.suffix()];
        if name.family().is_some() {
            prop_assert_eq!(AuthorName::new(parts[0], parts[1], parts[2]), name.clone());
        }
        for name in list(&text).iter().chain(&bibtex_list(&text, &|part| part.to_owned())) {
            prop_assert!(keys(name).len() <= 80, "{:?}", name);
        }
    }

    #[test]
    fn a_name_is_found_by_itself(text in "[A-Za-zéł.' -]{1,60}|\\PC{1,40}") {
        let name = AuthorName::parse(&text);
        if !keys(&name).is_empty() {
            prop_assert!(shares_key(&name, name.as_str()), "{:?} {:?}", keys(&name), search_keys(name.as_str()));
        }
    }
}
