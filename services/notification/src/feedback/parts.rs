//! Takes a message apart: its header fields, and the parts of a multipart, one level after the other.
//!
//! Reports come from every kind of mail server, so what is broken is read as far as it goes; nothing here fails.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Deeper nesting is left unread.
const DEPTH: usize = 4;
const PARTS: usize = 100;

/// A message, or a part of one.
#[derive(Debug)]
pub struct Part {
    /// Name in lower case, value unfolded.
    pub fields: Vec<(String, String)>,
    /// What is behind the fields.
    pub body: String,
}

impl Part {
    /// Of a message as text.
    pub fn read(text: &str) -> Self {
        let (head, body) = halves(text);
        let fields = fields(head);
        let part = Self {
            fields,
            body: String::new(),
        };
        let encoded = part
            .field("content-transfer-encoding")
            .trim()
            .eq_ignore_ascii_case("base64");
        let body = if encoded { decoded(body) } else { body.to_owned() };
        Self { body, ..part }
    }

    /// The first field of a name; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// All fields of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.as_str())
    }

    /// `multipart/report` and the like, in lower case.
    pub fn kind(&self) -> String {
        let kind = self.field("content-type").split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }

    /// All parts that hold no further ones.
    pub fn leaves(self) -> Vec<Part> {
        let mut leaves = Vec::new();
        self.collect(DEPTH, &mut leaves);
        leaves
    }

    fn collect(self, depth: usize, leaves: &mut Vec<Part>) {
        let boundary = match self.kind().strip_prefix("multipart/") {
            Some(_) if depth > 0 => parameter(self.field("content-type"), "boundary"),
            _ => None,
        };
        let Some(boundary) = boundary else {
            leaves.push(self);
            return;
        };
        for part in between(&self.body, &boundary) {
            if leaves.len() < PARTS {
                Part::read(&part).collect(depth - 1, leaves);
            }
        }
    }
}

/// Groups of fields, parted by empty lines.
pub fn groups(body: &str) -> Vec<Vec<(String, String)>> {
    let mut groups = Vec::new();
    let mut rest = body.trim_start_matches(['\r', '\n']);
    while !rest.is_empty() && groups.len() < PARTS {
        let (head, behind) = halves(rest);
        groups.push(fields(head));
        rest = behind.trim_start_matches(['\r', '\n']);
    }
    groups
}

/// What is in front of the first empty line and what is behind it.
fn halves(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')) {
        return ("", rest);
    }
    let ends = ["\r\n\r\n", "\n\n"]
        .iter()
        .filter_map(|end| text.find(end).map(|at| (at, end.len())));
    match ends.min() {
        Some((at, length)) => (&text[..at], &text[at + length..]),
        None => (text, ""),
    }
}

fn fields(head: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    fields
}

/// A parameter of a field such as `multipart/report; boundary="x"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let found = value.split(';').skip(1).find_map(|one| {
        let (name, value) = one.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.trim().trim_matches('"').to_owned())
    });
    found.filter(|value| !value.is_empty())
}

/// What is between the boundaries; the last part goes to the end where its boundary is missing.
fn between(body: &str, boundary: &str) -> Vec<String> {
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut current: Option<String> = None;
    for line in body.split_inclusive('\n') {
        let Some(rest) = line.strip_prefix(&mark) else {
            if let Some(part) = &mut current {
                part.push_str(line);
            }
            continue;
        };
        parts.extend(current.take());
        if rest.starts_with("--") {
            return parts;
        }
        current = Some(String::new());
    }
    parts.extend(current);
    parts
}

fn decoded(body: &str) -> String {
    let plain: String = body.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(plain).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
