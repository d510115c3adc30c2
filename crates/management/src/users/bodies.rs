//! The bodies and queries of the users family. The comments on the fields are the published descriptions: messages quote them.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::changes::Change;
use crate::fields::Fields;
use crate::lists::Pages;

/// What follows the names of properties that a user's root does not have.
const HINT: &str = " (consider storing them in app_metadata or user_metadata. See \"Users Metadata\" in \
     https://auth0.com/docs/api/v2/changes for more details)";

/// The query of `GET /users`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListUsers {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// Field to sort by. Use field:order where order is 1 for ascending and -1 for descending. e.g. created_at:1
    #[schemars(regex(pattern = r"^(([a-zA-Z0-9_\.]+)):(1|-1)$"))]
    pub sort: Option<String>,
    /// Connection filter. Only applies when using search_engine=v1. To filter by connection with search_engine=v2|v3, use q=identities.connection:"connection_name"
    pub connection: Option<String>,
    /// Query in Lucene query string syntax. Some query types cannot be used on metadata fields, for details see Searchable Fields.
    pub q: Option<String>,
    /// The version of the search engine
    #[schemars(extend("enum" = ["v1", "v2", "v3"]))]
    pub search_engine: Option<String>,
    /// If true (default), results are returned in a deterministic order. If false, results may be returned in a non-deterministic order, which can enhance performance for complex queries targeting a small number of users. Set to false only when consistent ordering and pagination is not required.
    pub primary_order: Option<bool>,
}

/// The query of `GET /users-by-email`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FindByEmail {
    /// Email address to search for (case-sensitive)
    #[schemars(extend("format" = "email"))]
    pub email: String,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// Tolerated, as on every list.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The body of `POST /users`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-additional-properties-hint" = HINT))]
pub struct CreateUser {
    /// The user's email.
    #[schemars(extend("format" = "email"))]
    pub email: Option<String>,
    /// The user's phone number (following the E.164 recommendation).
    #[schemars(regex(pattern = r"^\+[0-9]{1,15}$"))]
    pub phone_number: Option<String>,
    /// Data related to the user that does not affect the application's core functionality.
    pub user_metadata: Option<Map<String, Value>>,
    /// Whether this user was blocked by an administrator (true) or not (false).
    pub blocked: Option<bool>,
    /// Whether this email address is verified (true) or unverified (false). User will receive a verification email after creation if `email_verified` is false or not specified
    pub email_verified: Option<bool>,
    /// Whether this phone number has been verified (true) or not (false).
    pub phone_verified: Option<bool>,
    /// Data related to the user that does affect the application's core functionality.
    pub app_metadata: Option<Map<String, Value>>,
    /// The user's given name(s).
    #[schemars(length(min = 1, max = 150))]
    pub given_name: Option<String>,
    /// The user's family name(s).
    #[schemars(length(min = 1, max = 150))]
    pub family_name: Option<String>,
    /// The user's full name.
    #[schemars(length(min = 1, max = 300))]
    pub name: Option<String>,
    /// The user's nickname.
    #[schemars(length(min = 1, max = 300))]
    pub nickname: Option<String>,
    /// A URI pointing to the user's picture.
    #[schemars(extend("format" = "strict-uri"))]
    pub picture: Option<String>,
    /// The external user's id provided by the identity provider.
    #[schemars(length(max = 255), regex(pattern = r"^\S*$"))]
    pub user_id: Option<String>,
    /// Name of the connection this user should be created in.
    #[schemars(length(min = 1))]
    pub connection: String,
    /// Initial password for this user. Only valid for auth0 connection strategy.
    #[schemars(length(min = 1))]
    pub password: Option<String>,
    /// Whether the user will receive a verification email after creation (true) or no email (false). Overrides behavior of `email_verified` parameter.
    pub verify_email: Option<bool>,
    /// The user's username. Only valid if the connection requires a username.
    #[schemars(length(min = 1, max = 128))]
    pub username: Option<String>,
}

