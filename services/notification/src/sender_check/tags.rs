//! Records that are lists of tags, `v=DKIM1; k=rsa; p=…` (RFC 6376, section 3.2).

/// The tags of a record, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList(Vec<(String, String)>);

impl TagList {
    /// Parses a record; the error names what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tags: Vec<(String, String)> = Vec::new();
        for tag in text.split(';').map(str::trim).filter(|tag| !tag.is_empty()) {
            let (name, value) = tag.split_once('=').ok_or_else(|| format!("{tag} is no tag"))?;
            let name = name.trim().to_owned();
            if tags.iter().any(|(known, _)| *known == name) {
                return Err(format!("{name} is there twice"));
            }
            tags.push((name, value.trim().to_owned()));
        }
        Ok(Self(tags))
    }

    /// The value of a tag.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The name of the first tag.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(|(name, _)| name.as_str())
    }

    /// Whether a list with colons between has an element; true where there is no such tag.
    pub fn allows(&self, name: &str, element: &str) -> bool {
        self.get(name)
            .is_none_or(|list| list.split(':').any(|one| one.trim().eq_ignore_ascii_case(element)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_names_and_values() {
        let tags = TagList::parse(" v=DKIM1 ; k=rsa;p=ab=\n cd==; ").expect("sound");
        assert_eq!(
            (tags.get("v"), tags.get("p"), tags.get("x")),
            (Some("DKIM1"), Some("ab=\n cd=="), None)
        );
        assert_eq!(tags.first(), Some("v"));
        assert!(tags.allows("h", "sha256"));
        assert!(TagList::parse("h=sha1:sha256").is_ok_and(|tags| tags.allows("h", "SHA256")));
        assert!(TagList::parse("h=sha1").is_ok_and(|tags| !tags.allows("h", "sha256")));
        for wrong in ["v", "p=1; p=2"] {
            assert!(TagList::parse(wrong).is_err(), "{wrong}");
        }
    }
}
