//! The parameters of an authorize request, one by one. Their failures go to the client.

use model::authorization_codes::{Challenge, ChallengeMethod};
use model::clients::Client;
use model::protocol;
use model::requested_claims::RequestedClaims;

use super::super::audience::Audience;
use super::super::response::{ResponseMode, ResponseType, Target};
use super::{MULTI_FACTOR, Prompt, Refusal};
use crate::params::Params;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// OIDC Core §6: parameters by value or by reference are answered, and nothing is fetched.
pub(super) fn request_objects(target: &Target, params: &Params) -> Result<(), Refusal> {
    if params.get("request").is_some() {
        return Err(Refusal::client(
            target,
            "request_not_supported",
            "The request parameter is not supported",
        ));
    }
    if params.get("request_uri").is_some() {
        let description = "The request_uri parameter is not supported";
        return Err(Refusal::client(target, "request_uri_not_supported", description));
    }
    Ok(())
}

pub(super) fn known_response_type(
    target: &Target,
    params: &Params,
    response_type: Option<ResponseType>,
) -> Result<ResponseType, Refusal> {
    match (response_type, params.get("response_type")) {
        (Some(response_type), _) => Ok(response_type),
        (None, None) => Err(Refusal::invalid(target, "Missing required parameter: response_type")),
        (None, Some(_)) => {
            Err(Refusal::client(target, "unsupported_response_type", "Unsupported response type"))
        }
    }
}

/// OAuth 2.0 Multiple Response Type Encoding Practices §3: tokens never stand in a query string.
pub(super) fn response_mode(
    target: &Target,
    params: &Params,
    response_type: ResponseType,
) -> Result<(), Refusal> {
    match params.get("response_mode") {
        Some("query" | "query.jwt") if response_type.front_channel() => {
            Err(Refusal::invalid(target, "response_mode query is not allowed for this response_type"))
        }
        Some(mode) if ResponseMode::parse(mode).is_none() => {
            Err(Refusal::invalid(target, "Unknown response_mode"))
        }
        _ => Ok(()),
    }
}

/// The client may use the flow.
pub(super) fn grant_types(
    target: &Target,
    client: &Client,
    response_type: ResponseType,
) -> Result<(), Refusal> {
    // FAPI 2.0 Security Profile §5.3.2.2: nothing but codes.
    if client.protocol.is_fapi2() && response_type.front_channel() {
        return Err(Refusal::client(target, "unsupported_response_type", "Unsupported response type"));
    }
    let needed = [(response_type.code, "authorization_code"), (response_type.front_channel(), "implicit")];
    let missing = needed.into_iter().find(|(needed, grant_type)| *needed && !client.allows_grant(grant_type));
    missing.map_or(Ok(()), |(_, grant_type)| {
        let description = format!("Grant type '{grant_type}' not allowed for the client.");
        Err(Refusal::client(target, "unauthorized_client", description))
    })
}

/// OIDC Core §3.1.2.1: without `openid` it is no request of OpenID Connect, which a strict client's for an ID token is.
pub(super) fn openid(target: &Target, scope: &Scopes, response_type: ResponseType) -> Result<(), Refusal> {
    if target.is_strict() && response_type.id_token && !scope.has("openid") {
        return Err(Refusal::invalid(target, "scope must hold openid"));
    }
    Ok(())
}

/// OIDC Core §3.2.2.1: a request for an ID token from this endpoint carries a nonce.
pub(super) fn nonce(
    target: &Target,
    params: &Params,
    response_type: ResponseType,
) -> Result<Option<String>, Refusal> {
    match params.get("nonce") {
        None if response_type.id_token => Err(Refusal::invalid(target, "nonce is required")),
        nonce => Ok(nonce.map(str::to_owned)),
    }
}

/// RFC 7636 §4.3. A public client must send a challenge, and `plain` is for confidential clients alone, since a plain
/// challenge protects nothing from whoever sees the request. To a strict client there is what discovery names: `S256`.
pub(super) fn challenge(
    target: &Target,
    params: &Params,
    client: &Client,
    response_type: ResponseType,
) -> Result<Option<Challenge>, Refusal> {
    let method = params.get("code_challenge_method");
    let Some(value) = params.get("code_challenge") else {
        return match method {
            Some(_) => Err(Refusal::invalid(target, "code_challenge_method needs a code_challenge")),
            // FAPI 2.0 Security Profile §5.3.2.2 wants it of every client.
            None if response_type.code && (client.is_public() || client.protocol.is_fapi2()) => {
                Err(Refusal::invalid(target, "Missing required parameter: code_challenge"))
            }
            None => Ok(None),
        };
    };
    let Some(method) = ChallengeMethod::parse(method.unwrap_or("plain")) else {
        return Err(Refusal::invalid(target, "Unknown code_challenge_method"));
    };
    if method == ChallengeMethod::Plain && (client.is_public() || target.is_strict()) {
        return Err(Refusal::invalid(target, "code_challenge_method must be S256"));
    }
    if !well_formed_verifier(value) {
        return Err(Refusal::invalid(
            target,
            "code_challenge must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~",
        ));
    }
    Ok(Some(Challenge { value: value.to_owned(), method }))
}