/// The body of `PATCH /users/{id}`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-additional-properties-hint" = HINT))]
pub struct UpdateUser {
    /// Whether this user was blocked by an administrator (true) or not (false).
    pub blocked: Option<bool>,
    /// Whether this email address is verified (true) or unverified (false). If set to false the user will not receive a verification email unless `verify_email` is set to true.
    pub email_verified: Option<bool>,
    /// Email address of this user.
    #[schemars(extend("format" = "email"))]
    pub email: Change<String>,
    /// The user's phone number (following the E.164 recommendation).
    #[schemars(regex(pattern = r"^\+[0-9]{1,15}$"))]
    pub phone_number: Change<String>,
    /// Whether this phone number has been verified (true) or not (false).
    pub phone_verified: Option<bool>,
    /// User metadata to which this user has read/write access.
    pub user_metadata: Option<Map<String, Value>>,
    /// User metadata to which this user has read-only access.
    pub app_metadata: Option<Map<String, Value>>,
    /// Given name/first name/forename of this user.
    #[schemars(length(min = 1, max = 150))]
    pub given_name: Change<String>,
    /// Family name/last name/surname of this user.
    #[schemars(length(min = 1, max = 150))]
    pub family_name: Change<String>,
    /// Name of this user.
    #[schemars(length(min = 1, max = 300))]
    pub name: Change<String>,
    /// Preferred nickname or alias of this user.
    #[schemars(length(min = 1, max = 300))]
    pub nickname: Change<String>,
    /// URL to picture, photo, or avatar of this user.
    #[schemars(extend("format" = "strict-uri"))]
    pub picture: Change<String>,
    /// Whether this user will receive a verification email after creation (true) or no email (false). Overrides behavior of `email_verified` parameter.
    pub verify_email: Option<bool>,
    /// Whether this user will receive a text after changing the phone number (true) or no text (false). Only valid when changing phone number for SMS connections.
    pub verify_phone_number: Option<bool>,
    /// New password for this user. Only valid for database connections.
    #[schemars(length(min = 1))]
    pub password: Change<String>,
    /// Name of the connection to target for this user update.
    #[schemars(length(min = 1))]
    pub connection: Option<String>,
    /// Auth0 client ID. Only valid when updating email address.
    #[schemars(length(min = 1, max = 64))]
    pub client_id: Option<String>,
    /// The user's username. Only valid if the connection requires a username.
    #[schemars(length(min = 1, max = 128))]
    pub username: Change<String>,
}

impl UpdateUser {
    /// The properties that the body names.
    pub fn named(&self) -> Vec<&'static str> {
        let Self {
            blocked,
            email_verified,
            email,
            phone_number,
            phone_verified,
            user_metadata,
            app_metadata,
            given_name,
            family_name,
            name,
            nickname,
            picture,
            verify_email,
            verify_phone_number,
            password,
            connection,
            client_id,
            username,
        } = self;
        let all = [
            ("blocked", blocked.is_some()),
            ("email_verified", email_verified.is_some()),
            ("email", email.is_named()),
            ("phone_number", phone_number.is_named()),
            ("phone_verified", phone_verified.is_some()),
            ("user_metadata", user_metadata.is_some()),
            ("app_metadata", app_metadata.is_some()),
            ("given_name", given_name.is_named()),
            ("family_name", family_name.is_named()),
            ("name", name.is_named()),
            ("nickname", nickname.is_named()),
            ("picture", picture.is_named()),
            ("verify_email", verify_email.is_some()),
            ("verify_phone_number", verify_phone_number.is_some()),
            ("password", password.is_named()),
            ("connection", connection.is_some()),
            ("client_id", client_id.is_some()),
            ("username", username.is_named()),
        ];
        all.into_iter().filter_map(|(name, named)| named.then_some(name)).collect()
    }
}
