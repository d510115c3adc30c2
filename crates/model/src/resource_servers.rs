//! APIs.
