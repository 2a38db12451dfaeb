//! The posted form as names and values, without their meaning.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use url::form_urlencoded;

use crate::state::AppState;

/// Largest form in bytes: a hundred interests of a thousand characters, and the fields around them.
const MAX_BYTES: usize = 512 * 1024;
/// How much of a larger one is read, because browsers show no response to a form they could not send completely.
const MAX_READ_BYTES: usize = 2 * 1024 * 1024;
/// Most fields of a form.
const MAX_FIELDS: usize = 4_000;

/// The fields of a form. A body of another content type has none: mail programs that unsubscribe with one click may send
/// `multipart/form-data` (RFC 8058, section 3.2), and everything that matters is in the address.
#[derive(Debug, Default)]
pub struct PostedForm {
    fields: Vec<(String, String)>,
    token: String,
}

impl PostedForm {
    /// The fields in order, with line breaks as `\n`.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The last value of a field; empty if there is none.
    pub fn value(&self, name: &str) -> &str {
        let last = self.fields().filter(|(one, _)| *one == name).last();
        last.map_or("", |(_, value)| value)
    }

    /// The token of the link: from the form, else from the address.
    pub fn token(&self) -> &str {
        match self.value("token") {
            "" => &self.token,
            token => token,
        }
    }

    fn parse(query: Option<&str>, body: &[u8]) -> Self {
        let of_address = query.map(|query| form_urlencoded::parse(query.as_bytes()));
        let token = of_address.and_then(|mut pairs| pairs.find(|(name, _)| name == "token"));
        let fields = form_urlencoded::parse(body).take(MAX_FIELDS);
        Self {
            fields: fields
                .map(|(name, value)| (name.into_owned(), unix_lines(&value)))
                .collect(),
            token: token.map(|(_, token)| token.into_owned()).unwrap_or_default(),
        }
    }
}

impl FromRequest<Arc<AppState>> for PostedForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, Response> {
        let is_form = is_form(request.headers());
        let query = request.uri().query().map(str::to_owned);
        let body = axum::body::to_bytes(request.into_body(), MAX_READ_BYTES).await;
        let Some(body) = body.ok().filter(|body| body.len() <= MAX_BYTES) else {
            let text = "The form holds too much. Go back, remove something, and send it again.";
            return Err(app.pages.message(StatusCode::PAYLOAD_TOO_LARGE, "Form too long", text));
        };
        let body = if is_form { &body[..] } else { &[] };
        Ok(Self::parse(query.as_deref(), body))
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
impl PostedForm {
    /// As if a form had posted these fields.
    pub fn from_fields(fields: &[(&str, &str)]) -> Self {
        let body: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Self::parse(None, body.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_token_of_the_form_comes_first() {
        let token = |query, body: &str| PostedForm::parse(query, body.as_bytes()).token().to_owned();
        assert_eq!(token(Some("token=a"), "List-Unsubscribe=One-Click"), "a");
        assert_eq!(token(Some("token=a"), "token=b"), "b");
        assert_eq!(token(None, ""), "");
    }

    #[test]
    fn line_breaks_are_normalised() {
        let posted = PostedForm::parse(None, b"interests=one%0D%0Atwo%0Dthree&interests=last");
        assert_eq!(posted.fields().next(), Some(("interests", "one\ntwo\nthree")));
        assert_eq!(posted.value("interests"), "last");
    }

    proptest! {
        #[test]
        fn any_body_is_read(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let posted = PostedForm::parse(None, &body);
            prop_assert!(posted.fields().count() <= MAX_FIELDS);
        }
    }
}
