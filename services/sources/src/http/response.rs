//! What a server responded, before its body is read.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use url::Url;

use super::body::{ContentCoding, ResponseBody};
use crate::cursor::Validator;

/// A successful response: 2xx, or 304 to a conditional request.
pub struct SourceResponse {
    /// 2xx or 304.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Where it came from, after redirects.
    pub url: Url,
    /// When it came, by our clock.
    pub received: Timestamp,
    /// Its body.
    pub body: ResponseBody,
}

impl SourceResponse {
    /// Whether the server says that nothing has changed.
    pub fn is_unchanged(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }

    /// The time by the server's clock, or by ours where it does not say.
    pub fn server_time(&self) -> Timestamp {
        date(&self.headers, header::DATE).unwrap_or(self.received)
    }

    /// What makes the next request conditional.
    pub fn validator(&self) -> Option<Validator> {
        let validator = Validator {
            etag: text(&self.headers, header::ETAG),
            last_modified: text(&self.headers, header::LAST_MODIFIED),
        };
        (validator != Validator::default()).then_some(validator)
    }

    /// How long the response says it stays fresh, a day at most.
    pub fn max_age(&self) -> Duration {
        const DAY: u64 = 86_400;
        let control = text(&self.headers, header::CACHE_CONTROL).unwrap_or_default();
        let seconds = control
            .split(',')
            .find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<u64>().ok());
        Duration::from_secs(seconds.unwrap_or(0).min(DAY))
    }

    /// The character encoding that the server names.
    pub fn charset(&self) -> Option<String> {
        let kind = text(&self.headers, header::CONTENT_TYPE)?;
        let (_, charset) = kind.split_once("charset=")?;
        let name = charset.split(';').next()?.trim().trim_matches(['"', '\'']);
        Some(name.to_owned())
    }
}

pub(super) fn content_coding(headers: &HeaderMap) -> ContentCoding {
    match text(headers, header::CONTENT_ENCODING) {
        Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => ContentCoding::Gzip,
        _ => ContentCoding::Identity,
    }
}

/// `Retry-After`, in seconds or as a date by the server's own clock; by `now` where it does not tell the time.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, header::RETRY_AFTER)?;
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = date(headers, header::RETRY_AFTER)?;
    let now = date(headers, header::DATE).unwrap_or(now);
    Duration::try_from(until.duration_since(now)).ok()
}

pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = "2026-03-01T12:00:10Z".parse().expect("a timestamp");
        let after = |pairs: &[(header::HeaderName, &str)]| retry_after(&headers(pairs), now);
        let moment = (header::RETRY_AFTER, "Sun, 01 Mar 2026 12:00:30 GMT");
        let date = (header::DATE, "Sun, 01 Mar 2026 12:00:00 GMT");
        assert_eq!(after(&[(header::RETRY_AFTER, "120")]), Some(Duration::from_mins(2)));
        assert_eq!(after(&[date, moment.clone()]), Some(Duration::from_secs(30)));
        assert_eq!(after(&[moment]), Some(Duration::from_secs(20)), "by our clock");
        assert_eq!(after(&[(header::RETRY_AFTER, "soon")]), None);
    }
}
