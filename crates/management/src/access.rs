//! The whole authorization rule. It runs before every handler, in one order: token, scope, path syntax, path ownership;
//! the extractors go on with query and body, the handler with existence and state (management contract §1.1).
//!
//! An earlier failure hides a later one. Ownership comes before existence, so that a current-user token learns nothing
//! of other users, not even whether they exist.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use model::tenants::Tenant;
use model::users::{self, User};
use model::{ClientId, Model, Timestamp, UserId};

use crate::audit::Call;
use crate::errors::Error;
use crate::operations::{Operation, Over, Power, Scope};
use crate::paths;

/// What the caller may do here: the answer of this module, and all that a handler knows of the token.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The tenant that the request's host belongs to.
    pub tenant: Arc<Tenant>,
    /// Whose objects the caller reaches.
    pub reach: Reach,
    /// What the caller's scopes add and are limited to.
    pub powers: Powers,
    /// Who calls: for the audit log.
    pub caller: Arc<Call>,
    /// The caller's own user as the gate read them.
    pub admitted: Admitted,
}

/// For so long, in milliseconds, the gate's reading is good: a body may come long after its head.
const GOOD_FOR: i64 = 1000;

/// The caller's own user as they were admitted, until they are asked for, and when that was.
#[derive(Clone, Debug)]
pub struct Admitted(Arc<Mutex<Option<(User, Timestamp)>>>);

impl Admitted {
    /// Holds on to the user unless they are large: a body that trickles in would keep that much.
    pub fn new(user: Option<User>, now: Timestamp) -> Self {
        let kept = user.filter(User::is_light).map(|user| (user, now));
        Self(Arc::new(Mutex::new(kept)))
    }

    /// The user if they are this one and were admitted just now. Only once.
    fn take(&self, id: &UserId, now: Timestamp) -> Option<User> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (user, at) = kept?;
        (user.id == *id && (at.millis()..at.millis() + GOOD_FOR).contains(&now.millis())).then_some(user)
    }
}

/// Whose objects a caller reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everyone's.
    Everyone,
    /// Only this user's: queries say `WHERE owner = sub`, and a miss answers like an unknown id.
    Own(UserId),
}

/// What the scopes that opened the operation add, and the limits that hold if none of them is free of limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Powers {
    held: Vec<Power>,
    limited: bool,
}

impl Powers {
    /// Whether this power, or this limit, is in force.
    pub fn has(&self, power: Power) -> bool {
        self.holds(power) && (self.limited || !power.is_limit())
    }

    /// Whether a scope with this power was held, be it beside one without limits.
    pub fn holds(&self, power: Power) -> bool {
        self.held.contains(&power)
    }

    /// The limits in force; empty when the caller is free. What any one of them allows is allowed.
    pub fn limits(&self) -> impl Iterator<Item = Power> {
        self.held.iter().copied().filter(|power| self.limited && power.is_limit())
    }

    fn of<'a>(scopes: impl Iterator<Item = &'a Scope> + Clone) -> Self {
        let limited = scopes.clone().all(|scope| scope.power.is_some_and(Power::is_limit));
        Self { held: scopes.filter_map(|scope| scope.power).collect(), limited }
    }
}

/// Who a verified token speaks for, and with which scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user or the client that the token is about.
    pub subject: Subject,
    /// The client that asked for the token (`azp`).
    pub client: ClientId,
    /// The scopes it holds.
    pub scopes: Scopes,
    /// The token's own id, where it has one.
    pub token_id: Option<String>,
    /// When it was issued, in seconds since the epoch.
    pub issued_at: i64,
    /// When its user proved who they are, in seconds since the epoch, where it tells.
    pub authenticated_at: Option<i64>,
    /// Whether they did so with a second factor.
    pub mfa: bool,
}

/// The scopes of a token, as its claim lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(String);

impl Scopes {
    /// The scopes of a list that is separated by blanks.
    pub fn new(claim: &str) -> Self {
        Self(claim.to_owned())
    }

    /// Each of them, in the order of the claim.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether this one is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|scope| scope == name)
    }
}

