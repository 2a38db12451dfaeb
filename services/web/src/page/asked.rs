//! What a page is asked: parameters and forms, refused with a page that says what to do where they cannot be read.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;

use crate::Front;

const TITLE: &str = "That did not work";

/// The parameters of an address.
pub struct Asked<T>(pub T);

/// The fields of a form.
pub struct Posted<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Front>> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, Response> {
        if let Ok(Query(asked)) = Query::<T>::try_from_uri(&parts.uri) {
            return Ok(Self(asked));
        }
        let text = "The part of the address behind the question mark cannot be read. Leave it out, or start from the front \
                    page.";
        Err(front.pages.message(StatusCode::BAD_REQUEST, TITLE, text))
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Front>> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, front: &Arc<Front>) -> Result<Self, Response> {
        let (status, text) = match Form::<T>::from_request(request, front).await {
            Ok(Form(posted)) => return Ok(Self(posted)),
            Err(FormRejection::BytesRejection(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "What was sent is too long. Shorten it and send it again.",
            ),
            Err(_) => (
                StatusCode::BAD_REQUEST,
                "What was sent cannot be read. Go back and send the form of the page again.",
            ),
        };
        Err(front.pages.message(status, TITLE, text))
    }
}
