//! A record of a file as named values of any type, borrowed from its text as far as possible.
//!
//! Every format that names its fields becomes this, and [`super::fields`] finds the fields of a paper in it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Loose<'a> {
    /// Null.
    Nothing,
    /// True or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Self>),
    /// Named values, in the order of the text.
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Loose<'a> {
    /// Text that is not kept elsewhere.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// The value of a name in an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The value at a path: a name, or names with dots between that lead into objects.
    pub fn at(&self, path: &str) -> Option<&Self> {
        self.get(path)
            .or_else(|| path.split('.').try_fold(self, |value, name| value.get(name)))
    }

    /// The text of a value that is one, or the first text of a list or of an object that only names something.
    pub fn words(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            Self::Text(text) => Cow::Borrowed(text.trim()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Real(number) => Cow::Owned(number.to_string()),
            Self::List(list) => return list.iter().find_map(Self::words),
            Self::Object(_) => return NAMES.iter().find_map(|name| self.get(name)?.words()),
            Self::Nothing | Self::Flag(_) => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::List(list) => list.iter().all(Self::is_empty),
            Self::Object(members) => members.iter().all(|(_, value)| value.is_empty()),
            Self::Flag(_) | Self::Integer(_) | Self::Real(_) => false,
        }
    }
}

/// What an object calls the text that it is about.
const NAMES: [&str; 9] = [
    "name",
    "display_name",
    "full_name",
    "fullName",
    "value",
    "text",
    "title",
    "term",
    "category",
];

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Loose::Nothing)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Loose::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Loose::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Loose::Real(number as f64), Loose::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Loose::Real(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Loose::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Key<'de>, _>()? {
            members.push((key.0, value));
        }
        Ok(Loose::Object(members))
    }
}

/// A name in an object; serde would copy it.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match LooseVisitor::deserialize_name(deserializer)? {
            Loose::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a name is no text")),
        }
    }
}

impl LooseVisitor {
    fn deserialize_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Loose<'de>, D::Error> {
        deserializer.deserialize_str(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Loose<'_> {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn text_is_borrowed_unless_it_was_escaped() {
        let value = read(r#"{"a":"plain","b":"line\nbreak"}"#);
        assert!(matches!(value.get("a"), Some(Loose::Text(Cow::Borrowed("plain")))));
        assert!(matches!(value.get("b"), Some(Loose::Text(Cow::Owned(text))) if text == "line\nbreak"));
    }

    #[test]
    fn words_are_found_where_they_plainly_are() {
        let value = read(r#"{"n":7,"y":2024.5,"l":[null,"x"],"o":{"name":"Ada"},"e":" ","d":{"a.b":1,"a":{"b":2}}}"#);
        let words = |path: &str| value.at(path).and_then(|value| value.words().map(Cow::into_owned));
        assert_eq!(words("n").as_deref(), Some("7"));
        assert_eq!((words("l").as_deref(), words("o").as_deref()), (Some("x"), Some("Ada")));
        assert_eq!((words("e"), words("d.a.b").as_deref()), (None, Some("2")));
        assert!(read("[null, {}, \" \"]").is_empty() && !read("[0]").is_empty());
    }
}
