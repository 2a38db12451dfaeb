//! How any service of Broadsheet lives: the flow table, the bus, the stage loop, configuration, telemetry, gRPC, start
//! and stop.
//!
//! It knows no service and holds no rule of the business; what one message becomes is said in each service's
//! `pipeline.rs`.

pub mod access;
pub mod addresses;
pub mod admin;
pub mod allowances;
pub mod audit;
pub mod bus;
pub mod calibration;
pub mod clock;
pub mod config;
pub mod connections;
pub mod dead_letters;
pub mod flow;
pub mod grpc;
mod grpc_limits;
mod http_server;
pub mod journal;
pub mod kept_secret;
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
pub mod storage;
pub mod stream_use;
pub mod streams;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod toml_error;
pub mod waiting;
