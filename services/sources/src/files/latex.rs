//! Letters that BibTeX writes as commands, and braces that only protect capitals.
//!
//! Mathematics between dollars stays as it is written.

/// Plain text of a BibTeX value.
pub fn plain(text: &str) -> String {
    if !text.contains(['\\', '{', '}', '~', '$', '-']) {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        rest = match c {
            '$' => {
                let end = behind.find('$').map_or(behind.len(), |end| end + 1);
                plain.push('$');
                plain.push_str(&behind[..end]);
                &behind[end..]
            }
            '{' | '}' => behind,
            '~' => {
                plain.push(' ');
                behind
            }
            '-' if behind.starts_with("--") => {
                plain.push('—');
                &behind[2..]
            }
            '-' if behind.starts_with('-') => {
                plain.push('–');
                &behind[1..]
            }
            '\\' => command(behind, &mut plain),
            other => {
                plain.push(other);
                behind
            }
        };
    }
    plain
}

/// Writes what a command stands for and returns what follows it.
fn command<'a>(text: &'a str, plain: &mut String) -> &'a str {
    let Some(first) = text.chars().next() else {
        return text;
    };
    if let Some(mark) = mark(first) {
        let is_letter = first.is_ascii_alphabetic();
        let behind = &text[first.len_utf8()..];
        let argument = behind.trim_start().starts_with('{') || behind.starts_with(' ') || !is_letter;
        if argument {
            return accented(behind, mark, plain);
        }
    }
    if !first.is_ascii_alphabetic() {
        plain.push(first);
        return &text[first.len_utf8()..];
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    match letter(&text[..end]) {
        Some(letter) => {
            plain.push_str(letter);
            // A command ends with its blank or an empty group.
            let behind = &text[end..];
            behind
                .strip_prefix("{}")
                .or_else(|| behind.strip_prefix(' '))
                .unwrap_or(behind)
        }
        None if matches!(
            &text[..end],
            "emph" | "textit" | "textbf" | "texttt" | "textsc" | "mathrm" | "em" | "it" | "bf"
        ) =>
        {
            &text[end..]
        }
        None => {
            plain.push('\\');
            plain.push_str(&text[..end]);
            &text[end..]
        }
    }
}

/// The letter that follows, with a mark on it.
fn accented<'a>(text: &'a str, mark: char, plain: &mut String) -> &'a str {
    let inner = text.trim_start_matches([' ', '{']);
    let (letter, behind) = match inner.strip_prefix("\\i").or_else(|| inner.strip_prefix("\\j")) {
        Some(behind) => (if inner.starts_with("\\i") { 'i' } else { 'j' }, behind),
        None => match inner.chars().next() {
            Some(letter) if letter.is_alphabetic() => (letter, &inner[letter.len_utf8()..]),
            _ => return inner,
        },
    };
    plain.push(letter);
    plain.push(mark);
    behind.strip_prefix('}').unwrap_or(behind)
}

fn mark(command: char) -> Option<char> {
    Some(match command {
        '"' => '\u{308}',
        '\'' => '\u{301}',
        '`' => '\u{300}',
        '^' => '\u{302}',
        '~' => '\u{303}',
        '=' => '\u{304}',
        '.' => '\u{307}',
        'u' => '\u{306}',
        'v' => '\u{30c}',
        'H' => '\u{30b}',
        'c' => '\u{327}',
        'k' => '\u{328}',
        'r' => '\u{30a}',
        _ => return None,
    })
}

fn letter(command: &str) -> Option<&'static str> {
    Some(match command {
        "ss" => "ß",
        "o" => "ø",
        "O" => "Ø",
        "l" => "ł",
        "L" => "Ł",
        "ae" => "æ",
        "AE" => "Æ",
        "oe" => "œ",
        "OE" => "Œ",
        "aa" => "å",
        "AA" => "Å",
        "i" => "ı",
        "dh" => "ð",
        "th" => "þ",
        "textendash" => "–",
        "textemdash" => "—",
        "textquoteright" => "’",
        _ => return None,
    })
}
