//! The bodies of the PATCH operations. The comments on the fields are the published descriptions.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::texts::NetworkAddress;

/// The body of `PATCH /attack-protection/brute-force-protection`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateBruteForce {
    /// Whether or not brute force attack protections are active.
    pub enabled: Option<bool>,
    /// Action to take when a brute force protection threshold is violated. Possible values: `block`, `user_notification`.
    #[schemars(length(max = 2))]
    pub shields: Option<Vec<BruteForceShield>>,
    /// List of trusted IP addresses that will not have attack protection enforced against them.
    #[schemars(length(max = 100))]
    pub allowlist: Option<Vec<NetworkAddress>>,
    /// Account Lockout: Determines whether or not IP address is used when counting failed attempts. Possible values: `count_per_identifier_and_ip`, `count_per_identifier`.
    #[schemars(extend("enum" = ["count_per_identifier_and_ip", "count_per_identifier"]))]
    pub mode: Option<String>,
    /// Maximum number of unsuccessful attempts.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
}

/// The body of `PATCH /attack-protection/suspicious-ip-throttling`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateSuspiciousIp {
    /// Whether or not suspicious IP throttling attack protections are active.
    pub enabled: Option<bool>,
    /// Action to take when a suspicious IP throttling threshold is violated. Possible values: `block`, `admin_notification`.
    #[schemars(length(max = 2))]
    pub shields: Option<Vec<Shield>>,
    /// List of trusted IP addresses that will not have attack protection enforced against them.
    #[schemars(length(max = 100))]
    pub allowlist: Option<Vec<NetworkAddress>>,
    /// Holds per-stage configuration options (max_attempts and rate).
    pub stage: Option<Stages>,
}

/// What is counted apart.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stages {
    /// Configuration options that apply before every login attempt.
    pub pre_login: Option<PreLogin>,
    /// Configuration options that apply before every user registration attempt.
    pub pre_user_registration: Option<PreUserRegistration>,
    /// Configuration options that apply before every custom token exchange attempt.
    pub pre_custom_token_exchange: Option<PreCustomTokenExchange>,
}

/// Failed logins.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreLogin {
    /// Total number of attempts allowed per day.
    #[schemars(range(min = 1, max = 2500))]
    pub max_attempts: Option<u32>,
    /// Interval of time, given in milliseconds, at which new attempts are granted.
    #[schemars(range(min = 34_560, max = 86_400_000))]
    pub rate: Option<i64>,
}

/// Sign-ups.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreUserRegistration {
    /// Total number of attempts allowed.
    #[schemars(range(min = 1, max = 72_000))]
    pub max_attempts: Option<u32>,
    /// Interval of time, given in milliseconds, at which new attempts are granted.
    #[schemars(range(min = 1200, max = 86_400_000))]
    pub rate: Option<i64>,
}

/// Exchanges of tokens.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreCustomTokenExchange {
    /// Total number of attempts allowed.
    #[schemars(range(min = 1, max = 72_000))]
    pub max_attempts: Option<u32>,
    /// Interval of time, given in milliseconds, at which new attempts are granted.
    #[schemars(range(min = 1200, max = 86_400_000))]
    pub rate: Option<i64>,
}

/// The body of `PATCH /attack-protection/breached-password-detection`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateBreachedPasswords {
    /// Whether or not breached password detection is active.
    pub enabled: Option<bool>,
    /// Action to take when a breached password is detected during a login. Possible values: `block`, `user_notification`, `admin_notification`.
    #[schemars(length(max = 3))]
    pub shields: Option<Vec<LoginShield>>,
    /// When "admin_notification" is enabled, determines how often email notifications are sent. Possible values: `immediately`, `daily`, `weekly`, `monthly`.
    #[schemars(length(max = 4))]
    pub admin_notification_frequency: Option<Vec<Frequency>>,
    /// The subscription level for breached password detection methods. Use "enhanced" to enable Credential Guard. Possible values: `standard`, `enhanced`.
    #[schemars(extend("enum" = ["standard", "enhanced"]))]
    pub method: Option<String>,
    /// Holds per-stage configuration options.
    pub stage: Option<BreachStages>,
}

/// Where passwords are looked up besides the login.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BreachStages {
    /// Sign-up.
    pub pre_user_registration: Option<BreachStage>,
    /// A password that its owner changes.
    pub pre_change_password: Option<BreachStage>,
}

