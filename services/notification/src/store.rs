//! The adapters of [`crate::ports`]: Redis with the log beside it, and memory for tests. One suite holds both to the same
//! behaviour.

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub mod memory;
pub mod redis;
