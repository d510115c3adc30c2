//! The page that proves an address, `/u/email-verification?ticket=…`.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::mail::{self, Kind as LetterKind, Letter, templates};
use model::tickets::{self, Kind, Ticket};
use model::users::{self, User};
use model::{App, logs};

use super::{done, form_targets, opened, page, subject, ticket_of};
use crate::events;
use crate::pages::{Message, VerifyEmailPage};
use crate::visit::{Visit, with_cookie};

/// `GET`: the page. However often it is asked for, the link stays good.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let token = ticket_of(query.as_deref());
    let ticket = match find(&visit, &token).await {
        Ok(Some((ticket, _))) => ticket,
        Ok(None) => return page(&visit, Message::VerificationEnded, None).await,
        Err(error) => return visit.failure_page(error).await,
    };
    let (browser, cookie) = visit.bind_browser();
    let page = VerifyEmailPage {
        look: visit.look().await,
        csrf: visit.csrf(&browser, &subject(&token)),
        ticket: token,
        form_targets: form_targets(&ticket),
        email: ticket.email.unwrap_or_default(),
    };
    with_cookie(page.into_response(), cookie)
}

/// `POST`: notes that the address is the user's.
pub async fn submit(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    let (_, token) = match opened(&visit, &headers, &body).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    match verify(&visit, &token).await {
        Ok(Some(ticket)) => {
            let text = "Your email was verified. You can continue using the application.";
            done(&visit, &ticket, Message::EmailVerified, text).await
        }
        Ok(None) => page(&visit, Message::VerificationEnded, None).await,
        Err(error) => visit.failure_page(error).await,
    }
}

/// The ticket with its user, whose address still is the one that it was made for.
async fn find(visit: &Visit, token: &str) -> Result<Option<(Ticket, User)>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(ticket) = tickets::find(&app.db, tenant, Kind::Verification, token, app.clock.now()).await?
    else {
        return Ok(None);
    };
    let user = users::find(&app.db, tenant, &ticket.user_id).await?;
    Ok(user.filter(|user| ticket.identity(user).is_some()).map(|user| (ticket, user)))
}

/// Uses the link up and marks the address, in one batch. `None` where the link works no more.
async fn verify(visit: &Visit, token: &str) -> Result<Option<Ticket>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let welcomes = templates::find_enabled(app, tenant, LetterKind::WelcomeEmail).await?.is_some();
    let decide = async || {
        let mut batch = Batch::new();
        let Some((ticket, mut user)) = find(visit, token).await? else {
            return Ok::<_, db::Error>((batch, None));
        };
        let Some(position) = ticket.identity(&user) else { return Ok((batch, None)) };
        user.updated_at = app.clock.now();
        let was_verified = user.email_verified;
        user.prove_email(position);
        users::save(&mut batch, &mut user);
        tickets::spend(&mut batch, tenant, Kind::Verification, token, app.clock.now());
        logs::record(&mut batch, events::email_verified(visit, &ticket, &user));
        if welcomes
            && !was_verified
            && position == 0
            && let Some(letter) = Letter::to_user(LetterKind::WelcomeEmail, &user)
        {
            mail::queue(&mut batch, app, tenant, Letter { client_id: ticket.client_id.clone(), ..letter });
        }
        Ok((batch, Some(ticket)))
    };
    app.db.retry(decide).await
}
