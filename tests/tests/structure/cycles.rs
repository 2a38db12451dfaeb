//! Circles: groups of modules of one crate that use each other. A parent and what is below it may.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::paths::{self, Named};
use crate::workspace::Crate;
use crate::{Finding, Kind};

/// The modules that one uses, each with a place where it does.
type Uses = BTreeMap<Vec<String>, BTreeMap<Vec<String>, (PathBuf, usize)>>;

/// One finding for each circle; it names a place of each use in it.
pub fn findings(crates: &[Crate]) -> Vec<Finding> {
    crates.iter().flat_map(in_crate).collect()
}

fn in_crate(one: &Crate) -> Vec<Finding> {
    let known: BTreeSet<&[String]> = one.modules.iter().map(|module| module.path.as_slice()).collect();
    let mut uses = Uses::new();
    for module in &one.modules {
        let of_module = uses.entry(module.path.clone()).or_default();
        for path in paths::named(&module.items) {
            let Some(target) = target(&module.path, &path, &known) else {
                continue;
            };
            if !target.starts_with(&module.path) && !module.path.starts_with(&target) {
                of_module.entry(target).or_insert((module.file.clone(), path.line));
            }
        }
    }
    circles(&uses)
        .iter()
        .map(|circle| finding(one, circle, &uses))
        .collect()
}

/// The module of the crate that a path leads to or into.
fn target(module: &[String], path: &Named, known: &BTreeSet<&[String]>) -> Option<Vec<String>> {
    let mut rest = path.segments.as_slice();
    let mut base = match rest.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    if rest[0] != "super" {
        rest = &rest[1..];
    }
    while rest.first().is_some_and(|name| name == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend(rest.iter().cloned());
    while !known.contains(base.as_slice()) {
        base.pop()?;
    }
    Some(base)
}

/// Groups of modules each of which reaches every other.
fn circles(uses: &Uses) -> Vec<Vec<Vec<String>>> {
    let reached: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> =
        uses.keys().map(|module| (module, reachable(module, uses))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (module, from_here) in &reached {
        let returns = |other: &&&Vec<String>| reached.get(**other).is_some_and(|back| back.contains(*module));
        let circle: Vec<Vec<String>> = from_here.iter().filter(returns).map(|other| (*other).clone()).collect();
        if circle.len() > 1 && seen.insert(circle.clone()) {
            circles.push(circle);
        }
    }
    circles
}

fn reachable<'a>(from: &'a Vec<String>, uses: &'a Uses) -> BTreeSet<&'a Vec<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in uses.get(module).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(next) {
                open.push(next);
            }
        }
    }
    found
}

fn finding(one: &Crate, circle: &[Vec<String>], uses: &Uses) -> Finding {
    let mut places = Vec::new();
    for module in circle {
        for (used, (file, line)) in &uses[module] {
            if circle.contains(used) {
                places.push((file, *line, module.join("::"), used.join("::")));
            }
        }
    }
    let (file, line, ..) = &places[0];
    let shown = places
        .iter()
        .map(|(file, line, from, to)| format!("{from} uses {to} ({}:{line})", file.display()));
    Finding {
        kind: Kind::Cycles,
        file: (*file).clone(),
        line: *line,
        text: format!("{}: {}", one.name, shown.collect::<Vec<_>>().join(", ")),
    }
}

#[test]
fn circles_are_found_and_parents_are_none() {
    let crate_of = |files: &[(&str, &str)]| Crate {
        name: "one".to_owned(),
        modules: files
            .iter()
            .flat_map(|(path, text)| {
                let path: Vec<String> = path.split_terminator("::").map(str::to_owned).collect();
                crate::workspace::parse(&path, std::path::Path::new("x.rs"), text)
            })
            .collect(),
    };
    let circle = crate_of(&[
        ("", "mod a; mod b;"),
        ("a", "use crate::{b::B, d};"),
        ("b", "fn f() { super::c::deep::g(); }"),
        ("c", "mod deep;"),
        ("c::deep", "use super::super::a::A;"),
    ]);
    let found = findings(&[circle]);
    assert_eq!(found.len(), 1, "{found:?}");
    for edge in ["a uses b", "b uses c::deep", "c::deep uses a"] {
        assert!(found[0].text.contains(edge), "{edge}: {found:?}");
    }
    let none = crate_of(&[
        ("", "use a::A; mod a;"),
        ("a", "use crate::b::B; mod child; use child::C;"),
        ("a::child", "use super::D;"),
        ("b", "#[cfg(test)] mod tests { use crate::a::A; }"),
    ]);
    assert_eq!(findings(&[none]), []);
}
