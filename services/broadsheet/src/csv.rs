//! Comma-separated values, line by line, as RFC 4180 has them; a value that runs over lines is refused.

/// The values of a line.
///
/// # Errors
/// What is wrong with it, in words.
pub fn values(line: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let (value, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let value = &rest[..end];
            if value.contains('"') {
                return Err("has a quote inside a value without quotes around it".to_owned());
            }
            (value.trim().to_owned(), &rest[end..])
        };
        values.push(value);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind.trim().is_empty() => return Ok(values),
            None => return Err("has something behind the closing quote of a value".to_owned()),
        }
    }
}

/// A value without its quotes, and what is behind it.
fn unquoted(quoted: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let end = rest
            .find('"')
            .ok_or("has a quote that is not closed on the same line")?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                value.push('"');
                rest = next;
            }
            None => return Ok((value, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_and_quotes_undone() {
        let split = |line: &str| values(line).expect("a sound line");
        assert_eq!(split("a,b,,"), ["a", "b", "", ""]);
        assert_eq!(split(r#""a, b","say ""hi""", c"#), ["a, b", r#"say "hi""#, "c"]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn broken_lines_are_refused() {
        for broken in ["\"a", "\"a\"b,c", "a\"b,c"] {
            assert!(values(broken).is_err(), "{broken}");
        }
    }
}
