//! Query parameters and form fields. What cannot be read is refused with a page that says what to do.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::PageRenderer;

const TITLE: &str = "That did not work";

/// The query parameters of an address.
pub struct PageQuery<T>(pub T);

/// The fields of a form.
pub struct PageForm<T>(pub T);

impl<T: DeserializeOwned, S: AsRef<PageRenderer> + Send + Sync> FromRequestParts<Arc<S>> for PageQuery<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<S>) -> Result<Self, Response> {
        if let Ok(Query(query)) = Query::<T>::try_from_uri(&parts.uri) {
            return Ok(Self(query));
        }
        let text =
            "The part of the address after the question mark cannot be read. Remove it, or start from the front page.";
        Err((**app).as_ref().message(StatusCode::BAD_REQUEST, TITLE, text))
    }
}

impl<T: DeserializeOwned, S: AsRef<PageRenderer> + Send + Sync> FromRequest<Arc<S>> for PageForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<S>) -> Result<Self, Response> {
        let (status, text) = match Form::<T>::from_request(request, app).await {
            Ok(Form(fields)) => return Ok(Self(fields)),
            Err(FormRejection::BytesRejection(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "The form is too long. Shorten it and send it again.",
            ),
            Err(_) => (
                StatusCode::BAD_REQUEST,
                "The form cannot be read. Go back and send it again.",
            ),
        };
        Err((**app).as_ref().message(status, TITLE, text))
    }
}
