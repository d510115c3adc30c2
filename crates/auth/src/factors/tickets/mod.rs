//! `/mfa/enrollment?ticket=…`: a link that an administrator made lets a user set up a factor: an authenticator app, or a phone. Looking at
//! the pages uses nothing up: a mail scanner may do so.

pub mod otp;
pub mod phone;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::attempts::{self, Limited};
use model::factors::tickets::{self, Ticket};
use model::factors::{self, Factor, Kind, recovery_code, totp};
use model::users::User;
use model::{Timestamp, guardian, logs, mail, users};

use super::enrollable;
use super::step::Told;
use crate::authorize::response::redirect;
use crate::events;
use crate::pages::{CodeError, ErrorKind, RecoveryCodePage};
use crate::params::Params;
use crate::visit::Visit;

/// The page of an authenticator app.
const OTP: &str = "/mfa/enrollment";
/// The page that asks for a number.
const PHONE: &str = "/mfa/enrollment/phone";
/// The page that asks for the code which went there.
const CODE: &str = "/mfa/enrollment/code";

/// A ticket that is good, and for whom.
struct Opened {
    id: String,
    ticket: Ticket,
    user: User,
    factors: Vec<Factor>,
    /// What can be set up with it, the best first.
    kinds: Vec<Kind>,
}

impl Opened {
    /// What an enrolment of this kind and its code are bound to.
    fn purpose(&self, kind: Kind) -> String {
        match kind {
            Kind::Phone => format!("{}\nphone", self.id),
            _ => self.id.clone(),
        }
    }

    /// The enrolment of this kind that is under way.
    fn pending(&self, kind: Kind) -> Option<&Factor> {
        let purpose = self.purpose(kind);
        let pending = |factor: &&Factor| factor.kind == kind && factor.is_pending_for(&purpose);
        self.factors.iter().find(pending).filter(|_| self.kinds.contains(&kind))
    }

    /// A page of this ticket.
    fn page(&self, path: &str) -> String {
        format!("{path}?ticket={}", self.id)
    }

    /// The page that sets up the other kind, where there is one.
    fn other(&self, kind: Kind) -> Option<String> {
        let other = self.kinds.iter().find(|other| **other != kind)?;
        Some(self.page(if *other == Kind::Phone { PHONE } else { OTP }))
    }
}

/// The ticket of a query, where it is good for a factor of this kind; for another kind the browser is led to that one's page.
async fn opened(visit: &Visit, id: &str, kind: Kind) -> Result<Opened, Response> {
    match open(visit, id).await {
        Ok(Some(opened)) if opened.kinds.contains(&kind) => Ok(opened),
        Ok(Some(opened)) => match opened.other(kind) {
            Some(other) => Err(redirect(&other)),
            None => Err(visit.error_page(ErrorKind::Expired).await.into_response()),
        },
        Ok(None) => Err(visit.error_page(ErrorKind::Expired).await.into_response()),
        Err(error) => Err(visit.failure_page(error).await),
    }
}

/// [`opened`] for a form that comes back, with its fields.
async fn posted(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
    kind: Kind,
) -> Result<(Opened, Params), Response> {
    let Ok(params) = Params::parse_body(headers, body) else {
        return Err(visit.error_page(ErrorKind::InvalidRequest).await.into_response());
    };
    let id = params.get("state").map_or_else(|| ticket_of(query), str::to_owned);
    if !visit.csrf_holds(params.get("_csrf"), &subject(&id)) {
        return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
    }
    Ok((opened(visit, &id, kind).await?, params))
}

/// The ticket, if it is good for its user as they are now: one who has a factor needs a ticket that says so.
async fn open(visit: &Visit, id: &str) -> Result<Option<Opened>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(ticket) = tickets::find(&app.db, tenant, id, app.clock.now()).await? else { return Ok(None) };
    let user = users::find(&app.db, tenant, &ticket.user_id).await?.filter(|user| !user.is_blocked());
    let mut kinds = enrollable(&*guardian::find(app, tenant).await?);
    match ticket.factor.as_deref() {
        Some("phone") => kinds.retain(|kind| *kind == Kind::Phone),
        Some("otp") => kinds.retain(|kind| *kind == Kind::Totp),
        // Of the kinds that are not set up here any will do.
        _ => {}
    }
    let Some(user) = user.filter(|_| !kinds.is_empty()) else { return Ok(None) };
    let factors = factors::list(&app.db, tenant, &user.id).await?;
    let fits = ticket.allow_multiple || !factors.iter().any(Factor::protects);
    Ok(fits.then(|| Opened { id: id.to_owned(), ticket, user, factors, kinds }))
}

/// The code that was typed, once one of the user's attempts is taken for it: without one no code is looked at.
async fn attempt(visit: &Visit, user: &User, params: &Params) -> Result<String, Told> {
    let typed = totp::typed(params.get("code").unwrap_or_default());
    let code = typed.ok_or(Told::Again(CodeError::NoCode))?;
    match attempts::take(&visit.app, &visit.tenant.id, &user.id, Limited::Check).await {
        Ok(true) => Ok(code),
        Ok(false) => Err(Told::Again(CodeError::TooMany)),
        Err(error) => Err(Told::Elsewhere(visit.failure_page(error).await)),
    }
}

/// Adds to a batch what ends an enrolment with a right code, and spends the ticket. Answers the new recovery code, where the user gets one.
async fn end(
    visit: &Visit,
    batch: &mut Batch,
    mut opened: Opened,
    (factor, step): (&Factor, i64),
    now: Timestamp,
) -> Result<Option<String>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let user = &mut opened.user;
    factors::enrolled(batch, user, now);
    tickets::spend(batch, tenant, &opened.ticket, now);
    factors::confirm(batch, tenant, factor, step, now);
    attempts::forgive(batch, tenant, &user.id);
    let has_code = opened.factors.iter().any(Factor::is_good_recovery_code);
    let offers = guardian::find(app, tenant).await?.offers(Kind::RecoveryCode);
    let recovery = (offers && !has_code).then(|| recovery_code::new(&app.random));
    if let Some(recovery) = &recovery {
        recovery_code::replace(batch, tenant, &Factor::recovery_code(app, &user.id, recovery));
    }
    factors::notify(batch, app, user, mail::Kind::FactorAdded, factor.kind, None).await?;
    let event = events::factor(visit, logs::Kind::FactorEnrolled, None, user, factor.kind.as_str());
    logs::record(batch, event);
    Ok(recovery)
}

/// What a code led to: the page after a right one.
async fn outcome(visit: &Visit, confirmed: Result<Option<Option<String>>, db::Error>) -> Told {
    Told::Elsewhere(match confirmed {
        Ok(Some(code)) => RecoveryCodePage {
            look: visit.look().await,
            code: code.unwrap_or_default(),
            form: None,
            unsaved: false,
            form_targets: Default::default(),
        }
        .into_response(),
        Ok(None) => return Told::Again(CodeError::Wrong),
        Err(db::Error::Conflict { .. }) => visit.error_page(ErrorKind::FormExpired).await.into_response(),
        Err(error) => visit.failure_page(error).await,
    })
}

/// What the token of the form is good for.
fn subject(ticket: &str) -> String {
    format!("ticket\n{ticket}")
}

fn ticket_of(query: Option<&str>) -> String {
    let params = Params::parse_form(query.unwrap_or_default()).unwrap_or_default();
    params.get("ticket").or(params.get("state")).unwrap_or_default().to_owned()
}
