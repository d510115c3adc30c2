//! Opaque access tokens, good for `/userinfo` only.
