//! `POST /oauth/revoke` (RFC 7009; authentication contract §4.2).

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::{App, grants, refresh_tokens};

use crate::client_authentication;
use crate::errors::OAuthError;
use crate::events;
use crate::params::Params;
use crate::visit::Visit;

/// Ends the family of a refresh token. 200 with an empty body also for unknown tokens and those of other clients.
/// Errors: 400 `invalid_request`, 401 `invalid_client`.
pub async fn revoke(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match end(&visit, query.as_deref(), &headers, &body).await {
        Ok(()) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")],
        )
            .into_response(),
        Err(error) => error.into_response(),
    }
}

async fn end(visit: &Visit, query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<(), OAuthError> {
    let params = Params::parse_body(headers, body)?;
    let client =
        client_authentication::authenticate(visit, query, headers, &params).await.map_err(|error| {
            if error.status == StatusCode::UNAUTHORIZED {
                OAuthError { error: "invalid_client", ..error }
            } else {
                error
            }
        })?;
    let token = params.get("token").ok_or_else(|| OAuthError::missing("token"))?;
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let found = refresh_tokens::find(&app.db, tenant, token).await?;
    let Some(family) = found.map(|found| found.family).filter(|family| family.client_id == client.client_id)
    else {
        return Ok(());
    };
    let mut batch = Batch::new();
    refresh_tokens::remove(&mut batch, tenant, &family.id);
    if visit.settings().await?.flag("revoke_refresh_token_grant") {
        grants::remove_for(&mut batch, tenant, &family.user_id, &family.client_id, &family.audience);
        refresh_tokens::remove_for_grant(
            &mut batch,
            tenant,
            &family.user_id,
            &family.client_id,
            &family.audience,
        );
    }
    model::logs::record(&mut batch, events::refresh_revoked(visit, &client, &family.user_id));
    app.db.commit(batch).await?;
    Ok(())
}
