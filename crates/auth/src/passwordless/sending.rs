//! Sending a code or a link: what the endpoint and the hosted pages have in common. Whether anybody has the address shows in nothing.

use std::sync::Arc;

use db::Batch;
use model::clients::Client;
use model::connections::Connection;
use model::factors::codes;
use model::mail::{self, Kind, Letter};
use model::passwordless::{self, CODE_LIFETIME, LINK_LIFETIME};
use model::sms::{self, Message};
use model::tickets::email_of;
use model::users::Found;
use model::{logs, users};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Address;
use crate::events;
use crate::visit::Visit;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It is on its way, or would be if anybody could sign in with it.
    Sent,
    /// Another has just gone out.
    TooSoon,
    /// Too many were asked for.
    TooMany,
    /// The gateway did not take it.
    Failed,
}

/// Sends a code, or a link that asks for `link` in the app's name, to an address; and who has it. What is in `batch` is written with it.
pub async fn send(
    visit: &Visit,
    client: &Client,
    connection: &Arc<Connection>,
    address: &Address,
    mut batch: Batch,
    link: Option<&[(String, String)]>,
) -> Result<(Sending, Option<Found>), db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    if !passwordless::admit(app, tenant, &address.folded, visit.peer.ip).await? {
        return Ok((Sending::TooMany, None));
    }
    let found = users::find_login(&app.db, tenant, &connection.name, &address.given).await?;
    let (code, lifetime) = match link {
        Some(_) => (app.random.token(), LINK_LIFETIME),
        None => (codes::new(&app.random), CODE_LIFETIME),
    };
    let place = (&**connection, address.folded.as_str());
    passwordless::send(&mut batch, app, tenant, place, &client.client_id, &code, lifetime);
    // Who is not there and may not sign up gets nothing, and nobody hears of it.
    let goes_out = found.is_some() || connection.takes_new_users();
    if goes_out {
        let user = found.as_ref().map(|found| &found.user);
        let event = events::code_sent(visit, client, connection, &address.given, user, link.is_some());
        if connection.sends_codes_by_email() {
            let letter = letter(found.as_ref(), address, link.is_some()).client(&client.client_id);
            let letter = match link {
                Some(asked) => letter
                    .with("url", url(visit, client, connection, address, asked, &code))
                    .with("url_lifetime", LINK_LIFETIME),
                None => letter.with("code", code.clone()),
            };
            mail::queue(&mut batch, app, tenant, letter);
        }
        logs::record(&mut batch, event);
    }
    match app.db.commit(batch).await {
        Ok(_) => {}
        Err(db::Error::Conflict { .. }) => return Ok((Sending::TooSoon, found)),
        Err(error) => return Err(error),
    }
    if goes_out && connection.sends_codes_by_sms() {
        let text = sms::words(connection, &address.given, &code, &client.name);
        let sending =
            by_gateway(visit.clone(), client.clone(), connection.clone(), address.given.clone(), text);
        // Where nobody new may sign up, what becomes of it would tell who is there, and so would the time that it takes.
        if !connection.takes_new_users() {
            tokio::spawn(sending);
        } else if !sending.await {
            return Ok((Sending::Failed, found));
        }
    }
    Ok((Sending::Sent, found))
}

/// Hands a message to the connection's gateway, and notes where it was not taken. Whether it was.
async fn by_gateway(
    visit: Visit,
    client: Client,
    connection: Arc<Connection>,
    to: String,
    text: String,
) -> bool {
    let message = Message { to: &to, text: &text, asked_by: visit.peer.told() };
    let sent = sms::send(&visit.app, &visit.tenant.issuer, &connection, message).await;
    if let Err(error) = &sent {
        let event = events::code_not_sent(&visit, &client, &connection, &to, &error.to_string());
        visit.app.audit.push(event);
    }
    sent.is_ok()
}

/// The letter, to the address as it is kept, and of a linked account to that account's own.
fn letter(found: Option<&Found>, address: &Address, link: bool) -> Letter {
    let to = found.and_then(|found| email_of(&found.user, found.identity));
    let kind = if link { Kind::AuthEmailByLink } else { Kind::AuthEmailByCode };
    let letter = Letter::new(kind, to.unwrap_or(&address.given));
    match found {
        Some(found) => letter.about(&found.user),
        None => letter,
    }
}

/// All but what RFC 3986 §2.3 leaves unreserved.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What is the link's own, whatever `authParams` say.
const OWN: [&str; 5] = ["client_id", "connection", "email", "phone_number", "verification_code"];

/// The link: an authorize request with the code in it.
fn url(
    visit: &Visit,
    client: &Client,
    connection: &Connection,
    address: &Address,
    auth_params: &[(String, String)],
    code: &str,
) -> String {
    let mut pairs: Vec<(&str, &str)> = vec![
        ("client_id", client.client_id.as_str()),
        ("connection", &connection.name),
        ("email", &address.given),
        ("verification_code", code),
    ];
    let kept = auth_params.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    pairs.extend(kept.map(|(name, value)| (name.as_str(), value.as_str())));
    if !pairs.iter().any(|(name, _)| ["response_type", "request_uri"].contains(name)) {
        pairs.push((
            "response_type",
            if client.allows_grant("authorization_code") { "code" } else { "token" },
        ));
    }
    let escaped = |text: &str| utf8_percent_encode(text, COMPONENT).to_string();
    let query: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    format!("{}passwordless/verify_redirect?{}", visit.tenant.issuer, query.join("&"))
}
