//! What is looked for in each module by itself, and the names that types of all crates share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proc_macro2::{Ident, Span};
use syn::visit::{self, Visit};

use crate::workspace::{Crate, Module};
use crate::{Finding, Kind, ORDINARY, WORDS, WORDS_OF_A_CRATE, paths};

/// Types that may share a name.
const MOST_OF_A_NAME: usize = 3;
const MOST_LINES_OF_A_FILE: usize = 500;
const MOST_LINES_OF_A_FUNCTION: usize = 70;

const CLOCKS: &[[&str; 2]] = &[
    ["Timestamp", "now"],
    ["ZonedDateTime", "now"],
    ["SystemTime", "now"],
    ["Utc", "now"],
];
const SPAWNS: &[[&str; 2]] = &[
    ["tokio", "spawn"],
    ["task", "spawn"],
    ["tokio", "spawn_blocking"],
    ["task", "spawn_blocking"],
    ["task", "spawn_local"],
    ["thread", "spawn"],
];

/// Everything but circles and names of tests.
pub fn findings(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut types: BTreeMap<String, Vec<(PathBuf, usize)>> = BTreeMap::new();
    for one in crates {
        for module in &one.modules {
            calls(one, module, &mut findings);
            file(one, module, &mut findings);
            let mut declared = Declared {
                of: one,
                module,
                findings: &mut findings,
                types: &mut types,
            };
            for item in &module.items {
                declared.visit_item(item);
            }
        }
    }
    findings.extend(
        types
            .into_iter()
            .filter(|(_, places)| places.len() > MOST_OF_A_NAME)
            .map(shared_name),
    );
    findings
}

fn shared_name((name, places): (String, Vec<(PathBuf, usize)>)) -> Finding {
    let (file, line) = places[0].clone();
    let shown = places.iter().map(|(file, line)| format!("{}:{line}", file.display()));
    Finding {
        kind: Kind::SameNames,
        file,
        line,
        text: format!(
            "{} types are called {name}: {}",
            places.len(),
            shown.collect::<Vec<_>>().join(" ")
        ),
    }
}

/// Readings of the wall clock, and tasks that are started.
fn calls(one: &Crate, module: &Module, findings: &mut Vec<Finding>) {
    let is_clock = module.file.file_name().is_some_and(|name| name == "clock.rs");
    for path in paths::named(&module.items) {
        let [.., before, last] = path.segments.as_slice() else {
            continue;
        };
        let is_one_of = |list: &[[&str; 2]]| list.contains(&[before.as_str(), last.as_str()]);
        let kind = if is_one_of(CLOCKS) && !is_clock {
            Kind::Clocks
        } else if is_one_of(SPAWNS) && one.name != "common" {
            Kind::Spawns
        } else {
            continue;
        };
        findings.push(Finding {
            kind,
            file: module.file.clone(),
            line: path.line,
            text: path.segments.join("::"),
        });
    }
    // An import is found both as one and as a sequence of names.
    findings.dedup();
}

fn file(one: &Crate, module: &Module, findings: &mut Vec<Finding>) {
    let mut push = |kind, text| {
        findings.push(Finding {
            kind,
            file: module.file.clone(),
            line: 1,
            text,
        });
    };
    // A block within a file has no lines of its own.
    if module.lines == 0 {
        return;
    }
    if module.lines > MOST_LINES_OF_A_FILE {
        push(Kind::Long, format!("{} lines", module.lines));
    }
    let name = module.file.file_stem().unwrap().to_string_lossy();
    if name == "mod" {
        push(Kind::ModRs, "a file called mod.rs".to_owned());
    }
    if let Some(word) = replaced_word(&one.name, &name) {
        push(Kind::Words, format!("the name of the file holds {word:?}"));
    }
}

/// Looks at what a module declares.
struct Declared<'a> {
    of: &'a Crate,
    module: &'a Module,
    findings: &'a mut Vec<Finding>,
    types: &'a mut BTreeMap<String, Vec<(PathBuf, usize)>>,
}

impl Declared<'_> {
    fn name(&mut self, name: &Ident) {
        let text = name.to_string();
        if let Some(word) = replaced_word(&self.of.name, &text) {
            self.push(Kind::Words, name.span(), format!("{text} holds {word:?}"));
        }
    }

    fn type_name(&mut self, name: &Ident) {
        let place = (self.module.file.clone(), name.span().start().line);
        self.types.entry(name.to_string()).or_default().push(place);
        self.name(name);
    }

    fn function(&mut self, signature: &syn::Signature, block: Option<&syn::Block>) {
        self.name(&signature.ident);
        let Some(block) = block else { return };
        let (first, last) = (
            signature.fn_token.span.start().line,
            block.brace_token.span.close().end().line,
        );
        let lines = last - first + 1;
        if lines > MOST_LINES_OF_A_FUNCTION {
            let text = format!("{} has {lines} lines", signature.ident);
            self.push(Kind::Long, signature.fn_token.span, text);
        }
    }

    fn push(&mut self, kind: Kind, span: Span, text: String) {
        self.findings.push(Finding {
            kind,
            file: self.module.file.clone(),
            line: span.start().line,
            text,
        });
    }
}

