//! What the fuzz targets do with their input. Each is a function over bytes that panics where a rule is broken, and says whether anything
//! was accepted: what is accepted satisfies, read anew and without the product's own parsers, the rule that it was accepted by.
//!
//! In seeds and inputs, words stand for what only a run can know: `NOW`, `SOON` (a minute from now), `LATER` (far from now), `FRESH` (an id
//! that was never used), and those that a target names. The integration tests (`tests/it/security/fuzzed.rs`) run the seeds, of which those
//! called `good…` are accepted.

mod assertion;
mod authorize;
mod basic;
mod cookies;
mod dpop;
mod jwt;
mod product;
mod redirect;
mod search;

pub use assertion::assertion;
pub use authorize::authorize;
pub use basic::basic;
pub use cookies::cookies;
pub use dpop::dpop;
pub use jwt::jwt;
pub use redirect::redirect;
pub use search::search;
