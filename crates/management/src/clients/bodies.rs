//! The bodies and queries of the clients family. The comments on the fields are the published descriptions: messages quote them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::changes::Change;
use crate::documents::patch_schema;
use crate::fields::Fields;
use crate::lists::Pages;
use crate::texts::{CallbackUrl, Destination, HttpsAddress};

type Object = Map<String, Value>;

/// The query of `GET /clients`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListClients {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// Optional filter on the global client parameter.
    pub is_global: Option<bool>,
    /// Optional filter on whether or not a client is a first-party client.
    pub is_first_party: Option<bool>,
    /// Optional filter by a comma-separated list of application types.
    #[schemars(regex(pattern = r"^[a-z_]+(,[a-z_]+)*$"))]
    pub app_type: Option<String>,
    /// Optional filter by the Client ID Metadata Document URI for CIMD-registered clients.
    #[schemars(length(min = 1, max = 120))]
    pub external_client_id: Option<String>,
    /// Advanced Query in Lucene syntax.
    pub q: Option<String>,
}

/// The query of `GET /clients/{id}/connections`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListClientConnections {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// Provide strategies to only retrieve connections with such strategies
    pub strategy: Option<Vec<String>>,
}

/// The body of `POST /clients`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateClient {
    /// Name of this client (min length: 1 character, does not allow `<` or `>`).
    #[schemars(regex(pattern = "^[^<>]+$"), length(max = 1024))]
    pub name: String,
    /// Free text description of this client (max length: 140 characters).
    #[schemars(length(max = 140))]
    pub description: Option<String>,
    /// URL of the logo to display for this client. Recommended size is 150x150 pixels.
    #[schemars(extend("format" = "absolute-uri-or-empty"))]
    pub logo_uri: Option<String>,
    /// Comma-separated list of URLs whitelisted for Auth0 to use as a callback to the client after authentication.
    pub callbacks: Option<Vec<CallbackUrl>>,
    /// Configuration for OIDC backchannel logout
    pub oidc_logout: Option<BackchannelLogout>,
    /// Configuration for OIDC backchannel logout (deprecated, in favor of oidc_logout)
    #[schemars(default)]
    pub oidc_backchannel_logout: Change<BackchannelLogout>,
    /// Native to Web SSO Configuration
    #[schemars(default)]
    pub session_transfer: Change<Object>,
    /// Comma-separated list of URLs allowed to make requests from JavaScript to Auth0 API (typically used with CORS). By default, all your callback URLs will be allowed. This field allows you to enter other origins if necessary. You can also use wildcards at the subdomain level. Query strings and hash information are not taken into account when validating these URLs.
    pub allowed_origins: Option<Vec<Destination>>,
    /// Comma-separated list of allowed origins for use with Cross-Origin Authentication, Device Flow, and web message response mode.
    pub web_origins: Option<Vec<Destination>>,
    /// List of audiences/realms for SAML protocol. Used by the wsfed addon.
    #[schemars(inner(length(min = 1)))]
    pub client_aliases: Option<Vec<String>>,
    /// List of allow clients and API ids that are allowed to make delegation requests. Empty means all all your clients are allowed.
    #[schemars(inner(length(min = 1)))]
    pub allowed_clients: Option<Vec<String>>,
    /// Comma-separated list of URLs that are valid to redirect to after logout from Auth0. Wildcards are allowed for subdomains.
    pub allowed_logout_urls: Option<Vec<Destination>>,
    /// List of grant types supported for this application. Can include `authorization_code`, `implicit`, `refresh_token`, `client_credentials`, `password`, `http://auth0.com/oauth/grant-type/password-realm`, `http://auth0.com/oauth/grant-type/mfa-oob`, `http://auth0.com/oauth/grant-type/mfa-otp`, `http://auth0.com/oauth/grant-type/mfa-recovery-code`, `urn:openid:params:grant-type:ciba`, `urn:ietf:params:oauth:grant-type:device_code`, and `urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token`.
    #[schemars(inner(length(min = 1, max = 255)))]
    pub grant_types: Option<Vec<String>>,
    /// Defines the requested authentication method for the token endpoint. Can be `none` (public client without a client secret), `client_secret_post` (client uses HTTP POST parameters), or `client_secret_basic` (client uses HTTP Basic).
    #[schemars(extend("enum" = ["none", "client_secret_post", "client_secret_basic"]))]
    pub token_endpoint_auth_method: Option<String>,
    /// If true, trust that the IP specified in the `auth0-forwarded-for` header is the end-user's IP for brute-force-protection on token endpoint.
    pub is_token_endpoint_ip_header_trusted: Option<bool>,
    /// Type of client used to determine which settings are applicable. Can be `spa`, `native`, `non_interactive`, `regular_web`, or `resource_server`.
    #[schemars(extend("enum" = ["native", "spa", "regular_web", "non_interactive", "resource_server", "express_configuration", "rms", "box", "cloudbees", "concur", "dropbox", "mscrm", "echosign", "egnyte", "newrelic", "office365", "salesforce", "sentry", "sharepoint", "slack", "springcm", "zendesk", "zoom", "sso_integration", "oag"]))]
    pub app_type: Option<String>,
    /// Whether this client a first party client or not
    pub is_first_party: Option<bool>,
    /// Whether this client conforms to strict OIDC specifications (true) or uses legacy features (false).
    pub oidc_conformant: Option<bool>,
    /// An object that holds settings related to how JWTs are created.
    pub jwt_configuration: Option<JwtConfiguration>,
    /// The client's encryption key
    #[schemars(default)]
    pub encryption_key: Change<Object>,
    /// Applies only to SSO clients and determines whether Auth0 will handle Single Sign On (true) or whether the Identity Provider will (false).
    pub sso: Option<bool>,
    /// Whether this client can be used to make cross-origin authentication requests (true) or it is not allowed to make such requests (false).
    pub cross_origin_authentication: Option<bool>,
    /// URL of the location in your site where the cross origin verification takes place for the cross-origin auth flow when performing Auth in your own domain instead of Auth0 hosted login page.
    #[schemars(extend("format" = "absolute-uri-or-empty"))]
    #[schemars(default)]
    pub cross_origin_loc: Change<String>,
    /// `true` to disable Single Sign On, `false` otherwise (default: `false`)
    pub sso_disabled: Option<bool>,
    /// Whether a custom login page is to be used (true) or the default provided login page (false).
    pub custom_login_page_on: Option<bool>,
    /// The content (HTML, CSS, JS) of the custom login page.
    pub custom_login_page: Option<String>,
    /// The content (HTML, CSS, JS) of the custom login page. (Used on Previews)
    pub custom_login_page_preview: Option<String>,
    /// HTML form template to be used for WS-Federation.
    pub form_template: Option<String>,
    /// Addons enabled for this client and their associated configurations.
    #[schemars(default)]
    pub addons: Change<Object>,
    /// Metadata associated with the client, in the form of an object with string values (max 255 chars).  Maximum of 10 metadata properties allowed.  Field names (max 255 chars) are alphanumeric and may only include the following special characters:  :,-+=_*?"/\()<>@ [Tab] [Space]
    #[schemars(extend("maxProperties" = 10), extend("additionalProperties" = {"type": ["string", "null"], "maxLength": 255, "x-nullable": true}))]
    pub client_metadata: Option<Object>,
    /// Additional configuration for native mobile apps.
    pub mobile: Option<Object>,
    /// Initiate login uri, must be https
    #[schemars(extend("format" = "absolute-https-uri-with-placeholders-or-empty"))]
    pub initiate_login_uri: Option<String>,
    /// Configure native social settings
    #[schemars(default)]
    pub native_social_login: Change<Object>,
    /// Configure FedCM login settings
    #[schemars(default)]
    pub fedcm_login: Change<Object>,
    /// Refresh token configuration
    #[schemars(default)]
    pub refresh_token: Change<RefreshToken>,
    /// Defines the default Organization ID and flows
    #[schemars(default)]
    pub default_organization: Change<Object>,
    /// Defines how to proceed during an authentication transaction with regards an organization. Can be `deny` (default), `allow` or `require`.
    #[schemars(extend("enum" = ["deny", "allow", "require"]))]
    pub organization_usage: Option<String>,
    /// Defines how to proceed during an authentication transaction when `client.organization_usage: 'require'`. Can be `no_prompt` (default), `pre_login_prompt` or `post_login_prompt`. `post_login_prompt` requires `oidc_conformant: true`.
    #[schemars(extend("enum" = ["no_prompt", "pre_login_prompt", "post_login_prompt"]))]
    pub organization_require_behavior: Option<String>,
    /// Defines the available methods for organization discovery during the `pre_login_prompt`. Users can discover their organization either by `email`, `organization_name` or both.
    #[schemars(length(min = 1), inner(regex(pattern = "^(email|organization_name)$")))]
    pub organization_discovery_methods: Option<Vec<String>>,
    /// Defines client authentication methods.
    pub client_authentication_methods: Option<AuthenticationMethods>,
    /// Makes the use of Pushed Authorization Requests mandatory for this client
    pub require_pushed_authorization_requests: Option<bool>,
    /// Makes the use of Proof-of-Possession mandatory for this client
    pub require_proof_of_possession: Option<bool>,
    /// JWT-secured Authorization Requests (JAR) settings.
    pub signed_request_object: Option<SignedRequests>,
    /// Settings for the privileged access of the client to the token vault.
    pub token_vault_privileged_access: Option<Object>,
    /// Defines the compliance level for this client, which may restrict it's capabilities
    #[schemars(extend("enum" = ["none", "fapi1_adv_pkj_par", "fapi1_adv_mtls_par", "fapi2_sp_pkj_mtls", "fapi2_sp_mtls_mtls", null]))]
    #[schemars(default)]
    pub compliance_level: Change<String>,
    /// Controls whether a confirmation prompt is shown during login flows when the redirect URI uses non-verifiable callback URIs (for example, a custom URI schema such as `myapp://`, or `localhost`).
    pub skip_non_verifiable_callback_uri_confirmation_prompt: Option<bool>,
    /// Settings of the token exchange.
    pub token_exchange: Option<Object>,
    /// Specifies how long, in seconds, a Pushed Authorization Request URI remains valid
    #[schemars(range(min = 10, max = 600))]
    #[schemars(default)]
    pub par_request_expiry: Change<i64>,
    /// Quotas of tokens that the client may get.
    pub token_quota: Option<Object>,
    /// The identifier of the resource server that this client is linked to.
    #[schemars(length(min = 1, max = 600))]
    pub resource_server_identifier: Option<String>,
    /// Security mode for third-party clients. `strict` enforces enhanced security controls. `permissive` preserves the existing behavior.
    #[schemars(extend("enum" = ["strict", "permissive"]))]
    pub third_party_security_mode: Option<String>,
    /// Controls whether the redirection of errors to the callback is always allowed.
    #[schemars(extend("enum" = ["allow_always", "open_redirect_protection"]))]
    pub redirection_policy: Option<String>,
    /// Application specific configuration for use with the OIN Express Configuration feature.
    pub express_configuration: Option<Object>,
    /// Configuration of the My Organization API for this client.
    pub my_organization_configuration: Option<Object>,
    /// Settings of the identity assertion authorization grant.
    #[schemars(default)]
    pub identity_assertion_authorization_grant: Change<Object>,
    /// Array of notification channels for contacting the user when their approval is required. Valid values are `guardian-push`, `email`.
    #[schemars(length(min = 1), inner(regex(pattern = "^(guardian-push|email)$")))]
    pub async_approval_notification_channels: Option<Vec<String>>,
}

