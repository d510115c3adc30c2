//! What a link asks for in the name of a client that insists on requests that were pushed or signed (RFC 9126 §6, RFC 9101 §10.5): whoever
//! opens the link could change what stands in it, and so it is kept here, as if the client had pushed it.

use db::Batch;
use model::clients::Client;
use model::connections::Connection;
use model::passwordless::LINK_LIFETIME;
use model::protocol;
use model::pushed_requests::{self, PushedRequest};
use model::seal::digest;
use model::transactions::Source;

use crate::authorize::pushed::PREFIX;
use crate::authorize::request::{Refusal, Request};
use crate::authorize::signed;
use crate::errors::OAuthError;
use crate::params::Params;
use crate::visit::Visit;

/// Whether nothing that stands in a link would do for the client.
async fn insists(visit: &Visit, client: &Client) -> Result<bool, db::Error> {
    let protocol = protocol::find(&visit.app, &visit.tenant.id).await?;
    Ok(client.must_push()
        || protocol.require_pushed_authorization_requests
        || client.requires_signed_requests())
}

/// Keeps `asked` for the time of the link, where the client insists, and answers the `request_uri` that stands for it. The client has just
/// sent it itself.
///
/// # Errors
/// Whatever `/authorize` would refuse, as 400.
pub(super) async fn keep(
    visit: &Visit,
    batch: &mut Batch,
    client: &Client,
    connection: &Connection,
    asked: &[(String, String)],
) -> Result<Option<String>, OAuthError> {
    if !insists(visit, client).await? {
        return Ok(None);
    }
    let mut params = Params::from_pairs(asked.to_vec(), Source::default());
    if !params.has("client_id") {
        params.add("client_id".to_owned(), client.client_id.to_string())?;
    }
    let mut params = signed::open(visit, params).await?.only(|name| name != "connection");
    params.add("connection".to_owned(), connection.name.clone())?;
    let source = Source { pushed: true, ..params.source() };
    let params = params.sent(source);
    let request = Request::check(visit, &params).await?;
    if request.client.client_id != client.client_id {
        return Err(OAuthError::invalid_request("client_id is another client's"));
    }
    let token = visit.app.random.token();
    let kept = PushedRequest {
        hash: digest(&token),
        client_id: client.client_id.clone(),
        params: params.into_pairs(),
        signed: source.signed,
        expires_at: visit.app.clock.now().plus_seconds(LINK_LIFETIME),
        spent_at: None,
    };
    pushed_requests::insert(batch, &visit.tenant.id, &kept);
    Ok(Some(format!("{PREFIX}{token}")))
}

/// What a link asks for: what was kept for it, where it names that, else what stands in it. Opening a link uses nothing up.
///
/// # Errors
/// A page, for what is not kept any more.
pub(super) async fn asked(visit: &Visit, link: Params) -> Result<Params, Refusal> {
    let Some(token) = link.get("request_uri").and_then(|uri| uri.strip_prefix(PREFIX)) else {
        return Ok(link);
    };
    let found = pushed_requests::find(&visit.app.db, &visit.tenant.id, &digest(token)).await?;
    let now = visit.app.clock.now();
    let usable = |kept: &PushedRequest| {
        link.get("client_id") == Some(kept.client_id.as_str())
            && kept.spent_at.is_none()
            && kept.expires_at > now
    };
    match found.filter(usable) {
        Some(kept) => {
            Ok(Params::from_pairs(kept.params, Source { pushed: true, signed: kept.signed, uri: None }))
        }
        None => Err(Refusal::page_of(
            "invalid_request_uri",
            "The request_uri is unknown, expired or was used before",
            None,
        )),
    }
}
