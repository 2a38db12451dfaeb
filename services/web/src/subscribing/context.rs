//! What the handlers of a subscription share for the length of one request.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::caller::Caller;
use crate::state::AppState;

/// The services and templates, and the caller of this request.
#[derive(Clone)]
pub struct SubscriberContext {
    /// Services and templates.
    pub app: Arc<AppState>,
    caller: Caller,
}

impl SubscriberContext {
    /// A gRPC request on the caller's behalf, so that rate limits count for the caller and not for this service.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        self.caller.request(message)
    }
}

impl FromRequestParts<Arc<AppState>> for SubscriberContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, Infallible> {
        Ok(Self {
            app: Arc::clone(app),
            caller: Caller::from_request_parts(parts, app).await?,
        })
    }
}
