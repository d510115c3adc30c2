//! `/api/v2/doorward/administrators`: whom the tenant names as its administrators, which is who is told of ended imports and of what attack
//! protection did. It is Doorward's own: at Auth0 they are the people of its dashboard.

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::document::object;
use model::{App, administrators};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::errors::Error;
use crate::requests::Json;

/// The body of `PATCH /doorward/administrators`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAdministrators {
    /// The addresses that letters for administrators go to.
    #[schemars(length(max = 10), inner(length(max = 254), email))]
    pub emails: Vec<String>,
}

/// `GET /doorward/administrators`.
pub async fn get(State(app): State<App>, grant: Grant) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(object(&administrators::load(&app, &grant.tenant.id).await?)))
}

/// `PATCH /doorward/administrators`: names others in their place; an empty list names nobody.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<UpdateAdministrators>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut changed = administrators::load(&app, &grant.tenant.id).await?;
        changed.emails.clone_from(&body.emails);
        let mut batch = Batch::new();
        administrators::save(&mut batch, &grant.tenant.id, &mut changed, app.clock.now());
        let answer = object(&changed);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}
