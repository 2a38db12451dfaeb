//! Parses a message: its header fields, and the parts of a multipart, level by level.
//!
//! Reports come from every kind of mail server, so a broken one is read as far as it goes; nothing here fails. It is our own
//! because a report needs little of MIME, and the little has to hold for cut-off and mislabelled messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Deeper nesting is left unread.
const MAX_DEPTH: usize = 4;
const MAX_PARTS: usize = 100;

/// A message, or a part of one.
#[derive(Debug)]
pub struct MimePart {
    /// Name in lower case, value unfolded.
    pub fields: Vec<(String, String)>,
    /// What follows the fields, decoded where it is base64.
    pub body: String,
}

impl MimePart {
    /// Of a message as text.
    pub fn parse(text: &str) -> Self {
        let (head, body) = split_head(text);
        let fields = parse_fields(head);
        let part = Self {
            fields,
            body: String::new(),
        };
        let encoded = part
            .field("content-transfer-encoding")
            .trim()
            .eq_ignore_ascii_case("base64");
        let body = if encoded { from_base64(body) } else { body.to_owned() };
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
    pub fn content_type(&self) -> String {
        let name = self.field("content-type").split(';').next().unwrap_or_default();
        name.trim().to_ascii_lowercase()
    }

    /// All parts that hold no further ones.
    pub fn leaves(self) -> Vec<MimePart> {
        let mut leaves = Vec::new();
        self.collect(MAX_DEPTH, &mut leaves);
        leaves
    }

    fn collect(self, depth: usize, leaves: &mut Vec<MimePart>) {
        let boundary = match self.content_type().strip_prefix("multipart/") {
            Some(_) if depth > 0 => parameter(self.field("content-type"), "boundary"),
            _ => None,
        };
        let Some(boundary) = boundary else {
            leaves.push(self);
            return;
        };
        for part in between_boundaries(&self.body, &boundary) {
            if leaves.len() < MAX_PARTS {
                MimePart::parse(&part).collect(depth - 1, leaves);
            }
        }
    }
}

/// Groups of fields, separated by empty lines.
pub fn field_groups(body: &str) -> Vec<Vec<(String, String)>> {
    let mut groups = Vec::new();
    let mut rest = body.trim_start_matches(['\r', '\n']);
    while !rest.is_empty() && groups.len() < MAX_PARTS {
        let (head, behind) = split_head(rest);
        groups.push(parse_fields(head));
        rest = behind.trim_start_matches(['\r', '\n']);
    }
    groups
}

/// What precedes the first empty line, and what follows it.
fn split_head(text: &str) -> (&str, &str) {
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

fn parse_fields(head: &str) -> Vec<(String, String)> {
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
fn parameter(value: &str, name: &str) -> Option<String> {
    let found = value.split(';').skip(1).find_map(|one| {
        let (known, value) = one.split_once('=')?;
        let matches = known.trim().eq_ignore_ascii_case(name);
        matches.then(|| value.trim().trim_matches('"').to_owned())
    });
    found.filter(|value| !value.is_empty())
}

/// The texts between the boundaries; the last one goes to the end where its boundary is missing.
fn between_boundaries(body: &str, boundary: &str) -> Vec<String> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut current: Option<String> = None;
    for line in body.split_inclusive('\n') {
        let Some(rest) = line.strip_prefix(&delimiter) else {
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

fn from_base64(body: &str) -> String {
    let plain: String = body.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(plain).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
