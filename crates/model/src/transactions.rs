//! Login transactions.
