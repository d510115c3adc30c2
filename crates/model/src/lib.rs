//! What exists: one file or folder per family with its type, its rules and its SQL. No HTTP types.

pub mod access_tokens;
pub mod app;
pub mod attack_protection;
pub mod authorization_codes;
pub mod bootstrap;
pub mod branding;
pub mod client_grants;
pub mod clients;
pub mod clock;
pub mod connections;
pub mod credentials;
pub mod device_credentials;
pub mod document;
pub mod factors;
pub mod grants;
pub mod guardian;
pub mod identities;
pub mod ids;
pub mod jobs;
pub mod jose;
pub mod keys;
pub mod logs;
pub mod mail;
pub mod migrations;
pub mod paging;
pub mod password_policies;
pub mod passwords;
pub mod random;
pub mod recovery;
pub mod refresh_tokens;
pub mod resource_servers;
pub mod retention;
pub mod seal;
pub mod self_service;
pub mod sessions;
pub mod spent_ids;
pub mod tenants;
#[cfg(test)]
mod testing;
pub mod tickets;
pub mod transactions;
pub mod users;

pub use app::{App, Model, Peer};
pub use clock::{Clock, Timestamp};
pub use ids::{ClientId, TenantId, UserId};
pub use random::Random;
