//! What a form posted, as names and values. It says nothing of what they mean.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use url::form_urlencoded;

use crate::Front;

/// Most bytes of a form: a hundred interests of a thousand characters, and what is around them.
const MOST_BYTES: usize = 512 * 1024;
/// What is still read of a longer one, because a browser shows no answer to a form that it could not send whole.
const MOST_READ_BYTES: usize = 2 * 1024 * 1024;
/// Most fields of a form.
const MOST_FIELDS: usize = 4_000;

/// The fields of a form. A body of another kind has none, because mail programs that end a subscription by one click may
/// send `multipart/form-data` (RFC 8058, section 3.2), and all they say is in the address.
#[derive(Debug, Default)]
pub struct Posted {
    fields: Vec<(String, String)>,
    token: String,
}

impl Posted {
    /// The fields in order, with line ends as one character.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The last value of a field; empty where there is none.
    pub fn value(&self, name: &str) -> &str {
        let found = self.fields().filter(|(one, _)| *one == name).last();
        found.map_or("", |(_, value)| value)
    }

    /// The token of the link: from the form, else from the address.
    pub fn token(&self) -> &str {
        match self.value("token") {
            "" => &self.token,
            token => token,
        }
    }

    fn read(query: Option<&str>, body: &[u8]) -> Self {
        let of_address = query.map(|query| form_urlencoded::parse(query.as_bytes()));
        let token = of_address.and_then(|mut pairs| pairs.find(|(name, _)| name == "token"));
        let fields = form_urlencoded::parse(body).take(MOST_FIELDS);
        Self {
            fields: fields
                .map(|(name, value)| (name.into_owned(), unix_lines(&value)))
                .collect(),
            token: token.map(|(_, token)| token.into_owned()).unwrap_or_default(),
        }
    }
}

impl FromRequest<Arc<Front>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, front: &Arc<Front>) -> Result<Self, Response> {
        let is_form = is_form(request.headers());
        let query = request.uri().query().map(str::to_owned);
        let body = axum::body::to_bytes(request.into_body(), MOST_READ_BYTES).await;
        let Some(body) = body.ok().filter(|body| body.len() <= MOST_BYTES) else {
            let text = "The form holds more than can be taken. Go back, leave something out, and send it again.";
            return Err(front
                .pages
                .message(StatusCode::PAYLOAD_TOO_LARGE, "That is too long", text));
        };
        let body = if is_form { &body[..] } else { &[] };
        Ok(Self::read(query.as_deref(), body))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
impl Posted {
    /// As if a form had posted these.
    pub fn of(fields: &[(&str, &str)]) -> Self {
        let body: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Self::read(None, body.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_taken_from_the_form_before_the_address() {
        let token = |query, body: &str| Posted::read(query, body.as_bytes()).token().to_owned();
        assert_eq!(token(Some("token=a"), "List-Unsubscribe=One-Click"), "a");
        assert_eq!(token(Some("token=a"), "token=b"), "b");
        assert_eq!(token(None, ""), "");
    }

    #[test]
    fn lines_end_in_one_way() {
        let posted = Posted::read(None, b"interests=one%0D%0Atwo%0Dthree&interests=last");
        assert_eq!(posted.fields().next(), Some(("interests", "one\ntwo\nthree")));
        assert_eq!(posted.value("interests"), "last");
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let posted = Posted::read(None, &body);
            prop_assert!(posted.fields().count() <= MOST_FIELDS);
        }
    }
}
