//! `/userinfo` (OIDC Core §5.3; authentication contract §4.3).

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::jose::VerifyError;
use model::seal::digest;
use model::users::{self, User};
use model::{App, UserId, access_tokens, clients};
use serde_json::Map;

use crate::issue::as_specified;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// `GET|POST /userinfo`: the claims that the token's scopes allow. Every refusal is 401.
pub async fn userinfo(State(_): State<App>, visit: Visit, headers: HeaderMap) -> Response {
    match claims(&visit, &headers).await {
        Ok(Some(Granted { user, scopes, strict })) => {
            let mut body = Map::new();
            body.insert("sub".into(), user.id.as_str().into());
            body.extend(user.claims(|scope| scopes.has(scope)));
            if strict {
                as_specified(&mut body);
            }
            let json = serde_json::to_vec(&body).unwrap_or_default();
            let kept = [
                (header::CONTENT_TYPE, "application/json; charset=utf-8"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (kept, json).into_response()
        }
        Ok(None) => unauthorized(headers.contains_key(header::AUTHORIZATION)),
        Err(error) => Visit::json_error(error),
    }
}

fn unauthorized(tried: bool) -> Response {
    let challenge = if tried {
        "Bearer realm=\"Users\", error=\"invalid_token\", error_description=\"The access token is not valid\""
    } else {
        "Bearer realm=\"Users\""
    };
    let mut response = (StatusCode::UNAUTHORIZED, "Unauthorized").into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What a token opens here.
struct Granted {
    user: User,
    scopes: Scopes,
    /// Whether the client is answered as the specification has it.
    strict: bool,
}

/// The user and scopes of the bearer token: opaque, or a JWT for an API that names this endpoint too.
async fn claims(visit: &Visit, headers: &HeaderMap) -> Result<Option<Granted>, db::Error> {
    let Some(token) = bearer(headers) else { return Ok(None) };
    let (app, tenant) = (&visit.app, &visit.tenant);
    let (user_id, client_id, scopes, issued_at) = if token.contains('.') {
        let verified = match app.keys.verify(app, &tenant.id, token).await {
            Ok(verified) => verified,
            Err(VerifyError::Failed(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        if verified.issuer() != tenant.issuer || !verified.is_for(&tenant.userinfo_audience()) {
            return Ok(None);
        }
        let (Some(client_id), Some(iat)) =
            (verified.text("azp").or_else(|| verified.text("client_id")), verified.integer("iat"))
        else {
            return Ok(None);
        };
        let scopes = Scopes::parse(verified.text("scope").unwrap_or_default());
        (UserId::from(verified.subject()), client_id.into(), scopes, Some(iat))
    } else {
        let found = access_tokens::find(&app.db, &tenant.id, &digest(token), app.clock.now()).await?;
        let Some((user_id, client_id, scope)) = found else { return Ok(None) };
        (user_id, client_id, Scopes::parse(&scope), None)
    };
    let client = clients::find(app, &tenant.id, client_id.as_str()).await?;
    let Some(client) = client.filter(|_| scopes.has("openid")) else { return Ok(None) };
    let strict = visit.is_strict_for(&client).await?;
    let user = users::find(&app.db, &tenant.id, &user_id).await?;
    // A token older than its user is another user's who had the same id.
    let living = user
        .filter(|user| !user.is_blocked() && issued_at.is_none_or(|iat| iat >= user.created_at.seconds()));
    Ok(living.map(|user| Granted { user, scopes, strict }))
}

/// The token of the one `Authorization: Bearer` header (RFC 6750 §2.1). Query and body are not looked at.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}