/// What is done there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreachStage {
    /// Action to take when a breached password is detected. Possible values: `block`, `admin_notification`.
    #[schemars(length(max = 2))]
    pub shields: Option<Vec<Shield>>,
}

/// The body of `PATCH /attack-protection/bot-detection`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateBotDetection {
    /// The level of bot detection sensitivity
    #[schemars(extend("enum" = ["low", "medium", "high"]))]
    pub bot_detection_level: Option<String>,
    /// The policy that defines how often to show CAPTCHA
    #[schemars(extend("enum" = ["never", "when_risky", "always"]))]
    pub challenge_password_policy: Option<String>,
    /// The policy that defines how often to show CAPTCHA
    #[schemars(extend("enum" = ["never", "when_risky", "always"]))]
    pub challenge_passwordless_policy: Option<String>,
    /// The policy that defines how often to show CAPTCHA
    #[schemars(extend("enum" = ["never", "when_risky", "always"]))]
    pub challenge_password_reset_policy: Option<String>,
    /// List of IP addresses or CIDR blocks to allowlist
    #[schemars(length(max = 100))]
    pub allowlist: Option<Vec<NetworkAddress>>,
    /// Whether monitoring mode is enabled (logs but does not block)
    pub monitoring_mode_enabled: Option<bool>,
}

/// The body of `PATCH /attack-protection/captcha`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateCaptcha {
    /// The id of the active provider for the CAPTCHA.
    #[schemars(length(max = 36), extend("enum" = ["arkose", "auth_challenge", "friendly_captcha", "hcaptcha", "recaptcha_v2",
        "recaptcha_enterprise", "simple_captcha"]))]
    pub active_provider_id: Option<String>,
    /// Arkose.
    pub arkose: Option<Arkose>,
    /// Auth Challenge.
    pub auth_challenge: Option<AuthChallenge>,
    /// hCaptcha.
    pub hcaptcha: Option<SiteAndSecret>,
    /// Friendly Captcha.
    pub friendly_captcha: Option<SiteAndSecret>,
    /// reCAPTCHA Enterprise.
    pub recaptcha_enterprise: Option<RecaptchaEnterprise>,
    /// reCAPTCHA v2.
    pub recaptcha_v2: Option<SiteAndSecret>,
    /// The built-in one, which has no settings.
    pub simple_captcha: Option<Map<String, Value>>,
}

/// A provider with a key and a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteAndSecret {
    /// The site key for the captcha provider.
    #[schemars(length(max = 100))]
    pub site_key: String,
    /// The secret key for the captcha provider.
    #[schemars(length(max = 100))]
    pub secret: String,
}

/// reCAPTCHA Enterprise.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecaptchaEnterprise {
    /// The site key for the captcha provider.
    #[schemars(length(max = 100))]
    pub site_key: String,
    /// The API key for the captcha provider.
    #[schemars(length(max = 100))]
    pub api_key: String,
    /// The project ID for the captcha provider.
    #[schemars(length(max = 100))]
    pub project_id: String,
}

/// Arkose.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arkose {
    /// The site key for the captcha provider.
    #[schemars(length(max = 100))]
    pub site_key: String,
    /// The secret key for the captcha provider.
    #[schemars(length(max = 100))]
    pub secret: String,
    /// The subdomain used for client requests.
    #[schemars(length(max = 100))]
    pub client_subdomain: Option<String>,
    /// The subdomain used for server-side verification requests.
    #[schemars(length(max = 100))]
    pub verify_subdomain: Option<String>,
    /// Whether the captcha should fail open.
    pub fail_open: Option<bool>,
}

/// Auth Challenge.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthChallenge {
    /// Whether the auth challenge should fail open.
    pub fail_open: bool,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $words:tt;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Deserialize, JsonSchema)]
            #[serde(transparent)]
            #[schemars(inline, extend("enum" = $words))]
            pub struct $name(pub String);
        )*
    };
}

words! {
    /// What is done about guesses for one account.
    BruteForceShield, ["block", "user_notification"];
    /// What is done about an address, and about a leaked password before it is in use.
    Shield, ["block", "admin_notification"];
    /// What is done about a leaked password at a login.
    LoginShield, ["block", "user_notification", "admin_notification"];
    /// How often administrators are told.
    Frequency, ["immediately", "daily", "weekly", "monthly"];
}