/// Whom a token is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A person: a current-user token.
    User(UserId),
    /// A machine: `{client_id}@clients`.
    Client,
}

/// Decides scope, path syntax and path ownership, in that order.
pub fn decide(
    operation: &Operation,
    bearer: &Bearer,
    first_param: Option<&str>,
) -> Result<(Reach, Powers), Error> {
    let held = operation.scopes.iter().filter(|scope| bearer.holds(scope));
    if held.clone().next().is_none() {
        let named = operation.scopes.iter().filter(|scope| scope.named);
        return Err(Error::InsufficientScope(named.map(|scope| scope.name).collect()));
    }
    let over = |over: Over| held.clone().filter(move |scope| scope.over == over);

    if over(Over::Everyone).next().is_some() {
        return Ok((Reach::Everyone, Powers::of(over(Over::Everyone))));
    }
    let Subject::User(own) = &bearer.subject else {
        unreachable!("a scope over one's own is held only by a token about a user");
    };
    if over(Over::OwnRow).next().is_some() {
        return Ok((Reach::Own(own.clone()), Powers::of(over(Over::OwnRow))));
    }
    let named: UserId = paths::user_id("id", first_param.unwrap_or_default())?;
    if named != *own {
        return Err(Error::UnownedResource);
    }
    Ok((Reach::Own(named), Powers::of(over(Over::OwnId))))
}

impl Bearer {
    /// Whether the token speaks for this user, whose id is its subject. One older than its user belonged to another of the same id.
    pub fn speaks_for(&self, user: &User) -> bool {
        !user.is_blocked() && user.created_at.seconds() <= self.issued_at
    }

    /// Whether the token holds this scope to any effect: a scope over one's own is worth nothing to a machine.
    fn holds(&self, scope: &Scope) -> bool {
        self.scopes.contains(scope.name)
            && scope.together_with.is_none_or(|other| self.scopes.contains(other))
            && (scope.over == Over::Everyone || matches!(self.subject, Subject::User(_)))
    }
}

