//! What a sign-in is for, wherever it happens: on our pages or at the token endpoint.

use model::clients::Client;

use crate::scopes::Scopes;

/// What a sign-in is for.
#[derive(Clone, Copy, Debug)]
pub struct Aim<'a> {
    /// The client that asks.
    pub client: &'a Client,
    /// The API's identifier; empty for `/userinfo` alone.
    pub audience: &'a str,
    /// The scopes that may be granted.
    pub scopes: &'a Scopes,
}
