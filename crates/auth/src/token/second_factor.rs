//! The grants that give a second factor: `mfa-otp`, `mfa-oob` and `mfa-recovery-code` (authentication contract §3.4).
//!
//! The first right code of a factor whose enrolment was begun with the same token ends that enrolment, and is the second factor of
//! this sign-in too. Tries count for the user, together with those on our pages.

use db::Batch;
use model::clients::Client;
use model::factors::attempts::{self, Limited};
use model::factors::{self, Factor, Kind, codes, recovery_code as recovery, totp};
use model::guardian::{self, Guardian};
use model::users::{self, User};
use model::{Timestamp, logs, mail, mfa_tokens};

use super::user_tokens::{Purchase, Stored};
use super::{Tokens, granted_now};
use crate::aim::Aim;
use crate::errors::OAuthError;
use crate::events;
use crate::factors::{Missing, address, next, ways};
use crate::issue::Via;
use crate::mfa::bearer::{Bearer, Proof};
use crate::mfa::oob_purpose;
use crate::params::Params;
use crate::possession;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// The grant that gives a code of an authenticator app.
pub const OTP: &str = "http://auth0.com/oauth/grant-type/mfa-otp";
/// The grant that gives a code that was sent.
pub const OOB: &str = "http://auth0.com/oauth/grant-type/mfa-oob";
/// The grant that gives a recovery code.
pub const RECOVERY_CODE: &str = "http://auth0.com/oauth/grant-type/mfa-recovery-code";

/// `otp`: a code of the user's authenticator app.
pub async fn otp(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let bearer = bearer(visit, client, params).await?;
    let otp = params.get("otp").ok_or_else(|| OAuthError::missing("otp"))?;
    let attempt = Attempt { visit, client, bearer, code: Code::Otp(totp::typed(otp)) };
    attempt.take().await?;
    attempt.give().await
}

/// `oob_code` and `binding_code`: a code that was sent, by e-mail or SMS.
pub async fn oob(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let bearer = bearer(visit, client, params).await?;
    let oob_code = params.get("oob_code").ok_or_else(|| OAuthError::missing("oob_code"))?;
    let typed = params.get("binding_code").ok_or_else(|| OAuthError::missing("binding_code"))?;
    let purpose = oob_purpose(&bearer.token, oob_code);
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let sent = codes::find(&app.db, tenant, &purpose).await?;
    // An `oob_code` that is nobody's tells no kind.
    let kind = sent.map_or(Kind::Email, |sent| sent.kind());
    let code = Code::Oob { kind, purpose: purpose.clone(), code: totp::typed(typed) };
    let attempt = Attempt { visit, client, bearer, code };
    attempt.take().await?;
    match codes::try_once(app, tenant, &purpose).await? {
        true => attempt.give().await,
        false => Err(attempt.wrong()),
    }
}

/// `recovery_code`: it is spent, and the answer holds the one that takes its place.
pub async fn recovery_code(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let bearer = bearer(visit, client, params).await?;
    let typed = params.get("recovery_code").ok_or_else(|| OAuthError::missing("recovery_code"))?;
    let attempt = Attempt { visit, client, bearer, code: Code::Recovery(recovery::typed(typed)) };
    attempt.take().await?;
    attempt.give().await
}

/// The bearer of `mfa_token`, which was issued to this client.
async fn bearer(visit: &Visit, client: &Client, params: &Params) -> Result<Bearer, OAuthError> {
    let token = params.get("mfa_token").ok_or_else(|| OAuthError::missing("mfa_token"))?;
    let bearer = Bearer::of(visit, token).await?;
    bearer.is_for(client)?;
    bearer.may("enroll")?;
    Ok(bearer)
}

/// A code as it was typed; `None` where it cannot be one.
enum Code {
    Otp(Option<String>),
    Oob { kind: Kind, purpose: String, code: Option<String> },
    Recovery(Option<String>),
}

impl Code {
    fn kind(&self) -> Kind {
        match self {
            Self::Otp(_) => Kind::Totp,
            Self::Oob { kind, .. } => *kind,
            Self::Recovery(_) => Kind::RecoveryCode,
        }
    }

    /// What is said of a wrong one.
    fn refusal(&self) -> &'static str {
        match self {
            Self::Otp(_) => "Invalid otp_code.",
            Self::Oob { .. } => "Invalid binding_code.",
            Self::Recovery(_) => "MFA Authorization rejected.",
        }
    }
}

/// A code that somebody gives.
struct Attempt<'a> {
    visit: &'a Visit,
    client: &'a Client,
    bearer: Bearer,
    code: Code,
}

/// What a code is looked at with: all of it as it is now.
struct Now {
    user: User,
    factors: Vec<Factor>,
    /// The kinds of codes that will do.
    ways: Vec<Kind>,
    /// Whether an enrolment may end here.
    may_enroll: bool,
    at: Timestamp,
}

