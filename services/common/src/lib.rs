//! How any service of Broadsheet lives: the flow table, the bus, the stage loop, configuration, telemetry, gRPC, start
//! and stop.
//!
//! It knows no service and holds no rule of the business; what one message becomes is said in each service's
//! `pipeline.rs`.

pub mod access;
pub mod admin;
pub mod audit;
pub mod bus;
pub mod clock;
pub mod config;
pub mod dead_letters;
pub mod flow;
pub mod grpc;
pub mod journal;
pub mod keys;
pub mod lifecycle;
pub mod metrics;
pub mod nkey;
pub mod operations;
pub mod permissions;
pub mod replay;
pub mod service;
pub mod stage;
pub mod status;
pub mod streams;
pub mod tasks;
pub mod telemetry;
pub mod waiting;
