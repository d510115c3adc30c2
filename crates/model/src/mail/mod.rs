//! Mail: letters that wait in a queue, in the batch of what they tell of, until the mail job has delivered them.
//!
//! Whoever changes something that its user should hear of adds a letter to the batch of the change:
//!
//! ```ignore
//! if let Some(letter) = Letter::to_user(Kind::FactorAdded, &user) {
//!     mail::queue(&mut batch, &app, &tenant.id, letter.with("factor", "Authenticator app").client(&client_id));
//! }
//! ```
//!
//! A letter with a secret says it by the variable that Auth0's templates know it by: `code` for a one-time code, `url` for a
//! link. The variables are sealed from the start. Nothing is rendered or sent in the batch: a mail server that is down delays
//! the letter, and nobody's sign-in. Doorward's own notices have built-in texts; the kinds that Auth0 has templates for
//! can be given others with `email-templates`.
//!
//! Messages to phones wait in the same queue ([`Kind::is_message`]), and leave by the tenant's gateway ([`crate::sms`]).

mod builtin;
mod deliver;
mod kind;
mod letter;
pub mod liquid;
mod message;
pub mod providers;
mod queue;
mod render;
mod smtp;
pub mod templates;

pub use deliver::{Delivery, deliver, try_out};
pub use kind::Kind;
pub use letter::Letter;
pub use queue::{Queued, Shown, clear, find, newest, queue};
pub use render::{Mail, Text, render};
pub use smtp::SendError;
