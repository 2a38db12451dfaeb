//! What the browser tells of a reader: a signed id, saved papers, voted papers, and votes that are not recorded yet. All of it
//! lives in cookies, because this service stores nothing; none is set before a reader presses a button. Nothing here checks
//! the id; [`crate::reader_ids`] does.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const READER: &str = "reader";
const SAVED: &str = "saved";
const VOTED: &str = "voted";
const WAITING: &str = "waiting";
/// Every cookie of ours; each of them makes a page personal.
pub const COOKIES: [&str; 4] = [READER, SAVED, VOTED, WAITING];
/// Between ids; escaped where it occurs in one.
const SEPARATOR: char = '|';
/// Longest value; browsers keep 4,096 bytes of name, value and attributes.
const MAX_BYTES: usize = 3_900;
/// Most ids in a cookie, so that one call looks all of them up.
const MAX_IDS: usize = 200;
/// Longest signed id that is looked at.
const LONGEST_SIGNED_ID: usize = 128;
/// Most votes that wait to be recorded; one press of a button may record all of them.
const MAX_WAITING: usize = 5;
const ONE_YEAR_SECONDS: u64 = 31_536_000;
/// Characters of an id that a cookie holds unescaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b':')
    .remove(b'/')
    .remove(b'-')
    .remove(b'_');

/// The cookies of a reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReaderCookies {
    /// The signed id as the browser sent it, unchecked; absent for readers who have never pressed a button.
    pub signed_id: Option<String>,
    /// Saved papers, newest first.
    pub saved: Vec<String>,
    /// Papers voted for, newest first.
    pub voted: Vec<String>,
    /// Those of them whose votes are not recorded yet.
    pub waiting: Vec<String>,
}

impl ReaderCookies {
    /// Reads the cookies. Others and damaged ones are ignored.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut reader = Self::default();
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        for (name, value) in cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|one| one.trim().split_once('='))
        {
            match name {
                READER => reader.signed_id = signed_id(value),
                SAVED => reader.saved = ids(value),
                VOTED => reader.voted = ids(value),
                WAITING => {
                    reader.waiting = ids(value);
                    reader.waiting.truncate(MAX_WAITING);
                }
                _ => {}
            }
        }
        reader
    }

    /// Puts a paper first among the saved ones.
    pub fn save(&mut self, paper: &str) {
        put(&mut self.saved, paper);
    }

    /// Removes a paper from the saved ones.
    pub fn unsave(&mut self, paper: &str) {
        self.saved.retain(|id| id != paper);
    }

    /// Records a vote for a paper.
    pub fn vote(&mut self, paper: &str) {
        put(&mut self.voted, paper);
    }

    /// Keeps a vote until it can be recorded. Of too many the oldest are dropped.
    pub fn wait(&mut self, paper: &str) {
        put(&mut self.waiting, paper);
        self.waiting.truncate(MAX_WAITING);
    }

    /// Sets all cookies. Where the papers exceed what browsers keep, the oldest are dropped.
    pub fn set(&self, headers: &mut HeaderMap, security: CookieSecurity) {
        let values = [
            self.signed_id.clone().unwrap_or_default(),
            cookie(&self.saved),
            cookie(&self.voted),
            cookie(&self.waiting),
        ];
        for (name, value) in COOKIES.into_iter().zip(values) {
            let age = if value.is_empty() { 0 } else { ONE_YEAR_SECONDS };
            let secure = match security {
                CookieSecurity::Https => "; Secure",
                CookieSecurity::Http => "",
            };
            let line = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
            if let Ok(line) = HeaderValue::try_from(line) {
                headers.append(header::SET_COOKIE, line);
            }
        }
    }
}

/// Whether browsers may send the cookies over plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieSecurity {
    /// They may not.
    Https,
    /// They may, because the pages come that way too.
    Http,
}

impl<S: Sync> FromRequestParts<S> for ReaderCookies {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

fn put(list: &mut Vec<String>, paper: &str) {
    list.retain(|id| id != paper);
    list.insert(0, paper.to_owned());
    list.truncate(MAX_IDS);
}

/// What may stand in a cookie without being quoted, so that it can be sent back.
fn signed_id(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let sound = !value.is_empty() && value.len() <= LONGEST_SIGNED_ID && value.bytes().all(allowed);
    sound.then(|| value.to_owned())
}

fn ids(value: &str) -> Vec<String> {
    let decoded = value
        .split(SEPARATOR)
        .filter_map(|one| percent_decode_str(one).decode_utf8().ok());
    let valid = decoded.filter(|id| domain::PaperId::parse(id).is_ok());
    valid.take(MAX_IDS).map(std::borrow::Cow::into_owned).collect()
}

fn cookie(ids: &[String]) -> String {
    let mut value = String::new();
    for id in ids {
        let escaped = utf8_percent_encode(id, ESCAPED).to_string();
        if value.len() + escaped.len() >= MAX_BYTES {
            break;
        }
        if !value.is_empty() {
            value.push(SEPARATOR);
        }
        value.push_str(&escaped);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cookies a browser sends back.
    fn round_trip(reader: &ReaderCookies) -> ReaderCookies {
        let mut answer = HeaderMap::new();
        reader.set(&mut answer, CookieSecurity::Http);
        let lines = answer.get_all(header::SET_COOKIE).iter();
        let pairs: Vec<&str> = lines
            .filter_map(|line| line.to_str().expect("ASCII").split(';').next())
            .collect();
        let mut request = HeaderMap::new();
        request.insert(header::COOKIE, pairs.join("; ").parse().expect("a header"));
        ReaderCookies::read(&request)
    }

    #[test]
    fn cookies_come_back_whatever_the_ids_hold() {
        let mut reader = ReaderCookies {
            signed_id: Some("0123.4567.a-b_c".to_owned()),
            ..ReaderCookies::default()
        };
        for id in ["arxiv:hep-th/9901001", "own:a|b;c=\"ü\",%20", "arxiv:2402.14776"] {
            reader.save(id);
        }
        for number in 0..10 {
            reader.vote(&format!("doi:10.1145/{number}"));
            reader.wait(&format!("doi:10.1145/{number}"));
        }
        assert_eq!((reader.voted.len(), reader.waiting.len()), (10, MAX_WAITING));
        assert_eq!(round_trip(&reader), reader);
        assert_eq!(reader.saved[0], "arxiv:2402.14776");
        reader.save("arxiv:hep-th/9901001");
        reader.unsave("arxiv:2402.14776");
        assert_eq!(reader.saved, ["arxiv:hep-th/9901001", "own:a|b;c=\"ü\",%20"]);
    }

    #[test]
    fn a_full_cookie_drops_the_oldest_papers() {
        let mut reader = ReaderCookies::default();
        for number in 0..300 {
            reader.save(&format!("own:{}{number}", "ü".repeat(10)));
        }
        let returned = round_trip(&reader);
        assert!(cookie(&reader.saved).len() < MAX_BYTES);
        assert!(
            returned.saved.len() > 50 && returned.saved[0].ends_with("299"),
            "{returned:?}"
        );
    }

    #[test]
    fn damaged_cookies_are_ignored() {
        let mut headers = HeaderMap::new();
        let line = "reader=\"nobody\"; saved=%FF|arxiv:2402.14776|no-scheme||own:<b>; other=1; voted";
        headers.insert(header::COOKIE, line.parse().expect("a header"));
        let reader = ReaderCookies::read(&headers);
        assert_eq!((reader.signed_id, reader.voted.len()), (None, 0));
        assert_eq!(reader.saved, ["arxiv:2402.14776", "own:<b>"]);
    }
}
