//! Apps that ask a person, who is elsewhere, to let them in (OpenID Connect CIBA Core, poll mode; authentication contract §4.4): a call centre's,
//! say, or a till's. The app begins ([`authorize`]) and polls; the person answers on a page of ours, in a session of their own ([`answer`]).
//!
//! Nothing of this signs anybody in: whoever answers has signed in before, and gives what the tenant's policy asks for besides a password.

pub mod answer;
pub mod authorize;

/// The grant that an app polls with.
pub const GRANT: &str = "urn:openid:params:grant-type:ciba";
