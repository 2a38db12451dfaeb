//! The text of a paper that is embedded, for dense and sparse vectors alike.
//!
//! It never truncates or normalises: papers are normalised on acceptance, and encoders report truncation.

use crate::Paper;

/// Title and abstract as one text, `title. abstract`. A title that ends with a punctuation mark gets no second one.
pub fn document_text(paper: &Paper) -> String {
    let (title, body) = (paper.title.trim(), paper.abstract_text.trim());
    if title.is_empty() || body.is_empty() {
        return format!("{title}{body}");
    }
    let mark = if title.ends_with(['.', '?', '!', '。', '？', '！']) {
        ""
    } else {
        "."
    };
    format!("{title}{mark} {body}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PaperId;
    use jiff::Timestamp;

    fn text(title: &str, abstract_text: &str) -> String {
        document_text(&Paper {
            id: PaperId::parse("arxiv:2402.14776").expect("a valid id"),
            title: title.into(),
            abstract_text: abstract_text.into(),
            authors: vec![],
            categories: vec![],
            published: Some(Timestamp::UNIX_EPOCH),
            updated: None,
            links: vec![],
            source: "test".into(),
            revision: 1,
            content_hash: String::new(),
            language: String::new(),
            accepted: Timestamp::UNIX_EPOCH,
            revised: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn title_and_abstract_become_two_sentences() {
        assert_eq!(text("Attention", "We study it."), "Attention. We study it.");
        assert_eq!(text("Is it all you need?", "No."), "Is it all you need? No.");
    }

    #[test]
    fn a_missing_abstract_leaves_the_title_alone() {
        assert_eq!(text("Attention", ""), "Attention");
    }
}
