//! What the handlers of a subscription share for the length of one request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::caller::Caller;
use crate::limits::RateDecision;
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

    /// Charges the caller for texts that are to be embedded; the time to wait where they are too much.
    pub fn charge_text<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Result<(), Duration> {
        match self.app.limiter.charge_text(&self.caller, texts) {
            RateDecision::Granted { .. } => Ok(()),
            RateDecision::Refused { wait } => Err(wait),
        }
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
