//! The second factor of a sign-in: when one is missing, and the pages that ask for it (authentication contract §1.2 step 8).
//!
//! [`missing`] decides. A page asks for a code, and a right one goes through [`step::Step::passed`], which gives the session
//! another token; then the browser goes back through `/authorize/resume` as after every page.

pub mod enrollment;
pub mod options;
pub mod otp;
pub mod phone;
pub mod recovery;
pub mod sent;
mod step;
pub mod tickets;

use model::factors::{self, Factor, Kind, remembered};
use model::guardian::{self, Guardian};
use model::sessions::Session;
use model::transactions::{self, Progress, Transaction};
use model::users::User;

use crate::authorize::audience::Audience;
use crate::authorize::request::Request;
use crate::visit::Visit;

/// What a sign-in needs besides the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A code of this kind, or of another that the user has.
    Challenge(Kind),
    /// The user has nothing yet, and sets up a factor: of this kind, or of another that is offered.
    Enrollment(Kind),
    /// The user has yet to see their new recovery code.
    RecoveryCode,
    /// A factor that the user has none of and cannot get here.
    Impossible,
}

impl Missing {
    /// The page that asks for it.
    pub fn page(self) -> &'static str {
        match self {
            Self::Challenge(kind) => challenge_page(kind),
            Self::Enrollment(kind) => enrollment_page(kind),
            Self::RecoveryCode => "/u/mfa-recovery-code-enrollment",
            Self::Impossible => "/authorize/resume",
        }
    }
}

/// The page that asks for a code of this kind.
fn challenge_page(kind: Kind) -> &'static str {
    match kind {
        Kind::Totp => "/u/mfa-otp-challenge",
        Kind::Phone => "/u/mfa-sms-challenge",
        Kind::Email => "/u/mfa-email-challenge",
        Kind::RecoveryCode => "/u/mfa-recovery-code-challenge",
    }
}

/// The page that sets up a factor of this kind.
fn enrollment_page(kind: Kind) -> &'static str {
    match kind {
        Kind::Phone => "/u/mfa-sms-enrollment",
        _ => "/u/mfa-otp-enrollment",
    }
}

/// The kinds that are set up on our pages, as far as the tenant offers them, the best first.
fn enrollable(guardian: &Guardian) -> Vec<Kind> {
    [Kind::Totp, Kind::Phone].into_iter().filter(|kind| guardian.offers(*kind)).collect()
}

/// Decides whether the user of `session` must give a second factor before `request` is answered, and which.
///
/// `acr_values` asks for one that was given in this session. The tenant's policy asks too, but not in a browser that the user
/// had remembered. `here` is how far this very sign-in has come: a new recovery code is its user's only once they have given a factor,
/// since the session may be another user's by now.
pub async fn missing(
    visit: &Visit,
    request: &Request,
    session: &Session,
    user: &User,
    here: Option<&Progress>,
) -> Result<Option<Missing>, db::Error> {
    if session.mfa_at.is_some() {
        let unseen = here.is_some_and(|progress| progress.recovery_code.is_some());
        return Ok(unseen.then_some(Missing::RecoveryCode));
    }
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let guardian = guardian::find(app, tenant).await?;
    if request.audience.is_mfa(&visit.tenant) {
        // Who has a factor gives it before they change what they have.
        let factors = factors::list(&app.db, tenant, &user.id).await?;
        if factors.iter().any(Factor::protects) {
            return Ok(Some(next(&guardian, &factors, user)));
        }
    }
    let policy = is_asked(visit, &guardian, user).await? && !is_remembered(visit, user).await?;
    if !request.multi_factor && !policy {
        return Ok(None);
    }
    let factors = factors::list(&app.db, tenant, &user.id).await?;
    Ok(match next(&guardian, &factors, user) {
        Missing::Impossible if !policy && request.takes_less() => None,
        missing => Some(missing),
    })
}

/// [`missing`] for a proof that came to the token endpoint: no browser is remembered there. Who has a factor gives it in any case
/// before they change what they have.
pub async fn missing_for_grant(
    visit: &Visit,
    audience: &Audience,
    user: &User,
) -> Result<Option<Missing>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let guardian = guardian::find(app, tenant).await?;
    let factors = factors::list(&app.db, tenant, &user.id).await?;
    let changes = audience.is_mfa(&visit.tenant) && factors.iter().any(Factor::protects);
    let asked = changes || is_asked(visit, &guardian, user).await?;
    Ok(asked.then(|| next(&guardian, &factors, user)))
}

