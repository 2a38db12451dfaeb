//! The text of a link to the page of a paper at its source: the name of the site that it leads to.

use url::{Host, Url};

use super::locale::Locale;

/// Longer host names tell a reader nothing.
const MAX_HOST_CHARS: usize = 32;

/// The site's own name where it is well known by it, else its host, else the word for a source.
pub fn site_name(url: &str, locale: &Locale) -> String {
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
        locale.source().to_owned()
    }
}

/// Whether a host is a short name on the internet in ASCII.
fn is_readable(host: &str) -> bool {
    let labels = || host.split('.');
    let is_plain = |label: &str| {
        let is_known = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        !label.is_empty() && !label.starts_with("xn--") && label.bytes().all(is_known)
    };
    host.len() <= MAX_HOST_CHARS && labels().count() > 1 && labels().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_site() {
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
            assert_eq!(site_name(url, Locale::of("de")), expected, "{url}");
        }
    }

    #[test]
    fn an_unreadable_host_is_called_the_source() {
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
            let names = ["en", "de", "fr", "es", "tlh"].map(|tag| site_name(url, Locale::of(tag)));
            assert_eq!(names, ["Source", "Quelle", "Source", "Fuente", "Source"], "{url}");
        }
    }
}
