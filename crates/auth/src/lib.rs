//! How one gets a token: OAuth 2.0, OpenID Connect and the hosted pages.

pub mod pages;
