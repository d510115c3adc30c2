//! `/api/v2/tenants/settings` (management contract §4.9).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::document::object;
use model::{App, tenants};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::changes::Change;
use crate::documents::{Document, unfit};
use crate::errors::Error;
use crate::fields::Fields;
use crate::requests::{Json, Query};
use crate::texts::Destination;

type Object = Map<String, Value>;

/// The body of `PATCH /tenants/settings`. The comments on the fields are the published descriptions.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub struct UpdateSettings {
    /// Change Password page customization.
    #[schemars(default)]
    pub change_password: Change<Page>,
    /// Device Flow configuration.
    #[schemars(default)]
    pub device_flow: Change<DeviceFlow>,
    /// Guardian page customization.
    #[schemars(default)]
    pub guardian_mfa_page: Change<Page>,
    /// Default audience for API Authorization.
    #[schemars(length(max = 600))]
    pub default_audience: Option<String>,
    /// Name of connection used for password grants at the `/token` endpoint. The following connection types are supported: LDAP, AD, Database Connections, Passwordless, Windows Azure Active Directory, ADFS.
    #[schemars(length(max = 128))]
    pub default_directory: Option<String>,
    /// Tenant error page customization
    #[schemars(default)]
    pub error_page: Change<ErrorPage>,
    /// Token quotas of clients and organizations.
    #[schemars(default)]
    pub default_token_quota: Change<Object>,
    /// Flags used to change the behavior of this tenant.
    #[schemars(extend("additionalProperties" = {"type": "boolean"}, "maxProperties" = 100))]
    pub flags: Option<Object>,
    /// Friendly name for this tenant.
    #[schemars(length(max = 255))]
    pub friendly_name: Option<String>,
    /// URL of logo to be shown for this tenant (recommended size: 150x150)
    #[schemars(extend("format" = "absolute-uri-or-empty"))]
    pub picture_url: Option<String>,
    /// End-user support email.
    #[schemars(extend("format" = "email-or-empty"))]
    pub support_email: Option<String>,
    /// End-user support url.
    #[schemars(extend("format" = "absolute-uri-or-empty"))]
    pub support_url: Option<String>,
    /// URLs that are valid to redirect to after logout from Auth0.
    pub allowed_logout_urls: Option<Vec<Destination>>,
    /// Number of hours a session will stay valid.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub session_lifetime: Option<i64>,
    /// Number of minutes a session will stay valid.
    #[schemars(range(min = 1, max = 60_000_000))]
    pub session_lifetime_in_minutes: Option<i64>,
    /// Number of hours for which a session can be inactive before the user must log in again.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub idle_session_lifetime: Option<i64>,
    /// Number of minutes for which a session can be inactive before the user must log in again.
    #[schemars(range(min = 1, max = 60_000_000))]
    pub idle_session_lifetime_in_minutes: Option<i64>,
    /// Number of hours an ephemeral (non-persistent) session will stay valid.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub ephemeral_session_lifetime: Option<i64>,
    /// Number of minutes an ephemeral (non-persistent) session will stay valid.
    #[schemars(range(min = 1, max = 60_000_000))]
    pub ephemeral_session_lifetime_in_minutes: Option<i64>,
    /// Number of hours for which an ephemeral (non-persistent) session can be inactive before the user must log in again.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub idle_ephemeral_session_lifetime: Option<i64>,
    /// Number of minutes for which an ephemeral (non-persistent) session can be inactive before the user must log in again.
    #[schemars(range(min = 1, max = 60_000_000))]
    pub idle_ephemeral_session_lifetime_in_minutes: Option<i64>,
    /// Selected sandbox version for the extensibility environment
    #[schemars(length(max = 8))]
    pub sandbox_version: Option<String>,
    /// Selected legacy sandbox version for the extensibility environment
    #[schemars(length(max = 8))]
    pub legacy_sandbox_version: Option<String>,
    /// The default absolute redirection uri, must be https
    #[schemars(extend("format" = "absolute-https-uri-or-empty"))]
    pub default_redirection_uri: Option<String>,
    /// Supported locales for the user interface
    #[schemars(length(min = 1, max = 200), inner(regex(pattern = "^[a-z]{2,3}(-([A-Z]{2}|419))?$")))]
    pub enabled_locales: Option<Vec<String>>,
    /// Headers that protect the pages.
    #[schemars(default)]
    pub security_headers: Change<Object>,
    /// Session cookie configuration
    #[schemars(default)]
    pub session_cookie: Change<SessionCookie>,
    /// Sessions related settings for tenant
    #[schemars(default)]
    pub sessions: Change<Sessions>,
    /// Settings related to OIDC RP-initiated Logout
    pub oidc_logout: Option<OidcLogout>,
    /// Whether to enable flexible factors for MFA in the PostLogin action
    #[schemars(default)]
    pub customize_mfa_in_postlogin_action: Change<bool>,
    /// Whether to accept an organization name instead of an ID on auth endpoints
    #[schemars(default)]
    pub allow_organization_name_in_authentication_api: Change<bool>,
    /// Supported ACR values
    #[schemars(default, inner(length(min = 1, max = 255)))]
    pub acr_values_supported: Change<Vec<String>>,
    /// mTLS configuration.
    #[schemars(default)]
    pub mtls: Change<Mtls>,
    /// Enables the use of Pushed Authorization Requests
    #[schemars(default)]
    pub pushed_authorization_requests_supported: Change<bool>,
    /// Supports iss parameter in authorization responses
    #[schemars(default)]
    pub authorization_response_iss_parameter_supported: Change<bool>,
    /// Controls whether a confirmation prompt is shown during login flows when the redirect URI uses non-verifiable callback URIs (for example, a custom URI schema such as `myapp://`, or `localhost`).
    #[schemars(default)]
    pub skip_non_verifiable_callback_uri_confirmation_prompt: Change<bool>,
    /// Profile that determines how the identity of the protected resource (i.e., API) can be specified in the OAuth endpoints when access is being requested.
    #[schemars(extend("enum" = ["audience", "compatibility"]))]
    pub resource_parameter_profile: Option<String>,
    /// Whether clients may register by a metadata document.
    pub client_id_metadata_document_supported: Option<bool>,
    /// Whether the AI guide is shown.
    pub enable_ai_guide: Option<bool>,
    /// Whether to enable the phone consolidated experience.
    pub phone_consolidated_experience: Option<bool>,
    /// Whether sessions' metadata is part of log entries.
    pub include_session_metadata_in_tenant_logs: Option<bool>,
    /// How strict dynamic client registration is.
    #[schemars(extend("enum" = ["strict", "permissive"]))]
    pub dynamic_client_registration_security_mode: Option<String>,
    /// Countries of phone numbers.
    #[schemars(default)]
    pub country_codes: Change<Object>,
    /// Colors of the older pages.
    #[schemars(default)]
    pub universal_login: Change<Object>,
}

