//! Signing in and out, as apps and people see it.

mod at_once;
mod backchannel_logout;
mod claims;
mod client_assertions;
mod connections;
mod dbconnections;
pub mod device;
mod error_pages;
mod factor_steps;
mod factors;
mod initiated_login;
mod logout;
pub mod mfa;
mod pages;
mod pairwise;
mod password_grant;
mod passwordless;
mod possession;
mod published_keys;
mod pushed_requests;
mod recovery_links;
mod registered_clients;
mod registration;
mod request_objects;
mod requested_claims;
mod signatures;
mod token_exchange;