/// Whether the tenant's policy asks this user for a second factor. Where nothing takes messages to phones any more, whoever has given a
/// number is asked all the same, and let in by another factor or not at all: a gateway that has gone opens no account.
async fn is_asked(visit: &Visit, guardian: &Guardian, user: &User) -> Result<bool, db::Error> {
    if guardian.asks_everywhere() || guardian.policies.is_empty() || !guardian.wants_sms() {
        return Ok(guardian.asks_everywhere());
    }
    let factors = factors::list(&visit.app.db, &visit.tenant.id, &user.id).await?;
    Ok(factors.iter().any(|factor| factor.kind == Kind::Phone && factor.is_confirmed()))
}

/// [`missing`] for a page that comes after the second factor.
pub async fn outstanding(
    visit: &Visit,
    request: &Request,
    transaction: &Transaction,
    session: &Session,
    user: &User,
) -> Result<bool, db::Error> {
    let progress = transactions::progress(&visit.app.db, &visit.tenant.id, &transaction.id).await?;
    let here = progress.as_ref().filter(|progress| progress.sid == session.sid);
    Ok(missing(visit, request, session, user, here).await?.is_some())
}

async fn is_remembered(visit: &Visit, user: &User) -> Result<bool, db::Error> {
    let Some(token) = visit.remembered() else { return Ok(false) };
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    remembered::holds(&app.db, tenant, &user.id, token, app.clock.now()).await
}

/// What is asked for first. Whoever has a factor is asked for one, and enrols none instead: not even when theirs is none that
/// can be asked for here.
pub fn next(guardian: &Guardian, factors: &[Factor], user: &User) -> Missing {
    let ways = ways(guardian, factors, user);
    let protected = factors.iter().any(Factor::protects);
    match ways.first() {
        Some(way) if protected => Missing::Challenge(*way),
        None if protected => Missing::Impossible,
        way => match (enrollable(guardian).first(), way) {
            (Some(kind), _) => Missing::Enrollment(*kind),
            (None, Some(way)) => Missing::Challenge(*way),
            (None, None) => Missing::Impossible,
        },
    }
}

/// The kinds of codes that the user can give, the best first. A verified address gets codes wherever the tenant has e-mail among
/// its factors; a recovery code stands in for a factor, and so is nothing without one.
pub fn ways(guardian: &Guardian, factors: &[Factor], user: &User) -> Vec<Kind> {
    let has = |kind: Kind| factors.iter().any(|factor| factor.kind == kind && factor.is_confirmed());
    let is_there = |kind: &Kind| match kind {
        Kind::Totp => has(Kind::Totp),
        Kind::Email | Kind::Phone => address(*kind, factors, user).is_some(),
        Kind::RecoveryCode => {
            factors.iter().any(Factor::protects) && factors.iter().any(Factor::is_good_recovery_code)
        }
    };
    let all = [Kind::Totp, Kind::Phone, Kind::Email, Kind::RecoveryCode];
    all.into_iter().filter(|kind| guardian.offers(*kind) && is_there(kind)).collect()
}

/// Where codes of this kind go: to the first address or number that was enrolled; by e-mail else to the user's own, once it is verified.
pub fn address(kind: Kind, factors: &[Factor], user: &User) -> Option<String> {
    let enrolled = factors.iter().find(|factor| factor.kind == kind && factor.is_confirmed());
    match enrolled.and_then(|factor| factor.address.clone()) {
        Some(address) => Some(address),
        None => user.email.clone().filter(|_| kind == Kind::Email && user.email_verified),
    }
}

/// An address or a number of which only as much shows as its owner needs to know it by: `al***@example.com`, `XXXXXXXXX9167`.
fn masked(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return masked_number(address) };
    let shown: String = local.chars().take(if local.chars().count() > 3 { 2 } else { 1 }).collect();
    format!("{shown}***@{domain}")
}

/// A number of which the last four digits show (authentication contract §3.6).
pub fn masked_number(number: &str) -> String {
    let hidden = number.chars().count().saturating_sub(4);
    let hide = |(at, char): (usize, char)| if at < hidden { 'X' } else { char };
    number.chars().enumerate().map(hide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_the_beginning_and_the_domain_show() {
        assert_eq!(masked("alice@example.com"), "al***@example.com");
        assert_eq!(masked("bob@example.com"), "b***@example.com");
        assert_eq!(masked("é@example.com"), "é***@example.com");
        assert_eq!(masked("+440000009167"), "XXXXXXXXX9167");
    }
}
