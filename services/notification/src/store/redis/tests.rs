//! Redis alone, and Redis beside its log.

mod layout;
mod log;
