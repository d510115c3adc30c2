//! The program: command line, configuration, accept loop, router and jobs. A library too, so that tests build the same
//! router as `main`.

pub mod account;
pub mod acme;
pub mod admin;
pub mod backup;
pub mod cli;
pub mod client_certificates;
pub mod config;
pub mod copy;
pub mod cors;
pub mod dev;
pub mod doctor;
pub mod heads;
pub mod host;
pub mod jobs;
pub mod kept;
pub mod keys;
pub mod limits;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod migrate;
pub mod monitoring;
pub mod panics;
pub mod peer;
pub mod private_file;
pub mod program;
pub mod rate;
pub mod refusal;
pub mod request_log;
pub mod router;
pub mod security_headers;
pub mod serve;
pub mod tls;
#[cfg(feature = "otel")]
pub mod traces;
