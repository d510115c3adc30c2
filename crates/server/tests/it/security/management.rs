//! MG: what administrators may send, and what nobody may.

mod imports;
mod paging;
mod pressure;
mod schema;
mod search;
mod secrets;
