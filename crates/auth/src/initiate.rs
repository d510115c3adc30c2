//! Where a sign-in begins that did not begin at its application (OpenID Connect Core §4; authentication contract §1.10): at the
//! application's `initiate_login_uri`, which is told who asks it to.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use model::transactions::Transaction;
use model::{App, clients};
use serde_json::{Map, Value};

use crate::authorize::response::{encode, extend_query, redirect};
use crate::pages::ErrorKind;
use crate::params::Params;
use crate::visit::Visit;

/// What is handed on to the application.
const HANDED_ON: [&str; 2] = ["login_hint", "target_link_uri"];

/// `GET /login?client_id=…`: leads to where the application begins a sign-in, else to where the tenant does. Errors: a page where neither
/// says.
pub async fn initiate(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let Ok(params) = Params::parse_form(query.as_deref().unwrap_or_default()) else {
        return visit.error_page(ErrorKind::InvalidRequest).await.into_response();
    };
    let visit = visit.asking(&params);
    let client_id = params.get("client_id").or_else(|| params.get("client"));
    match beginning(&visit, client_id, &params).await {
        Ok(Some(url)) => redirect(&url),
        Ok(None) => {
            let page = visit.error_page(ErrorKind::InvalidRequest).await;
            page.with_error("invalid_request", "Nothing says where to sign in").into_response()
        }
        Err(error) => visit.failure_page(error).await,
    }
}

/// The answer to a page of a sign-in that took too long: it begins anew, where somebody says how.
pub async fn begin_anew(visit: &Visit, state: &str) -> Response {
    let asked = Transaction::asked(&visit.app, &visit.tenant.id, state).unwrap_or_default();
    let client_id = asked.iter().find(|(name, _)| name == "client_id").map(|(_, value)| value.as_str());
    match beginning(visit, client_id, &Params::default()).await {
        Ok(Some(url)) => redirect(&url),
        Ok(None) => visit.error_page(ErrorKind::Expired).await.into_response(),
        Err(error) => visit.failure_page(error).await,
    }
}

/// The client's `initiate_login_uri`, else the tenant's `default_redirection_uri`.
async fn beginning(
    visit: &Visit,
    client_id: Option<&str>,
    params: &Params,
) -> Result<Option<String>, db::Error> {
    let client = match client_id {
        Some(client_id) => clients::find(&visit.app, &visit.tenant.id, client_id).await?,
        None => None,
    };
    // Whoever may register a client themselves says nothing about where people are led.
    let own = client.as_ref().filter(|client| client.is_first_party);
    let uri = own.and_then(|client| client.initiate_login_uri.as_deref());
    let Some(uri) = uri.filter(|uri| !uri.is_empty() && !uri.contains('{')) else {
        return Ok(visit.settings().await?.default_redirection_uri.clone());
    };
    let mut told = Map::from_iter([("iss".to_owned(), Value::from(visit.tenant.issuer.as_str()))]);
    let more = HANDED_ON.iter().filter_map(|name| Some(((*name).to_owned(), params.get(name)?.into())));
    told.extend(more);
    Ok(Some(extend_query(uri, &encode(&told))))
}
