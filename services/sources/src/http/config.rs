//! Settings of the client that all sources share.

use common::addresses::AllowedAddresses;
use serde::{Deserialize, Serialize};

/// Settings of the client. Only `contact` is required.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// How the people behind a source can reach the operator: an e-mail address or an https URL. Goes into every
    /// request's `User-Agent`, and into `mailto` where a source knows that.
    pub contact: String,
    /// Proxy for all requests, `http://[user:password@]host:port`. Empty: what `https_proxy`, `http_proxy`, `all_proxy` and
    /// `no_proxy` of the environment say; `none`: no proxy.
    pub proxy: String,
    /// Networks in which servers may be besides the public internet, such as `10.0.0.0/8, fd00::/8`. A server whose address
    /// the settings of a source spell out (`http://10.0.0.7/feed`, `http://localhost/feed`) may be anywhere; names, and
    /// whatever is redirected to, may not.
    pub networks: String,
    /// The longest time to connect, with TLS, in seconds.
    pub connect_timeout_seconds: u64,
    /// The longest time without a byte of the response, in seconds.
    pub idle_timeout_seconds: u64,
    /// The longest time for a whole response, in seconds.
    pub total_timeout_seconds: u64,
    /// The most bytes of one response, decompressed. Responses are read as a stream, so this bounds time and not memory.
    pub max_response_bytes: u64,
    /// Attempts at one request within a fetch, before it fails.
    pub attempts: u32,
    /// Pause before the second attempt, in milliseconds; it doubles with each further one.
    pub first_pause_milliseconds: u64,
    /// The longest pause between two attempts, in seconds. A server that asks for more (`Retry-After`) ends the fetch.
    pub patience_seconds: u64,
    /// Redirects that are followed.
    pub max_redirects: u32,
    /// Limits for hosts that differ from `default_host`. The longest matching suffix applies.
    pub hosts: Vec<HostRule>,
    /// Pause and connections for every other host.
    pub default_host: HostRule,
}

/// The rate limit of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostRule {
    /// The host, with its subdomains: `arxiv.org` applies to `export.arxiv.org`, and both share the limit.
    pub host: String,
    /// The least time between the beginnings of two requests, in milliseconds.
    pub interval_milliseconds: u64,
    /// The most requests at the same time.
    pub connections: u32,
}

impl HostRule {
    fn new(host: &str, interval_milliseconds: u64, connections: u32) -> Self {
        Self {
            host: host.to_owned(),
            interval_milliseconds,
            connections,
        }
    }
}

impl Default for HostRule {
    fn default() -> Self {
        Self::new("", 1_000, 1)
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            contact: String::new(),
            proxy: String::new(),
            networks: String::new(),
            connect_timeout_seconds: 15,
            idle_timeout_seconds: 60,
            total_timeout_seconds: 1_800,
            max_response_bytes: 4 << 30,
            attempts: 4,
            first_pause_milliseconds: 1_000,
            patience_seconds: 60,
            max_redirects: 5,
            hosts: vec![
                HostRule::new("arxiv.org", 3_000, 1),
                HostRule::new("api.biorxiv.org", 1_000, 1),
                HostRule::new("api.openalex.org", 200, 1),
                HostRule::new("api.crossref.org", 200, 1),
                HostRule::new("api.semanticscholar.org", 1_000, 1),
                HostRule::new("huggingface.co", 2_000, 1),
                HostRule::new("raw.githubusercontent.com", 500, 1),
            ],
            default_host: HostRule::default(),
        }
    }
}

impl HttpConfig {
    /// Everything that is wrong, each with its value and what is allowed.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let contact = self.contact.trim();
        let reachable = contact.contains('@') || contact.starts_with("https://");
        let plain = contact
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | ';'));
        if !(reachable && plain) {
            problems.push(format!(
                "contact is {contact:?}; an e-mail address or an https URL is required, so that sources can reach you"
            ));
        }
        let proxy_known = self.proxy.is_empty()
            || self.proxy == "none"
            || url::Url::parse(&self.proxy).is_ok_and(|url| url.scheme() == "http" && url.has_host());
        if !proxy_known {
            problems.push("proxy is no URL such as http://proxy:3128; \"none\" and nothing are allowed, too".into());
        }
        if AllowedAddresses::parse(&self.networks).is_none() {
            problems.push(format!(
                "networks is {:?}; networks such as \"10.0.0.0/8, fd00::/8\" are allowed, or nothing",
                self.networks
            ));
        }
        let numbers = [
            ("connect_timeout_seconds", self.connect_timeout_seconds, 600),
            ("idle_timeout_seconds", self.idle_timeout_seconds, 3_600),
            ("total_timeout_seconds", self.total_timeout_seconds, 86_400),
            ("max_response_bytes", self.max_response_bytes, 1 << 40),
            ("attempts", self.attempts.into(), 20),
            ("first_pause_milliseconds", self.first_pause_milliseconds, 600_000),
            ("patience_seconds", self.patience_seconds, 3_600),
        ];
        for (key, value, most) in numbers {
            if !(1..=most).contains(&value) {
                problems.push(format!("{key} is {value}; allowed are 1 to {most}"));
            }
        }
        if self.max_redirects > 20 {
            problems.push(format!("max_redirects is {}; allowed are 0 to 20", self.max_redirects));
        }
        for rule in self.hosts.iter().chain([&self.default_host]) {
            if rule.connections == 0 || rule.connections > 64 || rule.interval_milliseconds > 3_600_000 {
                problems.push(format!(
                    "the rule for host {:?} has {} connections and {} ms; allowed are 1 to 64 and up to 3600000",
                    rule.host, rule.connections, rule.interval_milliseconds
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_required_and_all_mistakes_come_at_once() {
        assert_eq!(HttpConfig::default().problems().len(), 1);
        let valid = HttpConfig {
            contact: "ops@example.org".into(),
            ..HttpConfig::default()
        };
        assert!(valid.problems().is_empty());
        let bad = HttpConfig {
            proxy: "proxy".into(),
            networks: "10.0.0.0/8, home".into(),
            attempts: 0,
            ..HttpConfig::default()
        };
        assert_eq!(bad.problems().len(), 4);
    }
}