/// A page of the tenant's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Whether it is used.
    pub enabled: Option<bool>,
    /// Its HTML.
    pub html: Option<String>,
}

/// The page of errors.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorPage {
    /// Custom Error HTML (Liquid syntax is supported).
    pub html: Option<String>,
    /// Whether to show the link to log as part of the default error page (true, default) or not to show the link (false).
    pub show_log_link: Option<bool>,
    /// URL to redirect to when an error occurs instead of showing the default error page.
    #[schemars(extend("format" = "absolute-uri-or-empty"))]
    pub url: Option<String>,
}

/// The codes of the device flow.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceFlow {
    /// Character set used to generate a User Code. Can be `base20` or `digits`.
    #[schemars(extend("enum" = ["base20", "digits"]))]
    pub charset: Option<String>,
    /// Mask used to format a generated User Code into a friendly, readable format.
    #[schemars(length(max = 20))]
    pub mask: Option<String>,
}

/// The session's cookie.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionCookie {
    /// Behavior of the session cookie
    #[schemars(extend("enum" = ["persistent", "non-persistent"]))]
    pub mode: String,
}

/// Sessions.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Whether to bypass prompting logic (false) when performing OIDC Logout
    pub oidc_logout_prompt_enabled: Option<bool>,
}

/// Logout by a client.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcLogout {
    /// Enable the end_session_endpoint URL in the .well-known discovery configuration
    pub rp_logout_end_session_endpoint_discovery: Option<bool>,
}

/// Client certificates.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mtls {
    /// If true, enables mTLS endpoint aliases
    pub enable_endpoint_aliases: Option<bool>,
}

/// `GET /tenants/settings`.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Query(fields): Query<Fields>,
) -> Result<Answer<Object>, Error> {
    Ok(Answer(fields.of(object(&tenants::load_settings(&app, &grant.tenant.id).await?))))
}

/// `PATCH /tenants/settings`: replaces the named keys; `flags` merges by key.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateSettings>>,
) -> Result<Answer<Object>, Error> {
    let decide = async || {
        let mut settings =
            tenants::load_settings(&app, &grant.tenant.id).await?.patched(&body.keys).map_err(unfit)?;
        let mut batch = Batch::new();
        tenants::save_settings(&mut batch, &grant.tenant.id, &mut settings);
        let mut answer = object(&settings);
        // As the real service: what may be chosen is told by GET alone.
        answer.shift_remove("sandbox_versions_available");
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}
