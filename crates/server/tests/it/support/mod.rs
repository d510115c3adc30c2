//! What every test begins with: [`TestApp`], in process and without a socket, on a database of its own.
//!
//! ```ignore
//! both_databases! {
//!     async fn a_user_reads_their_own_profile(app: TestApp) {
//!         app.add_user("auth0|alice").await;
//!         let alice = app.token("auth0|alice", "read:current_user");
//!         let own = alice.get("/api/v2/users/auth0%7Calice").await;
//!         assert_eq!((own.status, &own.body["user_id"]), (200, &json!("auth0|alice")));
//!     }
//! }
//! ```

#![allow(dead_code, reason = "each test uses what it needs")]

pub mod answer;
pub mod app;
pub mod binary;
pub mod browser;
pub mod caller;
pub mod client_key;
#[macro_use]
pub mod engine;
pub mod factors;
pub mod holder;
pub mod hook;
pub mod post;
pub mod socket;
pub mod tls;

pub use answer::Answer;
pub use app::TestApp;
pub use browser::{Authorize, Browser};
pub use caller::Caller;
pub use engine::Engine;
