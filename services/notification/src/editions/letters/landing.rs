//! What a link to the page of a paper at its source says: where it leads.

use url::{Host, Url};

use super::words::Words;

/// Longer names of hosts say nothing to a reader.
const HOST_CHARS: usize = 32;

/// The name of a place that everybody knows by it, else the host as it is written, else a word for it.
pub fn name(url: &str, words: &Words) -> String {
    let parsed = Url::parse(url).ok();
    let host = match parsed.as_ref().and_then(Url::host) {
        Some(Host::Domain(host)) => host,
        _ => "",
    };
    let host = host.strip_prefix("www.").unwrap_or(host);
    if host == "arxiv.org" || host.ends_with(".arxiv.org") {
        return "arXiv".to_owned();
    }
    if is_readable(host) {
        host.to_owned()
    } else {
        words.source().to_owned()
    }
}

/// Whether a host is a name on the internet in letters that a reader sees in it.
fn is_readable(host: &str) -> bool {
    let labels = || host.split('.');
    let is_plain = |label: &str| {
        let is_known = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        !label.is_empty() && !label.starts_with("xn--") && label.bytes().all(is_known)
    };
    host.len() <= HOST_CHARS && labels().count() > 1 && labels().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;

    #[test]
    fn a_link_says_where_it_leads() {
        for (url, expected) in [
            ("https://arxiv.org/abs/2402.14776", "arXiv"),
            ("http://export.arxiv.org/abs/2402.14776v2", "arXiv"),
            ("https://openreview.net/forum?id=x", "openreview.net"),
            ("https://www.biorxiv.org/content/1", "biorxiv.org"),
            ("https://DOI.org/10.1145/1", "doi.org"),
            ("https://arxiv.org@evil.example/abs/1", "evil.example"),
            ("https://arxiv.org.evil.example/abs/1", "arxiv.org.evil.example"),
            ("https://notarxiv.org/abs/1", "notarxiv.org"),
        ] {
            assert_eq!(name(url, words::of("de")), expected, "{url}");
        }
    }

    #[test]
    fn a_word_stands_where_the_host_says_nothing() {
        for url in [
            "http://127.0.0.1:8080/1",
            "http://[::1]/1",
            "http://localhost/1",
            "https://b\u{fc}cher.example/1",
            "https://a.name.that.goes.on.for.longer.than.anybody.reads.example/1",
            "https://under_score.example/1",
            "https:///",
            "nothing",
        ] {
            let said = ["en", "de", "fr", "es", "tlh"].map(|tag| name(url, words::of(tag)));
            assert_eq!(said, ["Source", "Quelle", "Source", "Fuente", "Source"], "{url}");
        }
    }
}
