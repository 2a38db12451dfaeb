//! Who may call what: looks up the key a call presents, refuses what its scopes do not allow, and has the rest audited.
//!
//! It knows no method's meaning: [`proto::access`] has the table.

use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use prometheus::IntCounterVec;
use proto::access::{Access, Scope, access_of};
use tonic::{Code, Status};

use crate::audit::{AuditLog, AuditedBody};
use crate::keys::{KeyHolder, KeyRefusal, Keyring};
use crate::metrics;

static REFUSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "broadsheet_grpc_calls_refused_total",
        "Calls refused, by reason: no key, a key that is not known, one that has expired, one without the scope.",
        &["reason"],
    )
});

/// Guards every method of a server.
#[derive(Clone)]
pub struct AccessGuard {
    /// `None` where no key is required, which the settings allow on loopback only.
    keyring: Option<Keyring>,
    audit: AuditLog,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallRefusal {
    NoKey,
    Key(KeyRefusal),
    Scope(Scope),
}

impl CallRefusal {
    fn reason(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::Key(KeyRefusal::Unknown) => "unknown_key",
            Self::Key(KeyRefusal::Expired) => "expired_key",
            Self::Scope(_) => "scope",
        }
    }

    fn status(self) -> Status {
        match self {
            Self::NoKey => Status::unauthenticated("a key is required; send `authorization: Bearer <key>`"),
            Self::Key(refusal) => Status::unauthenticated(refusal.to_string()),
            Self::Scope(scope) => missing(scope, "this method"),
        }
    }
}

impl AccessGuard {
    /// A guard that knows these keys.
    pub fn new(keyring: Option<Keyring>, audit: AuditLog) -> Arc<Self> {
        for refusal in [
            CallRefusal::NoKey,
            CallRefusal::Key(KeyRefusal::Unknown),
            CallRefusal::Key(KeyRefusal::Expired),
            CallRefusal::Scope(Scope::Read),
        ] {
            REFUSED.with_label_values(&[refusal.reason()]);
        }
        Arc::new(Self { keyring, audit })
    }

    /// Who calls; nobody where the method is open.
    fn holder(&self, request: &Request, access: Access) -> Result<Option<KeyHolder>, CallRefusal> {
        let Access::Key(_) = access else { return Ok(None) };
        let Some(keyring) = &self.keyring else {
            return Ok(Some(KeyHolder::local()));
        };
        let presented = request.headers().get(AUTHORIZATION).ok_or(CallRefusal::NoKey)?;
        let unknown = CallRefusal::Key(KeyRefusal::Unknown);
        let (scheme, key) = presented
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or(unknown)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unknown);
        }
        keyring.holder(key.trim()).map(Some).map_err(CallRefusal::Key)
    }
}

/// Middleware of the gRPC server.
pub async fn enforce(State(guard): State<Arc<AccessGuard>>, mut request: Request, next: Next) -> Response {
    let access = access_of(request.uri().path());
    let holder = match guard.holder(&request, access) {
        Ok(holder) => holder,
        Err(refusal) => return refused(refusal),
    };
    let (Access::Key(scope), Some(holder)) = (access, holder) else {
        return next.run(request).await;
    };
    let audited = access.is_audited().then(|| guard.audit.begin(&holder, &request));
    if !holder.allows(scope) {
        if let Some(call) = audited {
            call.end(Code::PermissionDenied);
        }
        return refused(CallRefusal::Scope(scope));
    }
    request.extensions_mut().insert(holder);
    let Some(call) = audited else {
        return next.run(request).await;
    };
    AuditedBody::answered(next.run(request), call).await
}

fn refused(refusal: CallRefusal) -> Response {
    REFUSED.with_label_values(&[refusal.reason()]).inc();
    refusal.status().into_http()
}

fn missing(scope: Scope, what: &str) -> Status {
    Status::permission_denied(format!("{what} needs a key with the scope `{}`", scope.name()))
}

/// Refuses a call whose key has not the scope that what it says needs beyond its method.
///
/// # Errors
/// PERMISSION_DENIED, naming the scope.
pub fn require<T>(request: &tonic::Request<T>, scope: Scope, what: &str) -> Result<(), Status> {
    let holder = request.extensions().get::<KeyHolder>();
    if holder.is_some_and(|holder| holder.allows(scope)) {
        return Ok(());
    }
    Err(missing(scope, what))
}
