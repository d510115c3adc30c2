//! The bodies and queries of the connections family. The comments on the fields are the published descriptions.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::changes::Change;
use crate::documents::patch_schema;
use crate::fields::Fields;
use crate::lists::Pages;
use crate::texts::ClientIdText;

type Object = Map<String, Value>;

/// The query of `GET /connections`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListConnections {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// Provide strategies to only retrieve connections with such strategies
    #[schemars(length(max = 100))]
    pub strategy: Option<Vec<String>>,
    /// Provide the name of the connection to retrieve
    pub name: Option<String>,
}

/// The query of `GET /connections/{id}/clients`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListConnectionClients {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The body of `POST /connections`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateConnection {
    /// The name of the connection. Must start and end with an alphanumeric character and can only contain alphanumeric characters and '-'. Max length 128
    #[schemars(length(max = 128), regex(pattern = "^[a-zA-Z0-9](-[a-zA-Z0-9]|[a-zA-Z0-9])*$"))]
    pub name: String,
    /// Connection name used in the new universal login experience
    #[schemars(length(max = 128))]
    pub display_name: Option<String>,
    /// The identity provider identifier for the connection
    #[schemars(extend("enum" = STRATEGIES))]
    pub strategy: String,
    /// The connection's options (depend on the connection strategy)
    pub options: Option<Object>,
    /// Use of this property is NOT RECOMMENDED. Use the PATCH /v2/connections/{id}/clients endpoint to enable the connection for a set of clients.
    pub enabled_clients: Option<Vec<ClientIdText>>,
    /// `true` promotes to a domain-level connection so that third-party applications can use it. `false` does not promote the connection, so only first-party applications with the connection enabled can use it. (Defaults to `false`.)
    pub is_domain_connection: Option<bool>,
    /// Enables showing a button for the connection in the login page (new experience only). If false, it will be usable only by HRD. (Defaults to `false`.)
    pub show_as_button: Option<bool>,
    /// Defines the realms for which the connection will be used (ie: email domains). If the array is empty or the property is not specified, the connection name will be added as realm.
    #[schemars(inner(length(min = 1, max = 255)))]
    pub realms: Option<Vec<String>>,
    /// Metadata associated with the connection in the form of an object with string values (max 255 chars).  Maximum of 10 metadata properties allowed.
    #[schemars(extend("maxProperties" = 10), extend("additionalProperties" = {"type": ["string", "null"], "maxLength": 255, "x-nullable": true}))]
    pub metadata: Option<Object>,
    /// Configure the purpose of a connection to be used for authentication during login.
    pub authentication: Option<Purpose>,
    /// Configure the purpose of a connection to be used for connected accounts and Token Vault.
    pub connected_accounts: Option<ConnectedAccounts>,
    /// Configure the connection for apps that ask for access on a user's behalf.
    #[schemars(default)]
    pub cross_app_access_requesting_app: Change<Purpose>,
    /// Configure the connection for apps that give access on a user's behalf.
    #[schemars(default)]
    pub cross_app_access_resource_app: Change<Object>,
}

/// Whether a connection is used for something.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// Whether it is.
    pub active: bool,
}

/// Whether accounts may be connected.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectedAccounts {
    /// Whether they may.
    pub active: bool,
    /// Whether across apps.
    pub cross_app_access: Option<bool>,
}

/// The body of `PATCH /connections/{id}`: that of POST without the name and the strategy, which never change.
pub struct UpdateConnection;

impl JsonSchema for UpdateConnection {
    fn schema_name() -> Cow<'static, str> {
        "UpdateConnection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema =
            patch_schema(CreateConnection::json_schema(generator), &["options", "enabled_clients"]);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !["name", "strategy"].contains(&name.as_str()));
        }
        schema
    }
}

/// The body of `PATCH /connections/{id}/clients`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EnableClients(#[schemars(length(min = 1, max = 50))] pub Vec<EnableClient>);

/// Whether a connection is to be enabled for a client.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableClient {
    /// The client_id of the client to be the subject to change status
    #[schemars(extend("format" = "client-id"))]
    pub client_id: String,
    /// Whether the connection is enabled or not for this client_id
    pub status: bool,
}

/// The strategies.
#[rustfmt::skip]
const STRATEGIES: &[&str] = &[
    "ad", "adfs", "amazon", "apple", "dropbox", "bitbucket", "auth0-oidc", "auth0", "baidu", "bitly", "box",
    "custom", "daccount", "dwolla", "email", "evernote-sandbox", "evernote", "exact", "facebook", "fitbit",
    "github", "google-apps", "google-oauth2", "instagram", "ip", "line", "linkedin", "oauth1", "oauth2",
    "office365", "oidc", "okta", "paypal", "paypal-sandbox", "pingfederate", "planningcenter",
    "salesforce-community", "salesforce-sandbox", "salesforce", "samlp", "sharepoint", "shopify", "shop",
    "sms", "soundcloud", "thirtysevensignals", "twitter", "untappd", "vkontakte", "waad", "weibo",
    "windowslive", "wordpress", "yahoo", "yandex",
];
