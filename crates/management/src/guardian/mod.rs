//! `/api/v2/guardian`: which second factors there are, when they are asked for, and who has enrolled (management contract §4.11).

mod enrollments;
mod settings;

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::guardian::{self, FACTORS, Guardian};
use model::{App, document, sms};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

pub use enrollments::{CreateTicket, create_ticket, get_enrollment, remove_enrollment};
pub use settings::*;

use crate::access::Grant;
use crate::answers::Answer;
use crate::errors::Error;
use crate::paths::{self, Parameter, Path};
use crate::requests::Json;

/// The name of a factor, in a path.
#[derive(Clone, Copy, Debug)]
pub struct FactorName(&'static str);

impl Parameter for FactorName {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        let known = FACTORS.into_iter().find(|known| *known == value);
        known.map(Self).ok_or_else(|| paths::no_match(name, value))
    }
}

/// The body of `PUT /guardian/factors/{name}`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableFactor {
    /// Whether this factor is enabled (true) or disabled (false).
    pub enabled: bool,
}

/// The body of `PUT /guardian/policies`: the policies; none, or nothing at all, for never.
#[derive(Debug)]
pub struct Policies(Vec<String>);

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::deserialize(deserializer)?.unwrap_or_default()))
    }
}

impl JsonSchema for Policies {
    fn schema_name() -> Cow<'static, str> {
        "Policies".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["array", "null"],
            "x-nullable": true,
            "maxItems": 2,
            "items": { "type": "string", "enum": ["all-applications", "confidence-score"] },
        })
    }
}

/// `GET /guardian/factors`: every factor, and whether it is enabled.
pub async fn list_factors(State(app): State<App>, grant: Grant) -> Result<Answer<Vec<Value>>, Error> {
    let guardian = guardian::find(&app, &grant.tenant.id).await?;
    let shown =
        |name: &str| json!({ "name": name, "enabled": guardian.enables(name), "trial_expired": false });
    Ok(Answer(FACTORS.into_iter().map(shown).collect()))
}

/// `PUT /guardian/factors/{name}`: enables a factor, or disables it. Codes by SMS are offered once a connection of strategy `sms` names a
/// gateway; until then the log and `doctor` say so.
///
/// # Errors
/// 400 `invalid_uri`, `invalid_body`.
pub async fn set_factor(
    State(app): State<App>,
    grant: Grant,
    Path(FactorName(name)): Path<FactorName>,
    Json(body): Json<EnableFactor>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let answer = change(&app, &grant, |guardian| {
        guardian.enable(name, body.enabled);
        document::object(&body)
    })
    .await?;
    if name == "sms" && body.enabled && sms::gateway(&app, &grant.tenant.id).await?.is_none() {
        tracing::warn!(
            tenant = %grant.tenant.id,
            "codes by SMS are not offered as second factor: no connection of strategy sms names a gateway"
        );
    }
    Ok(answer)
}

/// `GET /guardian/policies`: when a second factor is asked for.
pub async fn policies(State(app): State<App>, grant: Grant) -> Result<Answer<Vec<String>>, Error> {
    Ok(Answer(guardian::find(&app, &grant.tenant.id).await?.policies.clone()))
}

/// `PUT /guardian/policies`: sets that.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn set_policies(
    State(app): State<App>,
    grant: Grant,
    Json(Policies(policies)): Json<Policies>,
) -> Result<Answer<Vec<String>>, Error> {
    change(&app, &grant, |guardian| {
        guardian.policies.clone_from(&policies);
        policies.clone()
    })
    .await
}

/// Changes the tenant's settings, and answers what `decide` says, which may run again.
async fn change<T: Serialize>(
    app: &App,
    grant: &Grant,
    decide: impl Fn(&mut Guardian) -> T,
) -> Result<Answer<T>, Error> {
    let tenant = &grant.tenant.id;
    let decide = async || {
        let mut guardian = guardian::load(app, tenant).await?;
        let answer = decide(&mut guardian);
        let mut batch = Batch::new();
        guardian::save(&mut batch, app, tenant, &mut guardian);
        grant.wrote(app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}
