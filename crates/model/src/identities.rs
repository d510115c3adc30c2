//! The logins of a user.