/// RFC 7636 §4.1, §4.2: 43 to 128 unreserved characters.
fn well_formed_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// OIDC Core §3.1.2.1: `none` stands alone.
pub(super) fn prompt(target: &Target, params: &Params) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    for word in params.get("prompt").unwrap_or_default().split_ascii_whitespace() {
        match word {
            "none" => prompt.none = true,
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err(Refusal::invalid(target, "Unknown prompt")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent) {
        return Err(Refusal::invalid(target, "prompt none must stand alone"));
    }
    Ok(prompt)
}

/// OIDC Core §3.1.2.1. Where the request says none, the client may have said it for all of them (OpenID Connect Registration §2).
pub(super) fn max_age(target: &Target, client: &Client, params: &Params) -> Result<Option<i64>, Refusal> {
    let Some(text) = params.get("max_age") else { return Ok(client.protocol.default_max_age) };
    match text.parse::<i64>() {
        Ok(seconds) if seconds >= 0 => Ok(Some(seconds)),
        _ => Err(Refusal::invalid(target, "max_age must be a number of seconds")),
    }
}

/// RFC 9126 §6, RFC 9101 §10.5: a client may insist on requests that were pushed, or signed.
pub(super) async fn source(
    visit: &Visit,
    target: &Target,
    client: &Client,
    params: &Params,
) -> Result<(), Refusal> {
    let source = params.source();
    let must_push = client.must_push()
        || protocol::find(&visit.app, &visit.tenant.id).await?.require_pushed_authorization_requests;
    if must_push && !source.pushed {
        return Err(Refusal::invalid(target, "The client requires pushed authorization requests"));
    }
    if client.requires_signed_requests() && !source.signed {
        return Err(Refusal::invalid(target, "The client requires signed request objects"));
    }
    Ok(())
}

/// OIDC Core §5.5: the claims that are named one by one.
pub(super) fn claims(target: &Target, params: &Params) -> Result<RequestedClaims, Refusal> {
    let Some(text) = params.get("claims") else { return Ok(RequestedClaims::default()) };
    RequestedClaims::parse(text).map_err(|error| Refusal::invalid(target, error.to_string()))
}

/// Whether a second factor is asked for, by `acr_values` or by the claim `acr`. Without what is essential there is no answer (OIDC Core
/// §5.5.1.1), and there is but one value that can be met.
pub(super) fn multi_factor(
    target: &Target,
    params: &Params,
    claims: &RequestedClaims,
) -> Result<bool, Refusal> {
    let values = params.get("acr_values").unwrap_or_default();
    let mut asked = values.split_ascii_whitespace().any(|value| value == MULTI_FACTOR);
    if let Some(acr) = claims.id_token.iter().find(|claim| claim.name == "acr" && !claim.values.is_empty()) {
        let can_be_met = acr.values.iter().any(|value| value == MULTI_FACTOR);
        if acr.essential && !can_be_met {
            let description = "The acr that is essential cannot be met";
            return Err(Refusal::client(target, "unmet_authentication_requirements", description));
        }
        asked |= can_be_met;
    }
    Ok(asked)
}

/// RFC 9449 §10: the SHA-256 thumbprint of a key.
pub(super) fn dpop_jkt(target: &Target, params: &Params) -> Result<Option<String>, Refusal> {
    let Some(jkt) = params.get("dpop_jkt") else { return Ok(None) };
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if jkt.len() != 43 || !jkt.bytes().all(base64url) {
        return Err(Refusal::invalid(target, "dpop_jkt must be the SHA-256 thumbprint of a key"));
    }
    Ok(Some(jkt.to_owned()))
}

/// No token of the front channel is bound to a key: where tokens must be, none comes from here.
pub(super) fn possession(
    target: &Target,
    client: &Client,
    audience: &Audience,
    response_type: ResponseType,
) -> Result<(), Refusal> {
    let wanted = client.must_prove_possession()
        || client.protocol.is_fapi2()
        || audience.api().is_some_and(|api| api.wants_proof_from(client));
    if wanted && response_type.token {
        return Err(Refusal::invalid(
            target,
            "Access tokens must be bound to a key, and are issued at the token endpoint alone",
        ));
    }
    Ok(())
}

/// There are no organizations yet, and none is pretended.
pub(super) fn organization(target: &Target, params: &Params) -> Result<(), Refusal> {
    if params.get("organization").is_some() || params.get("invitation").is_some() {
        return Err(Refusal::invalid(target, "parameter organization is not allowed for this client"));
    }
    Ok(())
}
