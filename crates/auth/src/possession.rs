//! Proofs of possession as the endpoints of this crate take them: one `DPoP` header (RFC 9449 §4.1).

use axum::http::{HeaderMap, StatusCode};
use model::clients::Client;
use model::proof_of_possession::{self as proofs, Expected, ProofError};
use model::resource_servers::ResourceServer;

use crate::errors::OAuthError;
use crate::visit::Visit;

/// The thumbprint of the key whose possession a POST to `path` proves; `None` where nobody tries. Where `nonce` is set, the proof holds
/// a nonce of ours.
pub async fn proven(
    visit: &Visit,
    headers: &HeaderMap,
    path: &str,
    nonce: bool,
) -> Result<Option<String>, OAuthError> {
    let proof = match only(headers) {
        Ok(None) => return Ok(None),
        Ok(Some(proof)) => proof,
        Err(()) => return Err(invalid("Multiple DPoP proofs")),
    };
    let url = format!("{}{path}", visit.tenant.issuer);
    let expected = Expected { method: "POST", url: &url, access_token: None, nonce };
    match proofs::check(&visit.app, &visit.tenant, proof, expected).await {
        Ok(jkt) => Ok(Some(jkt)),
        Err(ProofError::Invalid(reason)) => Err(invalid(reason)),
        Err(error @ ProofError::Nonce(_)) => Err(wants_nonce(error)),
        Err(ProofError::Failed(error)) => Err(error.into()),
    }
}

/// The one `DPoP` header, if there is one.
pub fn only(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all("dpop").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        _ => Err(()),
    }
}

fn invalid(reason: &'static str) -> OAuthError {
    OAuthError::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", reason)
}

fn wants_nonce(error: ProofError) -> OAuthError {
    let told = OAuthError::new(StatusCode::BAD_REQUEST, "use_dpop_nonce", error.to_string());
    match error {
        ProofError::Nonce(nonce) => OAuthError { dpop_nonce: Some(nonce), ..told },
        _ => told,
    }
}

/// A client may insist on proofs. FAPI 2.0's (Security Profile §5.3.2.1) are bound to a key or to a certificate, as the client likes.
pub fn demanded_by_client(visit: &Visit, client: &Client) -> Result<(), OAuthError> {
    let unbound = visit.jkt.is_none() && visit.binding_certificate(client, None).is_none();
    if client.must_prove_possession() && visit.jkt.is_none() || client.protocol.is_fapi2() && unbound {
        return Err(invalid("DPoP proof is required for the client"));
    }
    Ok(())
}

/// An API may insist on proofs.
pub fn demanded_by_api(
    visit: &Visit,
    client: &Client,
    api: Option<&ResourceServer>,
) -> Result<(), OAuthError> {
    match api {
        // RFC 8705 §3: such an API would not take a token that is bound to anything else.
        Some(api) if api.wants_proof_from(client) && api.binds_to_certificate() => {
            match visit.certificate.is_some() && visit.jkt.is_none() {
                true => Ok(()),
                false => Err(OAuthError::invalid_request("A client certificate is required for the API")),
            }
        }
        Some(api) if api.wants_proof_from(client) && visit.jkt.is_none() => {
            Err(invalid("DPoP proof is required for the API"))
        }
        _ => Ok(()),
    }
}