impl<'ast> Visit<'ast> for Declared<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.type_name(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.type_name(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.type_name(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.type_name(&item.ident);
        visit::visit_item_type(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, Some(&item.block));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, Some(&item.block));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.default.as_ref());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.name(&item.ident);
        visit::visit_item_mod(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.name(&item.ident);
        visit::visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.name(&item.ident);
        visit::visit_item_static(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.name(&variant.ident);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.name(name);
        }
        visit::visit_field(self, field);
    }

    // Variables and parameters.
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.name(&pattern.ident);
        visit::visit_pat_ident(self, pattern);
    }
}

/// A word of the lists that a name in a crate is made of.
fn replaced_word(of_crate: &str, name: &str) -> Option<&'static str> {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && snake.ends_with(|before: char| before.is_lowercase() || before.is_ascii_digit()) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    let mut rest = format!("_{snake}_");
    for ordinary in ORDINARY {
        rest = rest.replace(&format!("_{ordinary}_"), "_");
    }
    let of_crate = WORDS_OF_A_CRATE
        .iter()
        .filter(|(name, _)| *name == of_crate)
        .flat_map(|(_, words)| *words);
    WORDS
        .iter()
        .chain(of_crate)
        .find(|word| rest.contains(&format!("_{word}_")))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, file: &str, text: &str) -> Vec<(Kind, usize, String)> {
        let modules = crate::workspace::parse(&["a".to_owned()], std::path::Path::new(file), text);
        let one = Crate {
            name: name.to_owned(),
            modules,
        };
        let findings = findings(&[one]).into_iter();
        findings
            .map(|finding| (finding.kind, finding.line, finding.text))
            .collect()
    }

    #[test]
    fn clocks_and_spawns_are_counted_where_they_are_forbidden() {
        let code = "use tokio::{spawn, time};
            fn f() { thread::spawn(|| 1); tracing::info!(at = %Timestamp::now()); scope.spawn(|| 2); }";
        let kinds: Vec<(Kind, usize)> = found("web", "a.rs", code).iter().map(|one| (one.0, one.1)).collect();
        assert_eq!(kinds, [(Kind::Spawns, 1), (Kind::Spawns, 2), (Kind::Clocks, 2)]);
        assert_eq!(found("common", "clock.rs", code), []);
    }

    #[test]
    fn replaced_words_are_found_in_names_and_files() {
        for (name, word) in [
            ("Keeper", Some("keeper")),
            ("the_letters", Some("letters")),
            ("LetterPress", Some("press")),
            ("DeadLetter", None),
            ("dead_letters_of", None),
            ("dead_letter_of_letters", Some("letters")),
            ("compress", None),
            ("template", None),
        ] {
            assert_eq!(replaced_word("notification", name), word, "{name}");
        }
        assert_eq!(replaced_word("domain", "first_letter"), None);
        let code = "struct S { desk: u8 } fn f(shelf: u8) { let Some(crew) = g() else { return }; for era in x {} }";
        assert_eq!(found("web", "src/press.rs", code).len(), 5);
    }

    #[test]
    fn long_functions_and_files_are_counted_without_tests() {
        let function = |lines: usize| format!("fn f() {{\n{}}}\n", "g();\n".repeat(lines - 2));
        assert_eq!(found("web", "a.rs", &function(70)), []);
        assert_eq!(found("web", "a.rs", &function(71))[0].2, "f has 71 lines");
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}", "// x\n".repeat(600));
        assert_eq!(found("web", "a.rs", &tests), []);
        assert_eq!(found("web", "a.rs", &"// x\n".repeat(501))[0].2, "501 lines");
        assert_eq!(found("web", "mod.rs", "fn f() {}")[0].0, Kind::ModRs);
    }

    #[test]
    fn a_name_of_four_types_is_counted_once() {
        let code = "mod a { struct Part; } mod b { enum Part {} } mod c { type Part = u8; }";
        assert_eq!(found("web", "lib.rs", code), []);
        let code = format!("{code} trait Part {{ type Part; }} impl I for X {{ type Part = u8; }}");
        let found = found("web", "lib.rs", &code);
        assert_eq!((found.len(), found[0].0), (1, Kind::SameNames));
        assert!(found[0].2.starts_with("4 types are called Part"), "{found:?}");
    }
}
