//! Who asks, and where the answer goes (authentication contract §1.2 steps 1 to 3). Until that is proven, a failure stays on a page.

use std::sync::Arc;

use model::clients::{self, Client};

use super::super::response::{ResponseMode, ResponseType, Signed, Target, origin};
use super::Refusal;
use crate::pages::{ErrorKind, FormTargets, Relay};
use crate::params::Params;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// §1.2 step 1: the client is known.
pub(super) async fn client(visit: &Visit, params: &Params) -> Result<Arc<Client>, Refusal> {
    let Some(client_id) = params.get("client_id") else {
        return Err(Refusal::page(ErrorKind::UnknownClient, "Missing required parameter: client_id", None));
    };
    clients::find(&visit.app, &visit.tenant.id, client_id)
        .await?
        .filter(|client| !client.global)
        .ok_or_else(|| Refusal::page(ErrorKind::UnknownClient, "Unknown client", Some(client_id)))
}

/// §1.2 step 2: the redirect URI is registered; without one, the first registered stands for it. To a strict client that is the only
/// one (RFC 6749 §3.1.2.3), and of a plain OAuth request: OpenID Connect has it named (OIDC Core §3.1.2.1).
pub(super) fn redirect_uri(client: &Client, params: &Params, strict: bool) -> Result<String, Refusal> {
    let mismatch = "The provided redirect_uri is not in the list of allowed callback URLs.";
    match params.get("redirect_uri") {
        Some(uri) if client.allows_callback(uri) => Ok(uri.to_owned()),
        Some(uri) => Err(Refusal::page(ErrorKind::CallbackMismatch, mismatch, Some(uri))),
        None if strict && (is_openid(params) || client.callbacks.iter().flatten().count() > 1) => {
            Err(Refusal::page(ErrorKind::CallbackMismatch, "Missing required parameter: redirect_uri", None))
        }
        None => client
            .callbacks
            .iter()
            .flatten()
            .find(|callback| !callback.contains(['*', '{']))
            .cloned()
            .ok_or_else(|| Refusal::page(ErrorKind::CallbackMismatch, mismatch, None)),
    }
}

/// Whether it is a request of OpenID Connect.
pub(super) fn is_openid(params: &Params) -> bool {
    Scopes::parse(params.get("scope").unwrap_or_default()).has("openid")
}

/// Where every further answer goes. A mode that is unknown or unsafe falls back to the response type's own.
pub(super) fn target(
    params: &Params,
    client: &Client,
    redirect_uri: String,
    response_type: Option<ResponseType>,
) -> Target {
    let default = ResponseMode::default_for(response_type.unwrap_or_default());
    let (asked, signed) = params.get("response_mode").and_then(ResponseMode::parse).unwrap_or_default();
    let relay = match (params.get("web_message_uri"), params.get("web_message_target")) {
        (Some(uri), Some(target)) => Some(Relay { uri: uri.to_owned(), target: target.to_owned() }),
        _ => None,
    };
    // auth0.js asks so for the answer of a window that it opened (`popup.authorize`); only what may stand in a fragment goes that way.
    let opened = params.get("owp") == Some("true") && params.get("response_mode").is_none();
    let opened = opened && default == ResponseMode::Fragment && origin(&redirect_uri).is_some();
    let mode = asked
        .filter(|mode| *mode != ResponseMode::Query || default == ResponseMode::Query)
        .unwrap_or(if opened { ResponseMode::Popup } else { default });
    let other = client.callbacks.iter().chain(&client.web_origins).flatten().map(String::as_str);
    let form_targets = FormTargets::new(&redirect_uri, other);
    Target {
        errors_on_page: client.redirection_policy.as_deref() == Some("open_redirect_protection"),
        redirect_uri,
        issuer: None,
        mode,
        signed: signed.then(|| Signed {
            client_id: client.client_id.clone(),
            algorithm: client.protocol.authorization_algorithm(),
        }),
        state: params.raw("state").map(str::to_owned),
        form_targets,
        relay,
    }
}

/// §1.2 step 3: only a page whose origin the client lists as a web origin gets a message.
pub(super) fn web_message_origin(client: &Client, target: &Target) -> Result<(), Refusal> {
    if target.mode != ResponseMode::WebMessage {
        return Ok(());
    }
    let relay = target.relay.as_ref().map(|relay| relay.uri.as_str());
    for uri in [Some(target.redirect_uri.as_str()), relay].into_iter().flatten() {
        if !origin(uri).is_some_and(|origin| client.allows_web_origin(&origin)) {
            let description = "The origin of the page is not in the list of allowed web origins.";
            return Err(Refusal::page(ErrorKind::InvalidRequest, description, Some(uri)));
        }
    }
    Ok(())
}
