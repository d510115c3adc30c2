//! A page of the second factor: who is at it, what they have, and what a right code leads to.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::attempts::{self, Limited};
use model::factors::sending::Destination;
use model::factors::{self, Factor, Kind, recovery_code, remembered};
use model::guardian::{self, Guardian};
use model::logs;
use model::sessions::{self, Session};
use model::transactions::{self, Progress, Transaction};
use model::users::User;

use super::{Missing, address, enrollable, missing, ways};
use crate::authorize::request::Request;
use crate::authorize::response::redirect;
use crate::authorize::{self, page_url};
use crate::events;
use crate::login::{Form, state_of, subject};
use crate::pages::{CodeError, ErrorKind, LoginWay};
use crate::params::Params;
use crate::visit::{self, Visit, with_cookie};

/// Everything that a page of the second factor knows.
pub struct Step {
    /// The request it came with.
    pub visit: Visit,
    /// The sign-in under way.
    pub transaction: Transaction,
    /// How far it has come in this session.
    pub progress: Option<Progress>,
    /// What the client asked for.
    pub request: Request,
    /// The sealed transaction.
    pub state: String,
    /// Who has given a password.
    pub user: User,
    /// Where.
    pub session: Session,
    /// What they have enrolled.
    pub factors: Vec<Factor>,
    /// What the tenant offers.
    pub guardian: Arc<Guardian>,
    /// What the sign-in needs.
    pub missing: Missing,
}

/// What became of a form with a code.
pub enum Told {
    /// The page comes again, and says what was wrong.
    Again(CodeError),
    /// Something else is answered: the sign-in goes on, or failed.
    Elsewhere(Response),
}

/// The cookies that a right code sets.
pub struct Passed {
    session: String,
    remembered: Option<String>,
}

impl Step {
    /// The step of a page that is asked for. Who needs no second factor, or no password was given by, is led back.
    pub async fn open(visit: Visit, query: Option<&str>) -> Result<Self, Response> {
        let state = state_of(query);
        let (visit, transaction, request) = authorize::open(visit, &state).await?;
        Self::of(visit, transaction, request, state).await
    }

    /// [`Self::open`] for the page that asks for a code of this kind: who cannot give one here is led back.
    pub async fn asking(visit: Visit, query: Option<&str>, kind: Kind) -> Result<Self, Response> {
        let step = Self::open(visit, query).await?;
        if step.ways().contains(&kind) { Ok(step) } else { Err(step.back()) }
    }

    /// [`Self::posted`] for the form with a code of this kind.
    pub async fn answering(
        visit: Visit,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
        kind: Kind,
    ) -> Result<(Self, Params), Response> {
        let (step, params) = Self::posted(visit, query, headers, body).await?;
        if step.ways().contains(&kind) { Ok((step, params)) } else { Err(step.back()) }
    }

    /// The step of a form that comes back, and its fields.
    pub async fn posted(
        visit: Visit,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Self, Params), Response> {
        let session = match visit.session().await {
            Ok(session) => session,
            Err(error) => return Err(visit.failure_page(error).await),
        };
        let Some((session, _)) = session else {
            let state = state_of(query);
            return Err(match authorize::open(visit, &state).await {
                Ok(_) => redirect(&page_url("/authorize/resume", &state)),
                Err(response) => response,
            });
        };
        let form = Form::open(visit, Some(&session), query, headers, body).await?;
        let Form { visit, transaction, request, state, params } = form;
        Ok((Self::of(visit, transaction, request, state).await?, params))
    }

    async fn of(
        visit: Visit,
        transaction: Transaction,
        request: Request,
        state: String,
    ) -> Result<Self, Response> {
        match Self::read(&visit, &transaction, &request, &state).await {
            Ok(Some(step)) => Ok(step),
            Ok(None) => Err(redirect(&page_url("/authorize/resume", &state))),
            Err(error) => Err(visit.failure_page(error).await),
        }
    }

