//! Where a subscriber is served: what the handlers share, and who asks.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::Front;
use crate::client::Client;

/// For the length of one request.
#[derive(Clone)]
pub struct Desk {
    /// Services and templates.
    pub front: Arc<Front>,
    client: Client,
}

impl Desk {
    /// A call on the caller's behalf, so that limits hold for them and not for this service.
    pub fn ask<T>(&self, message: T) -> tonic::Request<T> {
        self.client.request(message)
    }
}

impl FromRequestParts<Arc<Front>> for Desk {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, Infallible> {
        Ok(Self {
            front: Arc::clone(front),
            client: Client::from_request_parts(parts, front).await?,
        })
    }
}
