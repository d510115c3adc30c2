//! The Management API, operation by operation.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not know the functions that `both_databases!` makes for tests"
)]

mod access;
mod anomaly;
mod attack_protection;
mod authentication_methods;
mod branding;
mod client_credentials;
mod client_grants;
mod configuration;
mod coverage;
mod current_user;
mod device_credentials;
mod email_templates;
mod emails;
mod grants;
mod guides;
mod identities;
mod jobs;
mod log_streams;
mod logs;
mod protocol;
mod refresh_tokens;
mod roles;
mod self_service;
mod sessions;
pub mod sign_ins;
mod signing_keys;
mod tenants;
mod tickets;
mod user_blocks;
mod users;
mod users_signed_out;
