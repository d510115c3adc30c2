//! Sealing of what must be read back, and digests of what must not.
