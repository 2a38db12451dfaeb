//! What relative addresses in a feed are relative to.

use url::Url;

/// `xml:base` of the entry or the feed, else the site that an RSS channel links to, else the address of the feed.
#[derive(Debug, Default)]
pub struct FeedBase {
    document: Option<Url>,
    channel: Option<Url>,
    feed: Option<Url>,
    entry: Option<Url>,
}

impl FeedBase {
    /// Of a feed at an address, if that is known.
    pub fn new(address: Option<&Url>) -> Self {
        Self {
            document: address.cloned(),
            ..Self::default()
        }
    }

    /// An element around the entries begins, with its `xml:base`.
    pub fn in_feed(&mut self, base: Option<&str>) {
        if let Some(base) = base {
            self.feed = joined(self.current(), base).or_else(|| self.feed.take());
        }
    }

    /// An entry begins, with its `xml:base`.
    pub fn in_entry(&mut self, base: Option<&str>) {
        self.entry = None;
        self.entry = base.and_then(|base| joined(self.current(), base));
    }

    /// The feed says its own address; the one that it was fetched from is better.
    pub fn says_itself(&mut self, address: &str) {
        if self.document.is_none() {
            self.document = Url::parse(address).ok();
        }
    }

    /// The channel links to its site.
    pub fn links_to(&mut self, address: &str) {
        if self.channel.is_none() {
            self.channel = joined(self.document.as_ref(), address);
        }
    }

    /// An absolute address; one that cannot be made absolute stays. `base` is the `xml:base` of its own element.
    pub fn resolve(&self, address: &str, base: Option<&str>) -> String {
        let own = base.and_then(|base| joined(self.current(), base));
        match (Url::parse(address), own.as_ref().or(self.current())) {
            (Err(_), Some(base)) => base.join(address).map_or_else(|_| address.to_owned(), String::from),
            _ => address.to_owned(),
        }
    }

    fn current(&self) -> Option<&Url> {
        [&self.entry, &self.feed, &self.channel, &self.document]
            .into_iter()
            .find_map(Option::as_ref)
    }
}

fn joined(base: Option<&Url>, address: &str) -> Option<Url> {
    let address = address.trim();
    match base {
        Some(base) => base.join(address).ok(),
        None => Url::parse(address).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_base_counts() {
        let address = Url::parse("https://feeds.example.org/x/feed.xml").expect("an address");
        let mut base = FeedBase::new(Some(&address));
        assert_eq!(base.resolve("p/1", None), "https://feeds.example.org/x/p/1");
        base.links_to("https://example.org/papers/");
        assert_eq!(base.resolve("p/1", None), "https://example.org/papers/p/1");
        base.in_feed(Some("/base/"));
        base.in_entry(Some("2026/"));
        assert_eq!(base.resolve("p/1", None), "https://example.org/base/2026/p/1");
        assert_eq!(base.resolve("p/1", Some("x/")), "https://example.org/base/2026/x/p/1");
        assert_eq!(base.resolve("//other.org/a", None), "https://other.org/a");
        assert_eq!(base.resolve("https://other.org/a", None), "https://other.org/a");
        base.in_entry(None);
        assert_eq!(base.resolve("/p/2", None), "https://example.org/p/2");
        assert_eq!(FeedBase::default().resolve("p/1", None), "p/1");
    }
}
