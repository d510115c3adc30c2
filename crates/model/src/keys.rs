//! The tenants' signing keys.
