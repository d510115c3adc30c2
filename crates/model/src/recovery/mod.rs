//! Getting back into an account: who asked for a new password, and the mails with their links.
//!
//! A request is written down and answered; whether there is such a user is looked up by the mail job ([`process`]), so that
//! a stranger learns nothing from the answer or from how long it takes.

mod limits;
mod links;
mod requests;

pub(crate) use limits::counted;
pub use limits::{MOST_FROM_IP, MOST_TO_ADDRESS, WINDOW, first};
pub use links::{Links, queue_reset, queue_stolen, queue_verification};
pub use requests::{AT_A_TIME, NewRequest, process, request};