/// Back-channel logout.
#[derive(Deserialize, JsonSchema)]
pub struct BackchannelLogout {
    /// Comma-separated list of URLs that are valid to call back from Auth0 for OIDC backchannel logout. Currently only one URL is allowed.
    pub backchannel_logout_urls: Option<Vec<HttpsAddress>>,
    /// Configuration for OIDC backchannel logout initiators
    pub backchannel_logout_initiators: Option<LogoutInitiators>,
    /// Controls whether session metadata is included in the logout token. Default value is null.
    #[schemars(default)]
    pub backchannel_logout_session_metadata: Change<SessionMetadata>,
}

/// What ends a session that a client is told of.
#[derive(Deserialize, JsonSchema)]
pub struct LogoutInitiators {
    /// The `mode` property determines the configuration method for enabling initiators. `custom` enables only the initiators listed in the selected_initiators array, `all` enables all current and future initiators.
    #[schemars(extend("enum" = ["custom", "all"]))]
    pub mode: Option<String>,
    /// Contains the list of initiators to be enabled for the given client.
    #[schemars(extend("items" = {"type": "string", "enum": ["rp-logout", "idp-logout", "password-changed", "session-expired", "session-revoked", "account-deleted", "email-identifier-changed", "mfa-phone-unenrolled", "account-deactivated"]}))]
    pub selected_initiators: Option<Vec<String>>,
}

