//! How domains stand to each other.

/// Whether a domain is the other one, or within it, or around it.
pub fn is_related(one: &str, other: &str) -> bool {
    is_within(one, other) || is_within(other, one)
}

/// Whether a domain is the other one or within it.
pub fn is_within(inner: &str, outer: &str) -> bool {
    let (inner, outer) = (inner.to_ascii_lowercase(), outer.to_ascii_lowercase());
    let rest = inner.strip_suffix(&outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn related_domains_are_within_each_other() {
        for (one, other, related) in [
            ("example.org", "example.org", true),
            ("mail.example.org", "Example.org", true),
            ("example.org", "a.b.example.org", true),
            ("notexample.org", "example.org", false),
            ("a.example.org", "b.example.org", false),
            ("example.com", "example.org", false),
        ] {
            assert_eq!(is_related(one, other), related, "{one} {other}");
            assert_eq!(is_related(other, one), related, "{other} {one}");
        }
    }
}
