//! Connections of one server: how many there may be, how many of one client, and how long one may keep the server waiting.
//!
//! Every server of a process accepts through a [`ConnectionTable`]: the pages, the operator's port and gRPC. A client that
//! sends half a request, or nothing, or does not read its answer, is cut off ([`ConnectionTable::sweep`]). Where there are as
//! many connections as there may be, one that serves no request makes room, first of all one that never sent a whole
//! request: strangers who hold connections open keep nobody else out. It knows no request and no answer.

mod calls;
mod state;
mod stream;
mod table;

pub(crate) use calls::peer;
pub use calls::watch_call;
pub use state::{ActiveRequest, CloseReason, ConnectionState, TrackedBody};
pub use stream::{WatchedStream, accept};
pub use table::{ConnectionLimits, ConnectionTable, client_key};