/// Whether what was noted of a session is told.
#[derive(Deserialize, JsonSchema)]
pub struct SessionMetadata {
    /// The `include` property determines whether session metadata is included in the logout token.
    pub include: Option<bool>,
}

/// How JWTs are made.
#[derive(Deserialize, JsonSchema)]
pub struct JwtConfiguration {
    /// Number of seconds the JWT will be valid for (affects `exp` claim).
    #[schemars(range(min = 0, max = 2_592_000))]
    pub lifetime_in_seconds: Option<i64>,
    /// Whether the client secret is base64 encoded (true) or unencoded (false).
    pub secret_encoded: Option<bool>,
    /// Configuration related to id token claims for the client.
    pub scopes: Option<Object>,
    /// Algorithm used to sign JWTs. Can be `HS256` or `RS256`. `PS256` available via addon.
    #[schemars(extend("enum" = ["HS256", "RS256", "RS512", "PS256", "ES256", "EdDSA"]))]
    pub alg: Option<String>,
}

/// Ways in which a client proves itself without a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationMethods {
    /// Defines `private_key_jwt` client authentication method. If this property is defined, the client is enabled to use the Private Key JWT authentication method.
    pub private_key_jwt: Option<Credentials>,
    /// Defines `tls_client_auth` client authentication method. If the property is defined, the client is configured to use CA-based mTLS authentication method.
    pub tls_client_auth: Option<Credentials>,
    /// Defines `self_signed_tls_client_auth` client authentication method. If the property is defined, the client is configured to use self-signed mTLS authentication method.
    pub self_signed_tls_client_auth: Option<Credentials>,
}

