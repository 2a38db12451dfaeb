//! A paper as pages and feeds show it.

use proto::papers::v1::{LinkKind, Paper};
use proto::search::v1::TextSpan;
use serde::Serialize;

/// A stretch of text, which fits the query or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stretch {
    /// The text.
    pub text: String,
    /// Whether it fits.
    pub fits: bool,
}

/// Where a paper can be read.
pub fn url_of(paper: &Paper) -> Option<String> {
    let of = |kind: LinkKind| {
        paper
            .links
            .iter()
            .find(|link| link.kind() == kind)
            .map(|link| link.url.clone())
    };
    let known = of(LinkKind::Abstract).or_else(|| of(LinkKind::Pdf));
    known.or_else(|| match paper.id.split_once(':')? {
        ("arxiv", id) => Some(format!("https://arxiv.org/abs/{id}")),
        ("doi", doi) => Some(format!("https://doi.org/{doi}")),
        _ => None,
    })
}

/// The first authors, and how many more there are.
pub fn authors(paper: &Paper) -> String {
    const SHOWN: usize = 6;
    let names: Vec<&str> = paper
        .authors
        .iter()
        .take(SHOWN)
        .map(|author| author.name.as_str())
        .collect();
    let more = paper.authors.len().saturating_sub(SHOWN);
    if more == 0 {
        names.join(", ")
    } else {
        format!("{} and {more} more", names.join(", "))
    }
}

/// The day of publication, in words.
pub fn published(paper: &Paper) -> String {
    let time = paper
        .published_time
        .and_then(|time| proto::convert::from_wire_time("published_time", time).ok());
    time.map(|time| time.strftime("%-d %B %Y").to_string())
        .unwrap_or_default()
}

/// A text cut at its spans. Spans that do not fit it are passed over.
pub fn stretches(text: &str, spans: &[TextSpan]) -> Vec<Stretch> {
    let mut cut = Vec::new();
    let mut push = |text: &str, fits| {
        if !text.is_empty() {
            cut.push(Stretch {
                text: text.to_owned(),
                fits,
            });
        }
    };
    let mut end = 0;
    for span in spans {
        let (start, stop) = (span.start as usize, span.end as usize);
        let (Some(before), Some(word)) = (text.get(end..start), text.get(start..stop)) else {
            continue;
        };
        push(before, false);
        push(word, true);
        end = stop;
    }
    push(text.get(end..).unwrap_or_default(), false);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_spans_and_loses_nothing() {
        let span = |start, end| TextSpan { start, end };
        let cut = stretches("Bäume at night", &[span(0, 6), span(1, 2), span(10, 15), span(90, 99)]);
        let texts: Vec<(&str, bool)> = cut.iter().map(|one| (one.text.as_str(), one.fits)).collect();
        assert_eq!(texts, [("Bäume", true), (" at ", false), ("night", true)]);
        assert_eq!(stretches("", &[]), []);
    }

    #[test]
    fn a_paper_without_links_is_linked_by_its_id() {
        let paper = |id: &str| Paper {
            id: id.to_owned(),
            ..Paper::default()
        };
        assert_eq!(
            url_of(&paper("arxiv:2402.14776")).as_deref(),
            Some("https://arxiv.org/abs/2402.14776")
        );
        assert_eq!(url_of(&paper("seed:1")), None);
    }
}