    async fn read(
        visit: &Visit,
        transaction: &Transaction,
        request: &Request,
        state: &str,
    ) -> Result<Option<Self>, db::Error> {
        let Some((session, user)) = visit.session().await? else { return Ok(None) };
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let progress = transactions::progress(&app.db, tenant, &transaction.id).await?;
        if progress.as_ref().is_some_and(|progress| progress.done) {
            return Ok(None);
        }
        let progress = progress.filter(|progress| progress.sid == session.sid);
        let Some(missing) = missing(visit, request, &session, &user, progress.as_ref()).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            factors: factors::list(&app.db, tenant, &user.id).await?,
            guardian: guardian::find(app, tenant).await?,
            visit: visit.clone(),
            transaction: transaction.clone(),
            request: request.clone(),
            state: state.to_owned(),
            progress,
            user,
            session,
            missing,
        }))
    }

    /// The same step as it is now: what was decided on an older one is decided anew.
    pub async fn again(&self) -> Result<Option<Self>, db::Error> {
        Self::read(&self.visit, &self.transaction, &self.request, &self.state).await
    }

    /// The kinds of codes that can be given here, the best first.
    pub fn ways(&self) -> Vec<Kind> {
        match self.missing {
            Missing::Challenge(_) => ways(&self.guardian, &self.factors, &self.user),
            _ => Vec::new(),
        }
    }

    /// Leads to where the sign-in goes on.
    pub fn back(&self) -> Response {
        redirect(&page_url("/authorize/resume", &self.state))
    }

    /// The token that the form of this page must bring back.
    pub fn csrf(&self) -> String {
        self.visit.csrf(self.visit.browser().unwrap_or_default(), &subject(&self.state, Some(&self.session)))
    }

    /// The kinds that can be set up here, the best first.
    pub fn enrollable(&self) -> Vec<Kind> {
        match self.missing {
            Missing::Enrollment(_) => enrollable(&self.guardian),
            _ => Vec::new(),
        }
    }

    /// What an enrolment of this kind and a code that is sent are bound to: this sign-in, and each kind of sent code apart.
    pub fn purpose(&self, kind: Kind) -> String {
        match kind {
            Kind::Phone => format!("{}\nphone", self.transaction.id),
            _ => self.transaction.id.clone(),
        }
    }

    /// The enrolment of this kind that is under way here.
    pub fn pending(&self, kind: Kind) -> Option<&Factor> {
        let purpose = self.purpose(kind);
        let pending = |factor: &&Factor| factor.kind == kind && factor.is_pending_for(&purpose);
        self.factors.iter().find(pending).filter(|_| self.enrollable().contains(&kind))
    }

    /// Where a code of this kind goes here: to what the user has, or is about to enrol.
    pub fn destination(&self, kind: Kind) -> Option<Destination> {
        let (address, enrolling) = match self.pending(kind) {
            Some(factor) => (factor.address.clone()?, true),
            None if self.ways().contains(&kind) => (address(kind, &self.factors, &self.user)?, false),
            None => return None,
        };
        Some(Destination { kind, address, enrolling })
    }

    /// The page of the other ways than `kind`, where there are any: of giving a factor, or of setting one up.
    pub fn other_ways(&self, kind: Kind) -> Option<String> {
        let (ways, page) = match self.missing {
            Missing::Enrollment(_) => (self.enrollable(), "/u/mfa-enroll-options"),
            _ => (self.ways(), "/u/mfa-login-options"),
        };
        ways.into_iter().any(|way| way != kind).then(|| page_url(page, &self.state))
    }

    /// Every way to give a factor, as links.
    pub fn all_ways(&self) -> Vec<(LoginWay, String)> {
        let ways = self.ways().into_iter();
        ways.map(|kind| (LoginWay::of(kind), page_url(super::challenge_page(kind), &self.state))).collect()
    }

    /// Every way to set one up, as links.
    pub fn all_enrollable(&self) -> Vec<(LoginWay, String)> {
        let kinds = self.enrollable().into_iter();
        kinds.map(|kind| (LoginWay::of(kind), page_url(super::enrollment_page(kind), &self.state))).collect()
    }

    /// The code that was typed, once one of the user's attempts is taken for it: without one no code is looked at.
    pub async fn attempt(&self, typed: Option<String>) -> Result<String, Told> {
        let code = typed.ok_or(Told::Again(CodeError::NoCode))?;
        match self.may_try().await {
            Ok(true) => Ok(code),
            Ok(false) => Err(Told::Again(CodeError::TooMany)),
            Err(error) => Err(Told::Elsewhere(self.visit.failure_page(error).await)),
        }
    }

    /// What a code of this kind led to: `None` is a wrong one.
    pub async fn outcome(&self, kind: Kind, proved: Result<Option<Passed>, db::Error>) -> Told {
        match proved {
            Ok(Some(passed)) => Told::Elsewhere(self.enter(passed).await),
            Ok(None) => Told::Again(self.failed(kind)),
            Err(error) => Told::Elsewhere(self.failure(error).await),
        }
    }

    /// Takes one of the user's attempts. Answers whether there was one.
    async fn may_try(&self) -> Result<bool, db::Error> {
        let (app, tenant) = (&self.visit.app, &self.visit.tenant.id);
        let left = attempts::take(app, tenant, &self.user.id, Limited::Check).await?;
        if !left {
            app.audit.push(self.event(logs::Kind::FactorLimited, ""));
        }
        Ok(left)
    }

    /// Notes a wrong code.
    fn failed(&self, kind: Kind) -> CodeError {
        self.visit.app.audit.push(self.event(logs::Kind::FactorFailed, kind.as_str()));
        CodeError::Wrong
    }

    /// An event of this sign-in.
    pub fn event(&self, kind: logs::Kind, factor: &str) -> logs::Event {
        events::factor(&self.visit, kind, Some(self.request.aim()), &self.user, factor)
    }

    /// Whether the user is to get a recovery code: who has a factor, and no code to stand in for it.
    fn needs_recovery_code(&self, enrolling: bool) -> bool {
        self.guardian.offers(Kind::RecoveryCode)
            && (enrolling || self.factors.iter().any(Factor::protects))
            && !self.factors.iter().any(Factor::is_good_recovery_code)
    }

    /// Adds to the batch of a right code what every right code does: the attempts are free again, the session gets another
    /// token, the browser is remembered, and a recovery code is made where there is none.
    pub fn passed(&self, batch: &mut Batch, remember: bool, how: logs::Kind, factor: Kind) -> Passed {
        let Self { visit, user, session, .. } = self;
        let (app, tenant, now) = (&visit.app, &visit.tenant.id, visit.app.clock.now());
        attempts::forgive(batch, tenant, &user.id);
        let remembered =
            remember.then(|| remembered::remember(batch, app, tenant, &user.id, visit.remembered()));
        let token = sessions::stepped_up(batch, app, tenant, session, now);
        let used_up = how == logs::Kind::RecoverySucceeded;
        if used_up || self.needs_recovery_code(how == logs::Kind::FactorEnrolled) {
            let code = recovery_code::new(&app.random);
            transactions::show_recovery_code(batch, app, tenant, &self.transaction, &session.sid, &code);
        } else if let Some(progress) =
            self.progress.as_ref().filter(|progress| progress.recovery_code.is_some())
        {
            // It was for whoever the session was of before, who has read it.
            transactions::saw_recovery_code(batch, tenant, &self.transaction, progress);
        }
        logs::record(batch, self.event(how, factor.as_str()));
        Passed { session: token, remembered }
    }

    /// Sets the cookies, and goes on with the sign-in.
    async fn enter(&self, passed: Passed) -> Response {
        let settings = match self.visit.settings().await {
            Ok(settings) => settings,
            Err(error) => return self.visit.failure_page(error).await,
        };
        let now = self.visit.app.clock.now();
        let cookie = visit::session_cookie(&settings, &self.session, &passed.session, now);
        let remembered = passed.remembered.map(|token| visit::remembered_cookie(&token));
        with_cookie(with_cookie(self.back(), Some(cookie)), remembered)
    }

    /// The page for a failure of the database: what moved meanwhile makes the form too old.
    pub async fn failure(&self, error: db::Error) -> Response {
        match error {
            db::Error::Conflict { .. } => self.visit.error_page(ErrorKind::FormExpired).await.into_response(),
            error => self.visit.failure_page(error).await,
        }
    }
}
