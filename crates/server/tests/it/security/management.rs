//! MG: what administrators may send, and what nobody may.

mod paging;
mod pressure;
mod schema;
mod secrets;
