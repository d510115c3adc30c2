//! The page that sets a new password, `/u/reset-password?ticket=…`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::attack_protection::BreachStage;
use model::connections::Connection;
use model::factors::remembered;
use model::logout_notices::{End, Initiator};
use model::mail::{self, Kind as LetterKind, Letter};
use model::password_policies::{self, NewPassword, PasswordPolicy, Refused, Weakness};
use model::passwords::HashError;
use model::tickets::{self, Kind, Ticket};
use model::users::{self, User};
use model::{App, attack_protection, connections, logs, self_service};

use super::{done, form_targets, opened, page, subject, ticket_of};
use crate::events;
use crate::pages::{Message, ResetError, ResetPasswordPage};
use crate::signup::hints;
use crate::visit::{Visit, with_cookie};

/// `GET`: the page. However often it is asked for, the link stays good.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let token = ticket_of(query.as_deref());
    match Subject::find(&visit, &token).await {
        Ok(Some(subject)) => form(&visit, &token, &subject, None).await,
        Ok(None) => page(&visit, Message::ResetEnded, None).await,
        Err(error) => visit.failure_page(error).await,
    }
}

/// `POST`: sets the password and ends everything that the user was signed in with. It signs nobody in: a second factor would be
/// passed by.
pub async fn submit(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    let (params, token) = match opened(&visit, &headers, &body).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    let found = match Subject::find(&visit, &token).await {
        Ok(Some(found)) => found,
        Ok(None) => return page(&visit, Message::ResetEnded, None).await,
        Err(error) => return visit.failure_page(error).await,
    };
    let password = params.raw("password").unwrap_or_default().to_owned();
    let again = async |error| form(&visit, &token, &found, Some(error)).await;
    if password.is_empty() {
        return again(ResetError::NoPassword).await;
    }
    let stage = BreachStage::ChangePassword;
    match attack_protection::breached(&visit.app, &visit.tenant.id, stage, &password).await {
        Ok(Some(breached)) => {
            visit.app.audit.push(events::leaked_new_password(&visit, &found.ticket, &found.user));
            if breached.blocks {
                return again(ResetError::BreachedPassword).await;
            }
        }
        Ok(None) => {}
        Err(error) => return visit.failure_page(error).await,
    }
    let identity = &found.user.identities[found.position];
    let accepted =
        password_policies::accept(&visit.app, &found.connection, &found.user, identity, &password).await;
    let password = match accepted {
        Ok(password) => password,
        Err(Refused::Weak(weakness)) => return again(weak(weakness)).await,
        Err(Refused::Hash(HashError::Busy)) => return again(ResetError::Busy).await,
        Err(Refused::Hash(HashError::TooLong)) => return again(ResetError::LongPassword).await,
        Err(Refused::Database(error)) => return visit.failure_page(error).await,
    };
    match set(&visit, &token, &password).await {
        Ok(Some(ticket)) => {
            let text = "You can now login to the application with the new password.";
            done(&visit, &ticket, Message::PasswordChanged, text).await
        }
        Ok(None) => page(&visit, Message::ResetEnded, None).await,
        Err(error) => visit.failure_page(error).await,
    }
}

fn weak(weakness: Weakness) -> ResetError {
    match weakness {
        Weakness::Strength => ResetError::WeakPassword,
        Weakness::Dictionary => ResetError::CommonPassword,
        Weakness::UserInfo => ResetError::PersonalPassword,
        Weakness::History => ResetError::OldPassword,
    }
}

/// Whose password a link sets.
struct Subject {
    ticket: Ticket,
    user: User,
    /// Which of the user's identities.
    position: usize,
    connection: Arc<Connection>,
}

impl Subject {
    /// `None` where the link works no more: used, too old, replaced, or made for another address.
    async fn find(visit: &Visit, token: &str) -> Result<Option<Self>, db::Error> {
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let Some(ticket) = tickets::find(&app.db, tenant, Kind::Password, token, app.clock.now()).await?
        else {
            return Ok(None);
        };
        let Some(user) = users::find(&app.db, tenant, &ticket.user_id).await? else { return Ok(None) };
        let Some(position) = ticket.identity(&user) else { return Ok(None) };
        let name = &user.identities[position].connection;
        let Some(connection) = connections::find_by_name(app, tenant, name).await? else { return Ok(None) };
        Ok(Some(Self { ticket, user, position, connection }))
    }

    fn label(&self) -> String {
        let names = [&self.ticket.email, &self.user.username, &self.user.name];
        names.into_iter().flatten().next().cloned().unwrap_or_default()
    }
}

/// Sets the password, uses the link up, and ends sessions, tokens and what browsers were remembered: one batch. `None` where the link works no more.
async fn set(visit: &Visit, token: &str, password: &NewPassword) -> Result<Option<Ticket>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let decide = async || {
        let mut batch = Batch::new();
        let Some(Subject { ticket, mut user, position, connection }) = Subject::find(visit, token).await?
        else {
            return Ok::<_, db::Error>((batch, None));
        };
        let now = app.clock.now();
        (user.updated_at, user.last_password_reset) = (now, Some(now));
        if ticket.marks_verified {
            user.prove_email(position);
        }
        users::save(&mut batch, &mut user);
        password.set(&mut batch, tenant, &user.identities[position], now);
        users::sign_out(&mut batch, tenant, &user.id, End::new(Initiator::PasswordChanged, now));
        // Whoever knew the old password may have had their browser remembered.
        remembered::forget(&mut batch, tenant, &user.id);
        tickets::spend(&mut batch, tenant, Kind::Password, token, now);
        logs::record(&mut batch, events::password_changed(visit, &ticket, &user, &connection.name));
        let told = self_service::find(app, tenant).await?.sends(LetterKind::PasswordChanged);
        if let Some(email) = ticket.email.as_ref().filter(|_| told) {
            let letter = Letter::new(LetterKind::PasswordChanged, email).about(&user);
            mail::queue(&mut batch, app, tenant, Letter { client_id: ticket.client_id.clone(), ..letter });
        }
        Ok((batch, Some(ticket)))
    };
    app.db.retry(decide).await
}

async fn form(visit: &Visit, token: &str, whose: &Subject, error: Option<ResetError>) -> Response {
    let (browser, cookie) = visit.bind_browser();
    let page = ResetPasswordPage {
        look: visit.look().await,
        ticket: token.to_owned(),
        csrf: visit.csrf(&browser, &subject(token)),
        user_label: whose.label(),
        hints: PasswordPolicy::of(&whose.connection).rules().iter().flat_map(hints).collect(),
        error,
        form_targets: form_targets(&whose.ticket),
    };
    with_cookie(page.into_response(), cookie)
}
