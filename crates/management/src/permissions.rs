//! `{"permissions": […]}`: what a role or a user may do, in bodies.

use axum::http::StatusCode;
use db::Batch;
use model::App;
use model::resource_servers;
use model::roles::permissions::{self, Holder, Permission};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Grant;
use crate::answers::{Created, NoContent};
use crate::errors::{Error, Missing};

/// The body that gives or takes permissions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// array of resource_server_identifier, permission_name pairs.
    #[schemars(length(min = 1, max = 1000))]
    pub permissions: Vec<Named>,
}

/// A scope of an API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Resource server (API) identifier that this permission is for.
    #[schemars(length(min = 1, max = 600))]
    pub resource_server_identifier: String,
    /// Name of this permission.
    #[schemars(length(min = 1, max = 280))]
    pub permission_name: String,
}

impl Permissions {
    /// In the order of their rows, each once.
    fn named(&self) -> Vec<Permission> {
        let named = self.permissions.iter().map(|named| Permission {
            audience: named.resource_server_identifier.clone(),
            name: named.permission_name.clone(),
        });
        let mut named: Vec<_> = named.collect();
        named.sort();
        named.dedup();
        named
    }

    /// Gives them to a role or a user.
    ///
    /// # Errors
    /// 404 for an API or a scope of it that is not there, 400 for more than a holder may have.
    pub async fn give(&self, app: &App, grant: &Grant, holder: Holder<'_>) -> Result<Created<Value>, Error> {
        let tenant = &grant.tenant.id;
        let named = self.named();
        for permission in &named {
            let api = resource_servers::find_by_identifier(app, tenant, &permission.audience).await?;
            let api = api.ok_or(Error::NotFound(Missing::ResourceServer))?;
            if !api.scopes.iter().flatten().any(|scope| scope.value == permission.name) {
                let Permission { audience, name } = permission;
                return Err(Error::InvalidBody(
                    format!("The permission {name} does not exist on the resource server {audience}.").into(),
                ));
            }
        }
        let there = permissions::count(&app.db, tenant, holder).await?;
        if there + named.len() > permissions::MOST {
            return Err(Error::InvalidBody(
                format!("No more than {} permissions can be assigned.", permissions::MOST).into(),
            ));
        }
        let mut batch = Batch::new();
        permissions::give(&mut batch, tenant, holder, &named);
        let answer = json!({});
        grant.wrote(app, &mut batch, StatusCode::CREATED, &answer);
        app.db.commit(batch).await?;
        Ok(Created(answer))
    }

    /// Takes them from a role or a user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take(&self, app: &App, grant: &Grant, holder: Holder<'_>) -> Result<NoContent, Error> {
        let mut batch = Batch::new();
        permissions::take(&mut batch, &grant.tenant.id, holder, &self.named());
        grant.wrote(app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        app.db.commit(batch).await?;
        Ok(NoContent)
    }
}