/// The credentials of one way.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Fully defined credentials, or the ids of present ones.
    #[schemars(length(max = 10))]
    pub credentials: Vec<Credential>,
}

/// JWT-secured authorization requests.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedRequests {
    /// Indicates whether the JAR requests are mandatory
    pub required: Option<bool>,
    /// Fully defined credentials, or the ids of present ones.
    #[schemars(length(max = 10))]
    pub credentials: Option<Vec<Credential>>,
}

/// A new credential, or the id of a present one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Credential ID
    #[schemars(regex(pattern = "^cred_[A-Za-z0-9]+$"), length(max = 64))]
    pub id: Option<String>,
    /// The type of credential.
    #[schemars(extend("enum" = ["public_key", "cert_subject_dn", "x509_cert"]))]
    pub credential_type: Option<String>,
    /// Friendly name for a credential.
    #[schemars(length(max = 128))]
    pub name: Option<String>,
    /// PEM-formatted public key or X509 certificate. Must be JSON escaped.
    #[schemars(length(min = 1, max = 4096))]
    pub pem: Option<String>,
    /// Subject Distinguished Name. Mutually exclusive with `pem` property.
    #[schemars(length(min = 1, max = 256))]
    pub subject_dn: Option<String>,
    /// Algorithm which will be used with the credential.
    #[schemars(extend("enum" = ["RS256", "RS384", "PS256"]))]
    pub alg: Option<String>,
    /// Parse expiry from x509 certificate.
    pub parse_expiry_from_cert: Option<bool>,
    /// The ISO 8601 formatted date representing the expiration of the credential.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// Optional kid (Key ID), used to uniquely identify the credential.
    #[schemars(regex(pattern = "^([0-9a-zA-Z-_]{10,64})$"))]
    pub kid: Option<String>,
}

