//! Pages for addresses that do not exist and methods that an address does not take.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::state::AppState;

/// No route has this address.
pub async fn not_found(State(app): State<Arc<AppState>>) -> Response {
    app.pages.message(
        StatusCode::NOT_FOUND,
        "Page not found",
        "There is nothing at this address. The paper may have been withdrawn, or the link may be incomplete.",
    )
}

/// The route does not take this method.
pub async fn method_not_allowed(State(app): State<Arc<AppState>>) -> Response {
    app.pages.message(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not possible",
        "This address does not accept this kind of request. Go back and use the buttons on the page.",
    )
}