/// What a right code was.
enum How {
    Given,
    Enrolled { factor: Box<Factor>, step: i64 },
    Recovered { next: String },
}

/// How an exchange went, as far as the database is concerned.
enum Outcome {
    Issued(Box<(Purchase, Stored, Option<String>)>),
    Wrong,
    Closed,
    Gone,
}

impl Attempt<'_> {
    /// Takes one of the user's attempts, before the code is looked at.
    async fn take(&self) -> Result<(), OAuthError> {
        let (app, tenant) = (&self.visit.app, &self.visit.tenant.id);
        if attempts::take(app, tenant, &self.bearer.user.id, Limited::Check).await? {
            return Ok(());
        }
        app.audit.push(self.event(logs::Kind::FactorLimited));
        Err(OAuthError::too_many("Too many codes were tried. Please try again later."))
    }

    fn event(&self, kind: logs::Kind) -> logs::Event {
        let event = events::factor(self.visit, kind, None, &self.bearer.user, self.code.kind().as_str());
        event.client(self.client)
    }

    /// Notes a wrong code.
    fn wrong(&self) -> OAuthError {
        self.visit.app.audit.push(self.event(logs::Kind::FactorFailed));
        OAuthError::invalid_grant(self.code.refusal())
    }

    /// Spends the code, if it is right, and issues what it buys, in one batch.
    async fn give(&self) -> Result<Tokens, OAuthError> {
        let (visit, client) = (self.visit, self.client);
        match visit.app.db.retry(async || self.decide().await).await? {
            Outcome::Issued(issued) => {
                let (purchase, stored, next) = *issued;
                let tokens = purchase.issue(visit, client, stored).await?;
                Ok(Tokens { recovery_code: next, ..tokens })
            }
            Outcome::Wrong => Err(self.wrong()),
            Outcome::Closed => Err(OAuthError::access_denied("The API is closed to the client")),
            Outcome::Gone => Err(OAuthError::invalid_grant("Malformed mfa_token")),
        }
    }

    async fn decide(&self) -> Result<(Batch, Outcome), db::Error> {
        let (visit, client) = (self.visit, self.client);
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let nothing = |outcome| Ok((Batch::new(), outcome));
        let guardian = guardian::find(app, tenant).await?;
        let Some(mut now) = self.now(&guardian).await? else { return nothing(Outcome::Gone) };
        let (audience, scope, connection) = match &self.bearer.proof {
            Proof::First(token) => (token.audience.clone(), token.scope.clone(), token.connection.clone()),
            Proof::Whole { scopes, .. } => (visit.tenant.mfa_audience(), scopes.to_string(), String::new()),
        };
        let Some((audience, scopes)) =
            granted_now(visit, client, &now.user.id, &audience, &Scopes::parse(&scope)).await?
        else {
            return nothing(Outcome::Closed);
        };
        let mut proof = Batch::new();
        let Some(how) = self.prove(&now, &mut proof).await? else { return nothing(Outcome::Wrong) };

        let mut batch = Batch::new();
        if matches!(how, How::Enrolled { .. }) {
            factors::enrolled(&mut batch, &mut now.user, now.at);
        }
        match &self.bearer.proof {
            Proof::First(token) => {
                users::touch_login(&mut batch, &now.user, now.at, &visit.peer.ip.to_string());
                mfa_tokens::spend(&mut batch, tenant, token);
            }
            Proof::Whole { .. } => users::unchanged(&mut batch, &now.user),
        }
        batch.append(proof);
        let (kind, next) = match how {
            How::Given => (logs::Kind::FactorSucceeded, None),
            How::Recovered { next } => (logs::Kind::RecoverySucceeded, Some(next)),
            How::Enrolled { factor, step } => {
                factors::confirm(&mut batch, tenant, &factor, step, now.at);
                let with_it =
                    |code: &&Factor| code.kind == Kind::RecoveryCode && code.is_pending_with(&factor);
                if let Some(code) = now.factors.iter().find(with_it) {
                    recovery::confirm(&mut batch, tenant, code, now.at);
                }
                let notice = mail::Kind::FactorAdded;
                let by = Some(&client.client_id);
                factors::notify(&mut batch, app, &now.user, notice, factor.kind, by).await?;
                (logs::Kind::FactorEnrolled, None)
            }
        };
        attempts::forgive(&mut batch, tenant, &now.user.id);
        if possession::demanded_by_api(visit, client, audience.api()).is_err() {
            return Ok((Batch::new(), Outcome::Closed));
        }
        let purchase = Purchase { user: now.user, audience, scopes, via: Via::Password, multi_factor: true };
        let stored = purchase.store(visit, client, &mut batch).await?;
        let (audience, scopes) = (purchase.audience.identifier(), &purchase.scopes);
        let aim = Aim { client, audience, scopes };
        logs::record(&mut batch, self.event(kind));
        logs::record(&mut batch, events::password_exchanged(visit, aim, &purchase.user, &connection));
        Ok((batch, Outcome::Issued(Box::new((purchase, stored, next)))))
    }

    /// What the code is, if it is right, and in the batch what spends it.
    async fn prove(&self, now: &Now, batch: &mut Batch) -> Result<Option<How>, db::Error> {
        match &self.code {
            Code::Otp(Some(code)) => self.prove_otp(now, batch, code),
            Code::Oob { kind, purpose, code: Some(code) } => {
                self.prove_oob(now, batch, *kind, (purpose, code)).await
            }
            Code::Recovery(Some(code)) => self.prove_recovery(now, batch, code).await,
            _ => Ok(None),
        }
    }

    fn prove_otp(&self, now: &Now, batch: &mut Batch, code: &str) -> Result<Option<How>, db::Error> {
        let (app, tenant) = (&self.visit.app, &self.visit.tenant.id);
        for factor in now.factors.iter().filter(|factor| factor.kind == Kind::Totp) {
            let seed = factor.seed(app, tenant)?;
            let Some(step) = factor.step_of(&seed, code, now.at) else { continue };
            if factor.is_confirmed() && now.ways.contains(&Kind::Totp) {
                totp::spend(batch, tenant, factor, step, now.at);
                return Ok(Some(How::Given));
            }
            if factor.is_pending_for(&self.bearer.token) && now.may_enroll {
                return Ok(Some(How::Enrolled { factor: Box::new(factor.clone()), step }));
            }
        }
        Ok(None)
    }

    async fn prove_oob(
        &self,
        now: &Now,
        batch: &mut Batch,
        kind: Kind,
        (purpose, code): (&str, &str),
    ) -> Result<Option<How>, db::Error> {
        let (app, tenant) = (&self.visit.app, &self.visit.tenant.id);
        let sent = codes::find(&app.db, tenant, purpose).await?;
        let right = sent.filter(|sent| sent.user_id == now.user.id && sent.is(purpose, code, now.at));
        let Some(sent) = right else { return Ok(None) };
        let there = |factor: &&Factor| factor.kind == kind && factor.address.as_ref() == Some(&sent.address);
        let pending = now.factors.iter().filter(there).find(|factor| factor.is_pending_for(purpose));
        if let Some(factor) = pending.filter(|_| now.may_enroll) {
            codes::spend(batch, tenant, purpose, &sent);
            return Ok(Some(How::Enrolled { factor: Box::new(factor.clone()), step: 0 }));
        }
        // To an address or a number that is still theirs.
        let enrolled = now.factors.iter().filter(there).find(|factor| factor.is_confirmed());
        let theirs =
            enrolled.is_some() || address(kind, &now.factors, &now.user).as_ref() == Some(&sent.address);
        if !theirs || !now.ways.contains(&kind) {
            return Ok(None);
        }
        if let Some(factor) = enrolled {
            factors::used(batch, tenant, factor, now.at);
        }
        codes::spend(batch, tenant, purpose, &sent);
        Ok(Some(How::Given))
    }

    async fn prove_recovery(
        &self,
        now: &Now,
        batch: &mut Batch,
        code: &str,
    ) -> Result<Option<How>, db::Error> {
        let (app, tenant) = (&self.visit.app, &self.visit.tenant.id);
        let factor = now.factors.iter().find(|factor| factor.is_recovery_code(code));
        let Some(factor) = factor.filter(|_| now.ways.contains(&Kind::RecoveryCode)) else { return Ok(None) };
        recovery::spend(batch, tenant, factor, now.at);
        let next = recovery::new(&app.random);
        recovery::replace(batch, tenant, &Factor::recovery_code(app, &now.user.id, &next));
        let (notice, client) = (mail::Kind::RecoveryCodeChanged, Some(&self.client.client_id));
        factors::notify(batch, app, &now.user, notice, Kind::RecoveryCode, client).await?;
        Ok(Some(How::Recovered { next }))
    }

    /// The user and what they have now; `None` when the token is of no use any more.
    async fn now(&self, guardian: &Guardian) -> Result<Option<Now>, db::Error> {
        let (app, tenant) = (&self.visit.app, &self.visit.tenant.id);
        let user = users::find(&app.db, tenant, &self.bearer.user.id).await?;
        let Some(user) = user.filter(|user| !user.is_blocked()) else { return Ok(None) };
        let whole = match &self.bearer.proof {
            Proof::First(_) => {
                if mfa_tokens::find(&app.db, tenant, &self.bearer.token).await?.is_none() {
                    return Ok(None);
                }
                false
            }
            Proof::Whole { .. } => true,
        };
        let factors = factors::list(&app.db, tenant, &user.id).await?;
        let missing = next(guardian, &factors, &user);
        let ways = match missing {
            Missing::Challenge(_) => ways(guardian, &factors, &user),
            _ => Vec::new(),
        };
        let may_enroll = whole || matches!(missing, Missing::Enrollment(_));
        Ok(Some(Now { user, factors, ways, may_enroll, at: app.clock.now() }))
    }
}
