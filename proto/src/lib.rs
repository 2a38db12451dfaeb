//! The contract of Broadsheet: what its services say to each other and to the world.
//!
//! Generated from `proto/broadsheet/<area>/v1/*.proto`, with the conversions between wire and domain types in
//! [`convert`]. It holds no rules and does no I/O.

#![allow(clippy::pedantic, reason = "generated code")]

pub mod access;
pub mod convert;

pub use convert::ConvertError;

/// Descriptors of every message and service, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! packages {
    ($($area:ident),*) => {
        $(#[doc = concat!("Package `broadsheet.", stringify!($area), ".v1`.")]
        pub mod $area {
            #[doc = concat!("Version 1 of `broadsheet.", stringify!($area), "`.")]
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/broadsheet.", stringify!($area), ".v1.rs"));
            }
        })*
    };
}

packages!(
    papers,
    ingest,
    embedding,
    search,
    index,
    subscriptions,
    delivery,
    attention,
    operations
);
