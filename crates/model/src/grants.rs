//! Consents: what a user has allowed a client on an API.
