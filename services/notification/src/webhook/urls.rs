//! URLs that a webhook may have.

use std::net::IpAddr;

use url::{Host, Url};

/// Longer ones are refused.
const MOST_CHARS: usize = 2_000;

/// Which schemes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schemes {
    /// `https`, and `http` for this machine alone.
    Https,
    /// `http` for every machine, too.
    HttpToo,
}

/// Reads a URL; what is wrong with it is said in words that follow the name of a field.
pub fn parse(text: &str, schemes: Schemes) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > MOST_CHARS {
        return Err(format!("has more than {MOST_CHARS} characters"));
    }
    let shown = domain::text::shorten(text);
    let url = Url::parse(text).map_err(|error| {
        format!("is {shown:?}, which is no URL ({error}); it must be one such as https://hooks.example.org/broadsheet")
    })?;
    let Some(host) = url.host() else {
        return Err(format!("is {shown:?}, which names no host"));
    };
    match (url.scheme(), schemes) {
        ("https", _) | ("http", Schemes::HttpToo) => {}
        ("http", Schemes::Https) if is_this_machine(&host) => {}
        _ => {
            return Err(format!(
                "is {shown:?}; it must begin with https://, so that nobody on the way reads the editions"
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password; requests are signed instead".to_owned());
    }
    let mut url = url;
    url.set_fragment(None);
    // What is sent is a URI of another library, which takes a little less.
    let text = String::from(url);
    match text.parse::<http::Uri>() {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("is {shown:?}, which cannot be asked: {error}")),
    }
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::from(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_taken_and_http_for_this_machine() {
        for (given, read) in [
            (" https://hooks.example.org/a?b=c#d ", "https://hooks.example.org/a?b=c"),
            ("https://hooks.example.org", "https://hooks.example.org/"),
            ("https://zürich.example/", "https://xn--zrich-kva.example/"),
            ("http://localhost:8080/", "http://localhost:8080/"),
            ("http://127.1/", "http://127.0.0.1/"),
            ("http://[::1]:80/", "http://[::1]/"),
        ] {
            assert_eq!(parse(given, Schemes::Https).as_deref(), Ok(read));
        }
        assert!(parse("http://hooks.example.org/", Schemes::HttpToo).is_ok());
    }

    #[test]
    fn other_urls_are_refused_with_what_is_wrong() {
        let long = format!("https://example.org/{}", "x".repeat(MOST_CHARS));
        for (given, said) in [
            ("", "no URL"),
            ("example.org", "no URL"),
            ("mailto:ada@example.org", "names no host"),
            ("ftp://example.org/", "https://"),
            ("http://hooks.example.org/", "https://"),
            ("https://ada:secret@example.org/", "user or a password"),
            (&long, "more than 2000 characters"),
        ] {
            let refused = parse(given, Schemes::Https).expect_err(given);
            assert!(refused.contains(said), "{refused}");
        }
    }
}
