//! CSL-JSON, as Zotero, Mendeley and doi.org give it. Pure.

use domain::merging::{Identifier, Scheme};
use domain::{AuthorName, LinkKind};
use serde_json::Value;

use crate::crossref::date_of;
use crate::dates;
use crate::interpretation::Interpretation;
use crate::json::{self, first_text, list, text};
use crate::text_format::{TextFormat, TextFormats};

/// What an item of CSL-JSON means.
pub fn interpret(value: &Value) -> Interpretation {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(unusable) => return unusable,
    };
    draft.formats = TextFormats::all(TextFormat::Mixed);
    draft.native_id = match value.get("id") {
        Some(Value::Number(id)) => id.to_string(),
        _ => text(value, "/id").to_owned(),
    };
    if let Some(identifier) = Identifier::recognise(&draft.native_id) {
        draft.identifiers.insert(identifier);
    }
    draft.identify(Scheme::Doi, text(value, "/DOI"));
    draft.identify(Scheme::Pubmed, text(value, "/PMID"));
    // Where Zotero keeps the id of a preprint.
    if let Some(identifier) = Identifier::recognise(text(value, "/number"))
        && identifier.scheme() == Scheme::Arxiv
    {
        draft.identifiers.insert(identifier);
    }
    first_text(value, "/title").clone_into(&mut draft.title);
    text(value, "/abstract").clone_into(&mut draft.abstract_text);
    draft.authors = list(value, "/author").iter().map(author).collect();
    draft.categories = categories(value);
    draft.published = ["/issued", "/available-date", "/original-date"]
        .iter()
        .find_map(|pointer| date_of(value, pointer).or_else(|| written_date(value, pointer)));
    draft.datestamp = draft.published;
    text(value, "/language").clone_into(&mut draft.language);
    draft.link(LinkKind::Abstract, text(value, "/URL"));
    Interpretation::paper(draft)
}

/// A date that is written out instead of given in parts.
fn written_date(value: &Value, pointer: &str) -> Option<jiff::Timestamp> {
    let written = ["/raw", "/literal"].map(|member| text(value, &format!("{pointer}{member}")));
    written.iter().find_map(|date| dates::parse(date))
}

fn author(value: &Value) -> AuthorName {
    let literal = text(value, "/literal");
    if !literal.is_empty() {
        return AuthorName::literal(literal);
    }
    let family = ["/dropping-particle", "/non-dropping-particle", "/family"].map(|pointer| text(value, pointer));
    AuthorName::new(text(value, "/given"), &family.join(" "), text(value, "/suffix"))
}

fn categories(value: &Value) -> Vec<String> {
    let keywords = text(value, "/keyword")
        .split([',', ';'])
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let lists = list(value, "/categories").iter().filter_map(Value::as_str);
    keywords.chain(lists).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::RecordDraft;

    fn draft(json: &str) -> RecordDraft {
        match interpret(&serde_json::from_str(json).expect("JSON")) {
            Interpretation::Paper(draft) => *draft,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn items_are_read() {
        let paper = draft(
            r#"{"id":"godel1931","type":"article-journal","title":"On <i>undecidable</i> sentences","DOI":"10.1007/BF01700692",
            "author":[{"family":"Beethoven","given":"Ludwig","non-dropping-particle":"van"},{"literal":"Kelp and Tide Team"},
            {"family":"King","given":"Martin","suffix":"Jr."}],"issued":{"date-parts":[["1931",1]]},"keyword":"logic, proofs",
            "URL":"https://example.org/x","number":"arXiv:2402.14776","language":"de"}"#,
        );
        assert_eq!(
            paper.authors,
            ["Ludwig van Beethoven", "Kelp and Tide Team", "Martin King Jr."]
        );
        assert_eq!(
            paper.published.map(|date| date.to_string()).as_deref(),
            Some("1931-01-01T00:00:00Z")
        );
        assert_eq!(paper.categories, ["logic", "proofs"]);
        assert_eq!((paper.identifiers.len(), paper.links.len()), (2, 1));
        let paper = draft(r#"{"id":7,"title":"T","issued":{"raw":"March 2020"}}"#);
        assert_eq!(paper.native_id, "7");
        assert_eq!(
            paper.published.map(|date| date.to_string()).as_deref(),
            Some("2020-03-01T00:00:00Z")
        );
    }
}
