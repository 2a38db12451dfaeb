//! The production modules of every crate, as syntax: what is compiled for tests alone is left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, ImplItem, Item, TraitItem};

/// A crate of the workspace.
pub struct Crate {
    pub name: String,
    pub modules: Vec<Module>,
}

/// A module: a file, or a block within one.
pub struct Module {
    /// Its path in the crate, empty for the root.
    pub path: Vec<String>,
    /// Relative to the workspace.
    pub file: PathBuf,
    /// What it holds, without modules within it and without tests.
    pub items: Vec<Item>,
    /// Lines of the file, without tests; 0 for a block within a file.
    pub lines: usize,
}

/// Every crate under `services` and `proto`.
pub fn read(root: &Path) -> Vec<Crate> {
    let services = std::fs::read_dir(root.join("services")).unwrap();
    let mut folders: Vec<PathBuf> = services.map(|entry| entry.unwrap().path()).collect();
    folders.push(root.join("proto"));
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    folders.iter().map(|folder| read_crate(root, folder)).collect()
}

fn read_crate(root: &Path, folder: &Path) -> Crate {
    let source = folder.join("src");
    let mut modules = Vec::new();
    for file in rust_files(&source) {
        let text = std::fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(root).unwrap().to_owned();
        modules.extend(parse(&module_path(file.strip_prefix(&source).unwrap()), &shown, &text));
    }
    without_test_files(&mut modules);
    Crate {
        name: folder.file_name().unwrap().to_string_lossy().into_owned(),
        modules,
    }
}

/// Every Rust file under a folder, sorted.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The path of a module by its file, relative to `src`.
fn module_path(file: &Path) -> Vec<String> {
    let names = file.with_extension("");
    let mut path: Vec<String> = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|name| name == "mod")
        || matches!(path.as_slice(), [root] if root == "lib" || root == "main")
    {
        path.pop();
    }
    path
}

/// The module of a file and those within it. A module that is declared for tests alone keeps its declaration, so that
/// [`without_test_files`] finds its file.
pub fn parse(path: &[String], file: &Path, text: &str) -> Vec<Module> {
    let mut syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut tests = WithoutTests::default();
    tests.visit_file_mut(&mut syntax);
    let mut modules = Vec::new();
    split(path, file, syntax.items, &mut modules);
    modules[0].lines = text.lines().count() - tests.lines;
    modules
}

fn split(path: &[String], file: &Path, items: Vec<Item>, modules: &mut Vec<Module>) {
    let at = modules.len();
    modules.push(Module {
        path: path.to_vec(),
        file: file.to_owned(),
        items: Vec::new(),
        lines: 0,
    });
    for item in items {
        match item {
            Item::Mod(mut inner) if inner.content.is_some() => {
                let (_, content) = inner.content.take().unwrap();
                let mut inner_path = path.to_vec();
                inner_path.push(inner.ident.to_string());
                split(&inner_path, file, content, modules);
                modules[at].items.push(Item::Mod(inner));
            }
            other => modules[at].items.push(other),
        }
    }
}

/// Leaves out the files of modules that are declared for tests alone, and what is below them.
fn without_test_files(modules: &mut Vec<Module>) {
    let mut for_tests = BTreeSet::new();
    for module in modules.iter() {
        for item in &module.items {
            if let Item::Mod(declared) = item
                && is_for_tests(&declared.attrs)
            {
                let mut path = module.path.clone();
                path.push(declared.ident.to_string());
                for_tests.insert(path);
            }
        }
    }
    modules.retain(|module| !(1..=module.path.len()).any(|length| for_tests.contains(&module.path[..length])));
    for module in modules {
        module
            .items
            .retain(|item| !matches!(item, Item::Mod(declared) if is_for_tests(&declared.attrs)));
    }
}

/// Takes items for tests out and counts their lines.
#[derive(Default)]
struct WithoutTests {
    lines: usize,
}

impl WithoutTests {
    fn keeps(&mut self, attributes: &[Attribute], span: proc_macro2::Span) -> bool {
        let removed = is_for_tests(attributes);
        if removed {
            self.lines += span.end().line - span.start().line + 1;
        }
        !removed
    }

    fn retain_items(&mut self, items: &mut Vec<Item>) {
        // The declaration of a file of tests stays: it says that the file is one.
        items.retain(|item| {
            matches!(item, Item::Mod(declared) if declared.content.is_none())
                || self.keeps(item_attributes(item), item.span())
        });
    }
}

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        self.retain_items(&mut file.items);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            self.retain_items(items);
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            ImplItem::Fn(inner) => self.keeps(&inner.attrs, inner.span()),
            ImplItem::Const(inner) => self.keeps(&inner.attrs, inner.span()),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_item_trait_mut(&mut self, block: &mut syn::ItemTrait) {
        block.items.retain(|item| match item {
            TraitItem::Fn(inner) => self.keeps(&inner.attrs, inner.span()),
            _ => true,
        });
        visit_mut::visit_item_trait_mut(self, block);
    }
}

fn item_attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an attribute leaves what it stands before to tests alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return attribute.path().is_ident("test");
        };
        let condition = list.tokens.to_string();
        let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
        list.path.is_ident("cfg") && words.any(|word| word == "test") && !condition.contains("not")
    })
}

#[test]
fn what_is_for_tests_is_left_out() {
    let text = "
        fn kept() {}
        #[cfg(test)]
        fn gone() {}
        mod inner { use super::kept; }
        #[cfg(test)]
        mod tests {
            fn gone_too() {}
        }
        #[cfg(not(test))]
        fn kept_too() {}
        #[cfg(any(test, feature = \"fakes\"))]
        mod fakes;
    ";
    let modules = parse(&["a".to_owned()], Path::new("a.rs"), text);
    let paths: Vec<String> = modules.iter().map(|module| module.path.join("::")).collect();
    assert_eq!(paths, ["a", "a::inner"]);
    assert_eq!(modules[0].lines, text.lines().count() - 6);
    let mut all = modules;
    all.extend(parse(
        &["a".to_owned(), "fakes".to_owned()],
        Path::new("a/fakes.rs"),
        "fn fake() {}",
    ));
    without_test_files(&mut all);
    let paths: Vec<String> = all.iter().map(|module| module.path.join("::")).collect();
    assert_eq!(paths, ["a", "a::inner"]);
    assert_eq!(all[0].items.len(), 3, "two functions and the module within");
}