/// How refresh tokens rotate and expire.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshToken {
    /// Refresh token rotation types, one of: non-rotating, rotating
    #[schemars(extend("enum" = ["rotating", "non-rotating"]))]
    pub rotation_type: String,
    /// Refresh token expiration types, one of: non-expiring, expiring
    #[schemars(extend("enum" = ["expiring", "non-expiring"]))]
    pub expiration_type: String,
    /// Period in seconds where the previous refresh token can be exchanged without triggering breach detection
    #[schemars(range(min = 0, max = 157_788_000))]
    pub leeway: Option<i64>,
    /// Period (in seconds) for which refresh tokens will remain valid
    #[schemars(range(min = 1, max = 157_788_000))]
    pub token_lifetime: Option<i64>,
    /// Prevents tokens from having a set lifetime when `true` (takes precedence over `token_lifetime` values)
    pub infinite_token_lifetime: Option<bool>,
    /// Period (in seconds) for which refresh tokens will remain valid without use
    #[schemars(range(min = 1, max = 157_788_000))]
    pub idle_token_lifetime: Option<i64>,
    /// Prevents tokens from expiring without use when `true` (takes precedence over `idle_token_lifetime` values)
    pub infinite_idle_token_lifetime: Option<bool>,
    /// A collection of policies governing multi-resource refresh token exchange (MRRT), defining how refresh tokens can be used across different resource servers
    #[schemars(default, length(min = 1))]
    pub policies: Change<Vec<RefreshTokenPolicy>>,
}

/// An API for which refresh tokens may be exchanged.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshTokenPolicy {
    /// The identifier of the resource server to which the Multi Resource Refresh Token Policy applies
    #[schemars(length(min = 1, max = 600))]
    pub audience: String,
    /// The resource server permissions granted under the Multi Resource Refresh Token Policy, defining the context in which an access token can be used
    #[schemars(inner(length(min = 1, max = 280)))]
    pub scope: Vec<String>,
}

/// The body of `PATCH /clients/{id}`: that of POST, with more that may be `null`.
pub struct UpdateClient;

/// What a PATCH may set to `null` and a POST may not.
const NULLABLE: [&str; 13] = [
    "async_approval_notification_channels",
    "client_authentication_methods",
    "express_configuration",
    "my_organization_configuration",
    "organization_discovery_methods",
    "organization_require_behavior",
    "organization_usage",
    "signed_request_object",
    "skip_non_verifiable_callback_uri_confirmation_prompt",
    "token_endpoint_auth_method",
    "token_exchange",
    "token_quota",
    "token_vault_privileged_access",
];

impl JsonSchema for UpdateClient {
    fn schema_name() -> Cow<'static, str> {
        "UpdateClient".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = patch_schema(CreateClient::json_schema(generator), &NULLABLE);
        schema.remove("minProperties");
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.shift_remove("resource_server_identifier");
            let secret = serde_json::json!({
                "type": "string", "minLength": 1, "maxLength": 512, "description": "The secret used to sign tokens for the client"
            });
            properties.insert("client_secret".into(), secret);
        }
        schema
    }
}