impl Grant {
    /// The user `id`. Their own user a caller gets as the gate read them just now, and anew when asked again: a write guards the user as
    /// they were read ([`users::unchanged`] and its like), so that a change in between makes its batch be decided anew.
    ///
    /// # Errors
    /// 401 for a caller who reaches only their own user, unless that is still who the token speaks for.
    pub async fn user(&self, app: &Model, id: &UserId) -> Result<Option<User>, Error> {
        if let Some(user) = self.admitted.take(id, app.clock.now()) {
            return Ok(Some(user));
        }
        let found = users::find(&app.db, &self.tenant.id, id).await?;
        let speaks_for = |user: &User| self.caller.bearer().is_some_and(|bearer| bearer.speaks_for(user));
        match self.reach {
            Reach::Own(_) if !found.as_ref().is_some_and(speaks_for) => Err(Error::InvalidToken),
            Reach::Own(_) | Reach::Everyone => Ok(found),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Grant {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!("a handler outside the table of operations asked for a grant");
            Error::Internal
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::operations::{Api, everyone, own_id, own_row, power};

    fn operation(scopes: &[Scope]) -> Operation {
        Operation {
            api: Api::Management,
            method: Method::PATCH,
            path: "/users/{id}",
            title: "",
            scopes: scopes.to_vec(),
        }
    }

    fn bearer(subject: &str, scopes: &[&str]) -> Bearer {
        let subject = match subject.ends_with("@clients") {
            true => Subject::Client,
            false => Subject::User(subject.into()),
        };
        let scopes = Scopes::new(&scopes.join(" "));
        Bearer {
            subject,
            client: "spa".into(),
            scopes,
            token_id: None,
            issued_at: 0,
            authenticated_at: None,
            mfa: false,
        }
    }

    fn update() -> Operation {
        operation(&[
            everyone("update:users"),
            power("update:users_app_metadata", Power::AppMetadataOnly),
            own_id("update:current_user_metadata"),
            own_id("create:current_user_metadata").with(Power::AddMetadataOnly).unnamed(),
        ])
    }

    #[test]
    fn a_current_user_scope_reaches_the_subject_and_nobody_else() {
        let alice = bearer("auth0|alice", &["update:current_user_metadata"]);
        let (reach, powers) = decide(&update(), &alice, Some("auth0|alice")).unwrap();
        assert_eq!((reach, powers), (Reach::Own("auth0|alice".into()), Powers::default()));
        for other in ["auth0|bob", "Auth0|alice", "auth0|alice ", "auth0|alice|", "auth0|alice/"] {
            assert!(matches!(decide(&update(), &alice, Some(other)), Err(Error::UnownedResource)), "{other}");
        }
    }

    #[test]
    fn path_syntax_comes_after_scope_and_before_ownership() {
        let alice = bearer("auth0|alice", &["update:current_user_metadata"]);
        for bad in ["alice", "auth0%7Calice", "auth0\u{ff5c}alice", "auth0|a\0", "", "|"] {
            assert!(matches!(decide(&update(), &alice, Some(bad)), Err(Error::InvalidUri(_))), "{bad}");
            let none = bearer("auth0|alice", &["read:current_user"]);
            assert!(matches!(decide(&update(), &none, Some(bad)), Err(Error::InsufficientScope(_))), "{bad}");
        }
    }

    #[test]
    fn the_message_lists_the_scopes_in_order_without_the_unnamed() {
        let refused = decide(&update(), &bearer("auth0|alice", &[]), Some("auth0|alice")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Insufficient scope, expected any of: update:users,update:users_app_metadata,update:current_user_metadata"
        );
    }

    #[test]
    fn a_machine_gets_nothing_from_a_scope_over_ones_own() {
        let machine = bearer("m2m@clients", &["update:current_user_metadata"]);
        assert!(matches!(decide(&update(), &machine, Some("auth0|alice")), Err(Error::InsufficientScope(_))));
        let rows = operation(&[own_row("create:current_user_device_credentials")]);
        let machine = bearer("m2m@clients", &["create:current_user_device_credentials"]);
        assert!(matches!(decide(&rows, &machine, None), Err(Error::InsufficientScope(_))));
    }

    #[test]
    fn an_admin_scope_reaches_everyone() {
        let admin = bearer("m2m@clients", &["update:users"]);
        assert_eq!(
            decide(&update(), &admin, Some("auth0|bob")).unwrap(),
            (Reach::Everyone, Powers::default())
        );
    }

    #[test]
    fn a_limit_holds_until_a_scope_without_one_is_held() {
        let limits = |scopes: &[&str]| {
            let (_, powers) = decide(&update(), &bearer("auth0|alice", scopes), Some("auth0|alice")).unwrap();
            powers.limits().collect::<Vec<_>>()
        };
        assert_eq!(limits(&["create:current_user_metadata"]), [Power::AddMetadataOnly]);
        assert_eq!(limits(&["create:current_user_metadata", "update:current_user_metadata"]), []);
        assert_eq!(limits(&["update:users_app_metadata"]), [Power::AppMetadataOnly]);
        assert_eq!(limits(&["update:users_app_metadata", "update:users"]), []);
    }

    #[test]
    fn two_limited_scopes_stay_limited() {
        let clients = operation(&[
            everyone("update:clients"),
            power("update:client_keys", Power::ClientKeys),
            power("update:client_credentials", Power::ClientCredentials),
        ]);
        let both = bearer("m2m@clients", &["update:client_keys", "update:client_credentials"]);
        let (_, powers) = decide(&clients, &both, Some("x")).unwrap();
        assert_eq!(powers.limits().count(), 2);
    }

    #[test]
    fn a_scope_that_needs_another_is_worth_nothing_alone() {
        let rotate = operation(&[everyone("create:signing_keys").and("update:signing_keys"), everyone("x")]);
        assert!(decide(&rotate, &bearer("m2m@clients", &["create:signing_keys"]), None).is_err());
        assert!(
            decide(&rotate, &bearer("m2m@clients", &["create:signing_keys", "update:signing_keys"]), None)
                .is_ok()
        );
    }
}
