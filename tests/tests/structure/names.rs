//! Names of tests, wherever tests are: beside the code, in folders of tests, and in macros that make them.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::workspace::rust_files;
use crate::{Finding, Kind};

/// Most characters of the name of a test.
const MOST: usize = 60;

/// Tests whose names are too long.
pub fn long_test_names(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in ["services", "proto", "tests"] {
        for file in rust_files(&root.join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let tokens: TokenStream = text
                .parse()
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let shown = file.strip_prefix(root).unwrap();
            let mut names = Vec::new();
            test_names(tokens, &mut names);
            let long = names.into_iter().filter(|(name, _)| name.chars().count() > MOST);
            findings.extend(long.map(|(name, line)| Finding {
                kind: Kind::TestNames,
                file: shown.to_owned(),
                line,
                text: format!("{name} has {} characters", name.chars().count()),
            }));
        }
    }
    findings
}

/// Functions behind an attribute whose path ends in `test`, with their lines.
fn test_names(tokens: TokenStream, names: &mut Vec<(String, usize)>) {
    let mut marked = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.peek() {
                    marked |= is_test(attribute.stream());
                    tokens.next();
                }
            }
            TokenTree::Ident(word) if word == "fn" => {
                if let Some(TokenTree::Ident(name)) = tokens.peek()
                    && std::mem::take(&mut marked)
                {
                    names.push((name.to_string(), name.span().start().line));
                }
            }
            TokenTree::Group(group) => test_names(group.stream(), names),
            _ => {}
        }
    }
}

fn is_test(attribute: TokenStream) -> bool {
    let mut last = None;
    for token in attribute {
        match token {
            TokenTree::Ident(name) => last = Some(name.to_string()),
            TokenTree::Punct(punct) if punct.as_char() == ':' => {}
            _ => break,
        }
    }
    last.is_some_and(|name| name == "test")
}

#[test]
fn tests_are_found_in_modules_and_macros() {
    let code = "fn no() {} #[test] #[ignore = \"x\"] fn one() {} #[cfg(test)] mod tests {
        #[tokio::test(flavor = \"multi_thread\")] async fn two() { fn helper() {} }
        proptest! { #[test] fn three(x in 0..3) {} }
    }";
    let mut names = Vec::new();
    test_names(code.parse().unwrap(), &mut names);
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
}
