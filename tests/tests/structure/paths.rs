//! Paths that code names: `crate::bus::Bus`, also within macros, and each of those that braces of an import stand for.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// A path and the line it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
}

/// Every path that items name.
pub fn named(items: &[Item]) -> Vec<Named> {
    let mut all = Vec::new();
    for item in items {
        in_tokens(item.to_token_stream(), &mut all);
        let mut imports = Imports(&mut all);
        imports.visit_item(item);
    }
    all
}

struct Imports<'a>(&'a mut Vec<Named>);

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        in_import(&import.tree, Vec::new(), self.0);
        visit::visit_item_use(self, import);
    }
}

fn in_import(tree: &UseTree, mut before: Vec<String>, all: &mut Vec<Named>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            in_import(&path.tree, before, all);
        }
        UseTree::Name(name) => push(before, &name.ident, all),
        UseTree::Rename(rename) => push(before, &rename.ident, all),
        UseTree::Glob(glob) => all.push(Named {
            segments: before,
            line: glob.star_token.spans[0].start().line,
        }),
        UseTree::Group(group) => {
            for inner in &group.items {
                in_import(inner, before.clone(), all);
            }
        }
    }
}

fn push(mut segments: Vec<String>, name: &syn::Ident, all: &mut Vec<Named>) {
    let line = name.span().start().line;
    if name != "self" {
        segments.push(name.to_string());
    }
    all.push(Named { segments, line });
}

/// Sequences of names with `::` between them.
fn in_tokens(tokens: TokenStream, all: &mut Vec<Named>) {
    let mut current: Option<Named> = None;
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                let name_text = name.to_string();
                match &mut current {
                    Some(path) if colons == 2 => path.segments.push(name_text),
                    _ => {
                        all.extend(current.take());
                        let line = name.span().start().line;
                        current = Some(Named {
                            segments: vec![name_text],
                            line,
                        });
                    }
                }
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                all.extend(current.take());
                colons = 0;
                in_tokens(group.stream(), all);
            }
            _ => {
                all.extend(current.take());
                colons = 0;
            }
        }
    }
    all.extend(current);
}

#[test]
fn paths_are_found_in_imports_code_and_macros() {
    let file: syn::File = syn::parse_str(
        "use crate::{a::B, c::{self, D}};
         fn f(x: u8) { info!(now = %jiff::Timestamp::now(), \"x\"); super::g::<u8>(); }",
    )
    .unwrap();
    let all = named(&file.items);
    let texts: Vec<String> = all.iter().map(|path| path.segments.join("::")).collect();
    for expected in [
        "crate::a::B",
        "crate::c",
        "crate::c::D",
        "jiff::Timestamp::now",
        "super::g",
    ] {
        assert!(texts.iter().any(|text| text == expected), "{expected}: {texts:?}");
    }
    assert!(!texts.iter().any(|text| text.contains("x::u8")), "{texts:?}");
    let clock = all
        .iter()
        .find(|path| path.segments.last().is_some_and(|name| name == "now"));
    assert_eq!(clock.map(|path| path.line), Some(2));
}
