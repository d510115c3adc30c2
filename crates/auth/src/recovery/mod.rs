//! Getting back into an account, and proving an address: the pages behind the links that go out by mail.
//!
//! No link is used up by following it: mail scanners and previews do so too. What it is for is done by the form of the page that it
//! leads to.

pub mod request;
pub mod reset;
pub mod verification;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use model::clients;
use model::tickets::Ticket;
use serde_json::{Map, Value};

use crate::authorize::response::{encode, extend_query, redirect};
use crate::pages::{ErrorKind, FormTargets, Message, MessagePage};
use crate::params::Params;
use crate::visit::Visit;

/// The `ticket` of a link. What could be none of ours is empty.
fn ticket_of(query: Option<&str>) -> String {
    let params = Params::parse_form(query.unwrap_or_default()).unwrap_or_default();
    token(params.get("ticket"))
}

/// A ticket's token as it could be one of ours.
fn token(given: Option<&str>) -> String {
    given
        .filter(|token| token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .unwrap_or_default()
        .to_owned()
}

/// What the token of a link's form is good for.
fn subject(ticket: &str) -> String {
    format!("ticket\n{ticket}")
}

/// The fields of a link's form that came back from the browser it was shown in, and the ticket's token.
async fn opened(visit: &Visit, headers: &HeaderMap, body: &[u8]) -> Result<(Params, String), Response> {
    let Ok(params) = Params::parse_body(headers, body) else {
        let page = visit.error_page(ErrorKind::InvalidRequest).await;
        return Err(page
            .with_error("invalid_request", "The form holds bytes that are not valid text")
            .into_response());
    };
    let token = token(params.get("ticket"));
    if !visit.csrf_holds(params.get("_csrf"), &subject(&token)) {
        return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
    }
    Ok((params, token))
}

/// Where the form of a ticket may lead besides ourselves.
fn form_targets(ticket: &Ticket) -> FormTargets {
    ticket.result_url.as_deref().map(|url| FormTargets::new(url, [])).unwrap_or_default()
}

/// Where to go once a ticket was used: to its own address, with what has happened, or a page that says so.
async fn done(visit: &Visit, ticket: &Ticket, message: Message, text: &str) -> Response {
    if let Some(url) = &ticket.result_url {
        let mut given: Map<String, Value> = Map::new();
        if let Some(email) = ticket.email.as_deref().filter(|_| ticket.include_email) {
            given.insert("email".into(), email.into());
        }
        given.insert("success".into(), "true".into());
        given.insert("message".into(), text.into());
        return redirect(&extend_query(url, &encode(&given)));
    }
    page(visit, message, Some(ticket)).await
}

/// A page that says what has happened, with the way back to the app that the ticket came from, where it has one.
async fn page(visit: &Visit, message: Message, ticket: Option<&Ticket>) -> Response {
    let continue_url = match way_back(visit, ticket).await {
        Ok(url) => url,
        Err(error) => return visit.failure_page(error).await,
    };
    MessagePage { look: visit.look().await, message, continue_url }.into_response()
}

/// To where the app begins a sign-in, or to the account page if the app is its client too; else to where the tenant does. A third party's
/// app is nowhere to go on to: anybody may have a letter sent for it, and it may have registered itself.
async fn way_back(visit: &Visit, ticket: Option<&Ticket>) -> Result<Option<String>, db::Error> {
    let Some(client_id) = ticket.and_then(|ticket| ticket.client_id.as_ref()) else { return Ok(None) };
    let client = clients::find(&visit.app, &visit.tenant.id, client_id.as_str()).await?;
    let own = client.filter(|client| client.is_first_party).and_then(|client| {
        let named = client.initiate_login_uri.clone().filter(|url| !url.is_empty());
        named.or_else(|| {
            let page = visit.tenant.account_page();
            client.callbacks.iter().flatten().any(|callback| *callback == page).then_some(page)
        })
    });
    Ok(own.or(visit.settings().await?.default_redirection_uri.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_a_ticket_is_looked_up() {
        let good = "a1".repeat(16);
        assert_eq!(token(Some(&good)), good);
        for bad in [None, Some(""), Some("a1"), Some(&good[1..]), Some("a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a-")] {
            assert_eq!(token(bad), "", "{bad:?}");
        }
    }
}
