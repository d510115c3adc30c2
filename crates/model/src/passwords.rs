//! Password hashing on its own bounded pool.
