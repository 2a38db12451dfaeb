//! Attacks on a platform that stands on the internet, each through the front door and against real servers.
//!
//! A test is one attack: it passes when the attack has no effect beyond what the test states. The modules follow what is
//! attacked. `just attacks` runs them all and counts them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bus;
mod connections;
mod keys;
mod mail_identity;
mod network;
mod pending;
mod preview;
mod programs;
mod reader_tokens;
mod storage;
mod transport;
mod votes;
mod watching;
