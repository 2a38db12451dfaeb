//! Who reads, as far as the browser says: an opaque id, what was saved and what was voted for. All of it lies in cookies, because
//! this service holds no data; nothing is set before a reader presses a button.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

const READER: &str = "reader";
const SAVED: &str = "saved";
const VOTED: &str = "voted";
/// Between ids; never in one, because there it is escaped.
const BETWEEN: char = '|';
/// Browsers keep 4,096 bytes of name, value and attributes.
const MOST_BYTES: usize = 3_900;
/// Ids of a cookie, so that a page of them is one call.
const MOST_IDS: usize = 200;
const ONE_YEAR_SECONDS: u64 = 31_536_000;
/// What a cookie may hold of an id as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b':')
    .remove(b'/')
    .remove(b'-')
    .remove(b'_');

/// A reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reader {
    /// Opaque; absent for who has never pressed a button.
    pub id: Option<Uuid>,
    /// Papers that were saved, newest first.
    pub saved: Vec<String>,
    /// Papers that were voted for, newest first.
    pub voted: Vec<String>,
}

impl Reader {
    /// Reads the cookies. What is not ours or damaged is passed over.
    pub fn of(headers: &HeaderMap) -> Self {
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
                READER => reader.id = Uuid::try_parse(value).ok(),
                SAVED => reader.saved = ids(value),
                VOTED => reader.voted = ids(value),
                _ => {}
            }
        }
        reader
    }

    /// Puts a paper in front of those that are saved.
    pub fn save(&mut self, paper: &str) {
        put(&mut self.saved, paper);
    }

    /// Takes a paper from those that are saved.
    pub fn unsave(&mut self, paper: &str) {
        self.saved.retain(|id| id != paper);
    }

    /// Notes that a paper was voted for.
    pub fn vote(&mut self, paper: &str) {
        put(&mut self.voted, paper);
    }

    /// The id, made where there is none yet.
    pub fn known_id(&mut self) -> String {
        self.id.get_or_insert_with(Uuid::new_v4).simple().to_string()
    }

    /// Sets all cookies anew. What a browser keeps is bounded; the oldest papers are left out.
    pub fn remember(&self, headers: &mut HeaderMap, is_secure: Security) {
        let id = self.id.map(|id| id.simple().to_string()).unwrap_or_default();
        for (name, value) in [(READER, id), (SAVED, cookie(&self.saved)), (VOTED, cookie(&self.voted))] {
            let age = if value.is_empty() { 0 } else { ONE_YEAR_SECONDS };
            let secure = match is_secure {
                Security::Https => "; Secure",
                Security::Http => "",
            };
            let line = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
            if let Ok(line) = HeaderValue::try_from(line) {
                headers.append(header::SET_COOKIE, line);
            }
        }
    }
}

/// Whether the browser may send the cookies without encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Never.
    Https,
    /// It may, because the pages come without.
    Http,
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

fn put(list: &mut Vec<String>, paper: &str) {
    list.retain(|id| id != paper);
    list.insert(0, paper.to_owned());
    list.truncate(MOST_IDS);
}

fn ids(value: &str) -> Vec<String> {
    let decoded = value
        .split(BETWEEN)
        .filter_map(|one| percent_decode_str(one).decode_utf8().ok());
    let whole = decoded.filter(|id| domain::PaperId::parse(id).is_ok());
    whole.take(MOST_IDS).map(std::borrow::Cow::into_owned).collect()
}

fn cookie(ids: &[String]) -> String {
    let mut value = String::new();
    for id in ids {
        let escaped = utf8_percent_encode(id, ESCAPED).to_string();
        if value.len() + escaped.len() >= MOST_BYTES {
            break;
        }
        if !value.is_empty() {
            value.push(BETWEEN);
        }
        value.push_str(&escaped);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser sends after it was told to remember.
    fn round(reader: &Reader) -> Reader {
        let mut answer = HeaderMap::new();
        reader.remember(&mut answer, Security::Http);
        let lines = answer.get_all(header::SET_COOKIE).iter();
        let pairs: Vec<&str> = lines
            .filter_map(|line| line.to_str().expect("ASCII").split(';').next())
            .collect();
        let mut request = HeaderMap::new();
        request.insert(header::COOKIE, pairs.join("; ").parse().expect("a header"));
        Reader::of(&request)
    }

    #[test]
    fn what_is_remembered_comes_back_whatever_the_ids_hold() {
        let mut reader = Reader::default();
        reader.known_id();
        for id in ["arxiv:hep-th/9901001", "own:a|b;c=\"ü\",%20", "arxiv:2402.14776"] {
            reader.save(id);
        }
        reader.vote("doi:10.1145/3292500");
        assert_eq!(round(&reader), reader);
        assert_eq!(reader.saved[0], "arxiv:2402.14776");
        reader.save("arxiv:hep-th/9901001");
        reader.unsave("arxiv:2402.14776");
        assert_eq!(reader.saved, ["arxiv:hep-th/9901001", "own:a|b;c=\"ü\",%20"]);
    }

    #[test]
    fn a_cookie_stays_within_what_browsers_keep_and_loses_the_oldest() {
        let mut reader = Reader::default();
        for number in 0..300 {
            reader.save(&format!("own:{}{number}", "ü".repeat(10)));
        }
        let kept = round(&reader);
        assert!(cookie(&reader.saved).len() < MOST_BYTES);
        assert!(kept.saved.len() > 50 && kept.saved[0].ends_with("299"), "{kept:?}");
    }

    #[test]
    fn damaged_cookies_are_passed_over() {
        let mut headers = HeaderMap::new();
        let line = "reader=nobody; saved=%FF|arxiv:2402.14776|no-scheme||own:<b>; other=1; voted";
        headers.insert(header::COOKIE, line.parse().expect("a header"));
        let reader = Reader::of(&headers);
        assert_eq!((reader.id, reader.voted.len()), (None, 0));
        assert_eq!(reader.saved, ["arxiv:2402.14776", "own:<b>"]);
    }
}
