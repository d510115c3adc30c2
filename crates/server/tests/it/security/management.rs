//! MG: what administrators may send, and what nobody may.

mod schema;
