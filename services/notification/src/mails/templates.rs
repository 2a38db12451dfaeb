//! The templates: the built-in ones, the operator's where these replace them, and how values are printed.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value, escape_formatter};

use super::locale;

const BUILT_IN: [(&str, &str); 15] = [
    ("layout/body.html", include_str!("../templates/layout/body.html")),
    (
        "confirmation/subject.txt",
        include_str!("../templates/confirmation/subject.txt"),
    ),
    (
        "confirmation/body.txt",
        include_str!("../templates/confirmation/body.txt"),
    ),
    (
        "confirmation/body.html",
        include_str!("../templates/confirmation/body.html"),
    ),
    ("digest/subject.txt", include_str!("../templates/digest/subject.txt")),
    ("digest/body.txt", include_str!("../templates/digest/body.txt")),
    ("digest/body.html", include_str!("../templates/digest/body.html")),
    ("digest/paper.txt", include_str!("../templates/digest/paper.txt")),
    ("digest/paper.html", include_str!("../templates/digest/paper.html")),
    ("webhook/subject.txt", include_str!("../templates/webhook/subject.txt")),
    ("webhook/body.txt", include_str!("../templates/webhook/body.txt")),
    ("webhook/body.html", include_str!("../templates/webhook/body.html")),
    ("account/subject.txt", include_str!("../templates/account/subject.txt")),
    ("account/body.txt", include_str!("../templates/account/body.txt")),
    ("account/body.html", include_str!("../templates/account/body.html")),
];

/// The templates, and whether all of them are built in.
pub struct Templates {
    /// The templates.
    pub environment: Environment<'static>,
    /// True where the operator has replaced none.
    pub built_in: bool,
}

/// Reads all templates. A file in `folder` that replaces none is a mistake, not an addition.
pub fn read(folder: Option<&Path>) -> Result<Templates, String> {
    let mut replaced = match folder {
        Some(folder) => files(folder)?,
        None => HashMap::new(),
    };
    let built_in = replaced.is_empty();
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|error| error.to_string())?,
    );
    // A misspelt name is found at the start instead of being left out of every mail.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(print_value);
    environment.add_filter("fill", |text: &str, parts: Kwargs| locale::fill(text, &parts));
    for (name, built_in) in BUILT_IN {
        let source = replaced.remove(name).unwrap_or_else(|| built_in.to_owned());
        environment
            .add_template_owned(name, source)
            .map_err(|error| located(folder, &error))?;
    }
    let Some(unknown) = replaced.keys().min() else {
        return Ok(Templates { environment, built_in });
    };
    let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    Err(format!(
        "notification.templates: {unknown} replaces no template; there are {}",
        names.join(", ")
    ))
}

/// An error with its file and line.
pub fn located(folder: Option<&Path>, error: &Error) -> String {
    let name = error.name().unwrap_or("a template");
    let replaced = folder.map(|folder| folder.join(name)).filter(|path| path.is_file());
    let file = replaced.map_or_else(|| name.to_owned(), |path| path.display().to_string());
    let line = error.line().map_or_else(String::new, |line| format!(", line {line}"));
    let detail = error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| format!("{}: {detail}", error.kind()),
    );
    format!("notification.templates: {file}{line}: {detail}")
}

/// Escapes a text for HTML, in elements and in quoted attributes.
pub fn escape(text: &str, out: &mut impl Write) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let entity = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        // Writing into memory does not fail.
        let _ = out.write_str(&text[from..at]).and_then(|()| out.write_str(entity));
        from = at + 1;
    }
    let _ = out.write_str(&text[from..]);
}

/// Prints as minijinja does, but leaves slashes alone: a mail is half links.
fn print_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() && matches!(state.auto_escape(), AutoEscape::Html) => {
            escape(text, out);
            Ok(())
        }
        _ => escape_formatter(out, state, value),
    }
}

/// The files in the folders of a folder, by `<mail>/<file>`.
fn files(folder: &Path) -> Result<HashMap<String, String>, String> {
    let problem = |path: &Path, error: &std::io::Error| format!("notification.templates: {}: {error}", path.display());
    let list = |path: &Path| -> Result<Vec<std::path::PathBuf>, String> {
        let entries = std::fs::read_dir(path).map_err(|error| problem(path, &error))?;
        let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut paths = paths.map_err(|error| problem(path, &error))?;
        // Mounted volumes keep files of their own under such names.
        paths.retain(|path| {
            path.file_name()
                .is_some_and(|name| !name.to_string_lossy().starts_with('.'))
        });
        Ok(paths)
    };
    let mut found = HashMap::new();
    for inner in list(folder)? {
        let paths = if inner.is_dir() { list(&inner)? } else { vec![inner] };
        for path in paths {
            let name = path
                .strip_prefix(folder)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            let source = std::fs::read_to_string(&path).map_err(|error| problem(&path, &error))?;
            found.insert(name, source);
        }
    }
    Ok(found)
}
