//! Paths of papers on the site, shared by pages, mails, feeds and webhook requests.
//!
//! Paths only; callers prepend the site's address. It knows no tokens and no forms.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::PaperId;

/// What is escaped in a value behind the question mark: all but the unreserved characters of RFC 3986.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in one segment of a path.
const SEGMENT: &AsciiSet = &VALUE.remove(b':');
/// The same in a path.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// The page of a paper.
pub fn paper(id: &str) -> String {
    // A browser takes `..` between slashes for a step up, whatever else the path is. Such an id is one segment.
    let has_steps = id.split('/').any(|segment| matches!(segment, "." | ".."));
    let kept = if has_steps { SEGMENT } else { PATH };
    format!("/papers/{}", utf8_percent_encode(id, kept))
}

/// The paper whose page is at an address, of this site or of one like it.
pub fn paper_of(address: &str) -> Option<PaperId> {
    let rest = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))?;
    let path = rest.split(['?', '#']).next()?;
    let (_, id) = path.split_once("/papers/")?;
    let id = percent_decode_str(id.trim_end_matches('/')).decode_utf8().ok()?;
    PaperId::parse(&id).ok()
}

/// The search for papers similar to one.
pub fn similar(id: &str) -> String {
    format!(
        "/search?q={}",
        utf8_percent_encode(&format!("like:{}", quoted(id)), VALUE)
    )
}

/// An id as `like:` takes it: colons and slashes end no word, white space, quotes and parentheses may.
fn quoted(id: &str) -> String {
    if id.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')')) {
        return format!("\"{}\"", id.replace('"', " "));
    }
    id.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page_names_its_paper() {
        for id in [
            "arxiv:2402.14776",
            "doi:10.1002/(sici)1097<1::aid>3.0.co;2-2",
            "own:a?b#\"%&",
            "own:a/../b",
        ] {
            let address = format!("https://papers.example{}?format=json#abstract", paper(id));
            assert_eq!(paper_of(&address).as_ref().map(PaperId::as_str), Some(id));
        }
        for other in [
            "/papers/arxiv:2402.14776",
            "https://papers.example/papers/",
            "https://papers.example/papers/x",
        ] {
            assert_eq!(paper_of(other), None, "{other}");
        }
    }

    #[test]
    fn ids_of_any_kind_stay_whole_in_a_link() {
        for (id, page) in [
            ("arxiv:2402.14776", "/papers/arxiv:2402.14776"),
            ("arxiv:hep-th/9901001", "/papers/arxiv:hep-th/9901001"),
            ("doi:10.1145/3-a_b", "/papers/doi:10.1145/3-a_b"),
            (
                "doi:10.1002/(sici)1097<1::aid>3.0.co;2-2",
                "/papers/doi:10.1002/%28sici%291097%3C1::aid%3E3.0.co%3B2-2",
            ),
            ("own:a?b#\"%&", "/papers/own:a%3Fb%23%22%25%26"),
            ("own:é\u{202e}", "/papers/own:%C3%A9%E2%80%AE"),
            ("own:a/../b", "/papers/own:a%2F..%2Fb"),
            ("own:a/.", "/papers/own:a%2F."),
            ("own:a/..b", "/papers/own:a/..b"),
        ] {
            assert_eq!(paper(id), page);
        }
    }

    #[test]
    fn papers_like_one_are_asked_for_in_the_query_language() {
        assert_eq!(similar("arxiv:2402.14776"), "/search?q=like%3Aarxiv%3A2402.14776");
        assert_eq!(similar("own:a(b)"), "/search?q=like%3A%22own%3Aa%28b%29%22");
    }
}
