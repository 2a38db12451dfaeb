//! Connections: half-sent requests, idle connections, too many of them.
