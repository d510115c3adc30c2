//! The only crate that names a database driver: reads, optimistic batches, the SQLite writer thread,
//! the PostgreSQL pool, the configuration cache and migrations.
