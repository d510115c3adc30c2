//! The Management API v2: how a tenant is configured, and how a browser app changes what belongs to its own user. And the My
//! Account API, on the same mechanism.
//!
//! [`routes::table`] is the list of operations, [`access`] the whole authorization rule; then one file or folder per family.

pub mod access;
pub mod administrators;
pub mod anomaly;
pub mod answers;
pub mod attack_protection;
pub mod audit;
mod bearer;
pub mod branding;
pub mod changes;
pub mod client_grants;
pub mod clients;
pub mod connections;
pub mod device_credentials;
pub mod documents;
pub mod email_templates;
pub mod emails;
pub mod errors;
pub mod fields;
mod gate;
pub mod grants;
pub mod guardian;
pub mod jobs;
mod json;
pub mod limits;
pub mod lists;
pub mod log_streams;
pub mod logs;
pub mod my_account;
pub mod operations;
pub mod paths;
pub mod permissions;
pub mod protocol;
pub mod refresh_tokens;
pub mod requests;
pub mod resource_servers;
pub mod roles;
mod routes;
pub mod self_service;
pub mod sessions;
pub mod signing_keys;
mod table;
pub mod tenants;
pub mod texts;
pub mod tickets;
pub mod user_blocks;
pub mod users;
pub mod validation;

pub use errors::Error;
pub use limits::{Buckets, Exceeded, Limits, Plan, Rate, Standing};
pub use operations::{Api, Operation, Over, Power, Scope};
pub use routes::{operations, routes, routes_with};
