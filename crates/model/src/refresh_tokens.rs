//! Refresh tokens: rotation, reuse detection, lifetimes.
