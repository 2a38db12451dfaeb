//! URLs that a webhook may have.

use std::net::IpAddr;

use url::{Host, Url};

/// Longer ones are refused.
const MAX_CHARS: usize = 2_000;

/// Which schemes are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedSchemes {
    /// `https`, and `http` for this machine alone.
    HttpsOnly,
    /// `https` and `http`.
    HttpAndHttps,
}

/// Reads a URL. The error follows the name of its field.
pub fn parse(text: &str, schemes: AllowedSchemes) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > MAX_CHARS {
        return Err(format!("has more than {MAX_CHARS} characters"));
    }
    let short = domain::text::shorten(text);
    let url = Url::parse(text).map_err(|error| {
        format!("is {short:?}, which is no URL ({error}); use one such as https://hooks.example.org/broadsheet")
    })?;
    let Some(host) = url.host() else {
        return Err(format!("is {short:?}, which names no host"));
    };
    match (url.scheme(), schemes) {
        ("https", _) | ("http", AllowedSchemes::HttpAndHttps) => {}
        ("http", AllowedSchemes::HttpsOnly) if is_this_machine(&host) => {}
        _ => {
            return Err(format!(
                "is {short:?}; it must begin with https://, so that nobody reads the digests in transit"
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user or a password; requests are signed instead".to_owned());
    }
    let mut url = url;
    url.set_fragment(None);
    // The HTTP client parses it too, and is a little stricter.
    let text = String::from(url);
    match text.parse::<http::Uri>() {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("is {short:?}, which cannot be called: {error}")),
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
    fn https_is_allowed_and_http_for_this_machine() {
        for (given, read) in [
            (" https://hooks.example.org/a?b=c#d ", "https://hooks.example.org/a?b=c"),
            ("https://hooks.example.org", "https://hooks.example.org/"),
            ("https://zürich.example/", "https://xn--zrich-kva.example/"),
            ("http://localhost:8080/", "http://localhost:8080/"),
            ("http://127.1/", "http://127.0.0.1/"),
            ("http://[::1]:80/", "http://[::1]/"),
        ] {
            assert_eq!(parse(given, AllowedSchemes::HttpsOnly).as_deref(), Ok(read));
        }
        assert!(parse("http://hooks.example.org/", AllowedSchemes::HttpAndHttps).is_ok());
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        let long = format!("https://example.org/{}", "x".repeat(MAX_CHARS));
        for (given, said) in [
            ("", "no URL"),
            ("example.org", "no URL"),
            ("mailto:ada@example.org", "names no host"),
            ("ftp://example.org/", "https://"),
            ("http://hooks.example.org/", "https://"),
            ("https://ada:secret@example.org/", "user or a password"),
            (&long, "more than 2000 characters"),
        ] {
            let refused = parse(given, AllowedSchemes::HttpsOnly).expect_err(given);
            assert!(refused.contains(said), "{refused}");
        }
    }
}
