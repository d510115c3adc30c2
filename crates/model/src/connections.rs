//! Where users come from.
