//! `/api/v2/doorward/self-service`: the self-service policy. It is Doorward's own, with scopes of its own, so that what Auth0's tools
//! read and write stays as they know it.

pub mod rules;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::document::object;
use model::self_service::metadata;
use model::tenant_documents::TenantDocument;
use model::{App, self_service};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::changes::Change;
use crate::documents::{Document, unfit};
use crate::errors::Error;
use crate::requests::Json;

/// The most that a JSON Schema may take, in bytes.
const LARGEST_SCHEMA: usize = 64 * 1024;

/// The body of `PATCH /doorward/self-service`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub struct UpdateSelfService {
    /// What people may write to their user_metadata.
    #[schemars(default)]
    pub user_metadata: Change<Metadata>,
    /// What linking an account asks for.
    #[schemars(default)]
    pub link_identity: Change<Requirement>,
    /// What unlinking an account asks for.
    #[schemars(default)]
    pub unlink_identity: Change<Requirement>,
    /// What dropping a second factor asks for.
    #[schemars(default)]
    pub remove_factor: Change<Requirement>,
    /// Of which changes people are told by mail.
    #[schemars(default)]
    pub notices: Change<Notices>,
}

/// What people may write to their `user_metadata`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The only keys that people may set, change or remove.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 255)))]
    pub allowed_keys: Option<Vec<String>>,
    /// The most that the whole may take, in bytes of JSON.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub max_bytes: Option<u64>,
    /// A JSON Schema that the whole must fit.
    pub schema: Option<Map<String, Value>>,
}

/// How surely, and how lately, a person must have proved who they are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// How old the sign-in may be, in seconds.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub max_age: Option<i64>,
    /// Whether it must have been with a second factor.
    pub mfa: Option<bool>,
}

/// Of which changes people are told by mail.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notices {
    /// Another password.
    pub password_changed: Option<bool>,
    /// Another address, told to the old one.
    pub email_changed: Option<bool>,
    /// Another second factor.
    pub factor_added: Option<bool>,
    /// One second factor less.
    pub factor_removed: Option<bool>,
    /// The recovery code was replaced, or used.
    pub recovery_code_changed: Option<bool>,
    /// Another account was linked.
    pub identity_linked: Option<bool>,
    /// A linked account was unlinked.
    pub identity_unlinked: Option<bool>,
    /// A device was registered.
    pub device_registered: Option<bool>,
    /// A device was removed.
    pub device_removed: Option<bool>,
}

/// `GET /doorward/self-service`.
pub async fn get(State(app): State<App>, grant: Grant) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(object(&self_service::load(&app, &grant.tenant.id).await?)))
}

/// `PATCH /doorward/self-service`: replaces the named rules; `null` brings back what a new tenant has.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateSelfService>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let schema = body.get("user_metadata").and_then(|rule| rule.get("schema"));
    if let Some(schema) = schema {
        check_schema(schema)?;
    }
    let decide = async || {
        let stored = self_service::load(&app, &grant.tenant.id).await?;
        let mut changed = stored.patched(&body.keys).map_err(unfit)?;
        let mut batch = Batch::new();
        self_service::save(&mut batch, &grant.tenant.id, &mut changed, app.clock.now());
        let answer = object(&changed);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// Refuses what is no JSON Schema, names one that lies elsewhere, or is too large.
fn check_schema(schema: &Value) -> Result<(), Error> {
    let refused = |problem: &str| {
        Error::InvalidBody(
            format!("Payload validation error: '{problem}' on property user_metadata.schema.").into(),
        )
    };
    if schema.to_string().len() > LARGEST_SCHEMA {
        return Err(refused("The schema is too large"));
    }
    match metadata::compile(schema) {
        Ok(_) => Ok(()),
        Err(problem) => {
            let shown: String = problem.chars().take(255).collect();
            Err(refused(&format!("No JSON Schema: {shown}")))
        }
    }
}
