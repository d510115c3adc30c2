//! Where an answer of ours may differ from the recorded one: rules about fields, each with its reason.

use super::exchange::Exchange;

/// The families that are replayed.
pub const FAMILIES: &[&str] = &[
    "users",
    "users-by-email",
    "clients",
    "connections",
    "resource-servers",
    "client-grants",
    "device-credentials",
    "grants",
    "logs",
    "tenants",
    "branding",
    "attack-protection",
    "user-blocks",
    "jobs",
    "guardian",
    "emails",
    "email-templates",
    "tickets",
    "roles",
    "sessions",
    "refresh-tokens",
    "log-streams",
];

/// What a rule lets pass at its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// An id that the service makes: of the same form here, and ever after the same one.
    Made,
    /// Another moment, written alike.
    Moment,
    /// Another value of the same type.
    Value,
    /// This number here in place of that one.
    Instead(u64, u64),
    /// A value of another type.
    Type,
    /// Another order.
    Order,
    /// A key that only our answer has.
    Extra,
    /// A key that only the recorded answer has.
    Missing,
}

/// When a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// The body went through a struct of the recorder's.
    Reencoded,
    /// The object is a connection to an upstream.
    Federated,
    /// The object is the client that stands for all applications.
    Global,
    /// The object is older than the recording.
    Restored,
    /// The recorded test repeats a write, and the copies were left out of the recording.
    WriteRepeated,
}

/// One accepted difference.
#[derive(Debug)]
pub struct Rule {
    /// Empty: of every family.
    pub families: &'static [&'static str],
    /// Paths inside the object, list wrappers left out: `refresh_token.leeway`, `identities[].user_id`. `*` at the end
    /// stands for any rest; `list.` precedes what is said about a list.
    pub fields: &'static [&'static str],
    pub accepts: Accept,
    pub when: When,
    pub because: &'static str,
}

impl Rule {
    /// Whether it speaks of this field.
    pub fn covers(&self, family: &str, field: &str) -> bool {
        let named = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => field.starts_with(start),
            None => field == *pattern,
        };
        (self.families.is_empty() || self.families.contains(&family)) && self.fields.iter().any(named)
    }
}

const fn rule(
    families: &'static [&'static str],
    fields: &'static [&'static str],
    accepts: Accept,
    because: &'static str,
) -> Rule {
    Rule { families, fields, accepts, when: When::Always, because }
}

impl Rule {
    const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }
}

/// Every accepted difference. A rule that explains nothing fails the test.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    rule(&["tickets"], &["ticket"], Accept::Value, "each link has a token of its own"),
    rule(&["users", "users-by-email"], &["user_id", "identities[].user_id"], Accept::Made, "each service makes its own ids"),
    rule(&["clients", "connections", "client-grants"], &["client_id"], Accept::Made, "each service makes its own ids"),
    rule(&["clients", "connections", "client-grants", "resource-servers", "jobs", "roles", "users"], &["id"], Accept::Made, "each service makes its own ids"),
    rule(&["log-streams"], &["id"], Accept::Made, "each service makes its own ids"),
    rule(&["log-streams"], &["sink.awsPartnerEventSource", "sink.azurePartnerTopic"], Accept::Value, "each service has a partner name of its own"),
    rule(&["log-streams"], &["isPriority"], Accept::Extra, "older recordings are from before there was priority"),
    rule(&["clients"], &["client_authentication_methods.*", "signed_request_object.*"], Accept::Made, "each service makes its own ids"),
    rule(&[], &["created_at", "updated_at", "deleted_at"], Accept::Moment, "the clock has moved on"),
    rule(&["clients"], &["client_authentication_methods.*"], Accept::Moment, "the clock has moved on"),
    rule(&[], &["list.total"], Accept::Value, "one tenant holds what the other does not: the client that sends the requests, what a new tenant begins with"),
    rule(&[], &["list.stranger"], Accept::Missing, "of what the recorded tenant held before no more was shown than an id"),
    rule(&["connections"], &["enabled_clients"], Accept::Order, "a set"),
    rule(&["connections"], &["enabled_clients"], Accept::Value,
        "new clients join the tenant's connections where its flag enable_client_connections says so; here they are enabled one by one").when(When::Restored),
    rule(&["attack-protection"], &["shields", "admin_notification_frequency", "stage.pre-user-registration.shields",
        "stage.pre-change-password.shields"], Accept::Order, "a set"),

    // What the recorders did.
    rule(&[], &["*"], Accept::Extra, "the recorder's struct drops what it does not know: a missing key proves nothing").when(When::Reencoded),
    rule(&["clients"], &["client_secret", "signing_keys"], Accept::Missing, "the recorder writes it into every body while it redacts").when(When::Reencoded),
    rule(&["clients"], &["custom_login_page"], Accept::Value, "set by a request whose copy was left out").when(When::WriteRepeated),
    rule(&["users"], &["list.item"], Accept::Missing, "given by a request whose copy was left out").when(When::WriteRepeated),
    rule(&["tenants"], &["change_password.html", "guardian_mfa_page.html"], Accept::Value, "set by a request whose copy was left out").when(When::WriteRepeated),

    // What the service did at other times.
    rule(&["connections"], &["DELETE status"], Accept::Instead(204, 202), "since 2025 a connection is deleted in the background"),
    rule(&["connections"], &["authentication", "connected_accounts"], Accept::Extra, "newer than some recordings"),
    rule(&["connections"], &["enabled_clients"], Accept::Extra, "the newest tenants answer it at /clients alone; older tools read it here"),
    rule(&["resource-servers"], &["subject_type_authorization"], Accept::Extra, "newer than some recordings"),
    rule(&["clients"], &["is_token_endpoint_ip_header_trusted", "oidc_conformant", "cross_origin_auth"], Accept::Missing,
        "told of the client for all applications where somebody once set them").when(When::Global),
    rule(&["tenants"], &["sandbox_versions_available"], Accept::Value, "what each service has"),
    rule(&["tenants"], &["acr_values_supported", "allowed_logout_urls", "default_audience", "default_directory", "ephemeral_session_lifetime",
        "idle_ephemeral_session_lifetime"], Accept::Extra, "told even when unset; older tenants leave it out until it is set"),
    rule(&["tenants"], &["client_id_metadata_document_supported"], Accept::Missing, "newer tenants tell it even when unset; documents as clients come later"),
    rule(&["tenants"], &["flags.cannot_change_enforce_client_authentication_on_passwordless_start",
        "flags.enforce_client_authentication_on_passwordless_start", "universal_login.identifier_first"], Accept::Missing,
        "older switches, told by PATCH and not by GET"),
    rule(&["tenants"], &["flags.cannot_change_enforce_client_authentication_on_passwordless_start",
        "flags.enforce_client_authentication_on_passwordless_start", "universal_login.identifier_first",
        "universal_login.is_custom_template_set", "universal_login.is_custom_theme_set"], Accept::Extra,
        "older switches, told by PATCH and not by GET"),
    rule(&["connections"], &["options.password_options"], Accept::Missing, "tenants differ in whether new databases have these or a passwordPolicy"),
    rule(&["connections"], &["options.passwordPolicy"], Accept::Extra, "tenants differ in whether new databases have these or a passwordPolicy"),
    rule(&["connections"], &["options.authentication_methods.email_otp", "options.authentication_methods.phone_otp"], Accept::Missing,
        "tenants differ in whether they are told before they are set"),
    rule(&["connections"], &["options.authentication_methods.email_otp", "options.authentication_methods.phone_otp"], Accept::Extra,
        "tenants differ in whether they are told before they are set"),
    rule(&["connections"], &["options.authentication_methods", "options.authentication_methods.password.*", "options.passkey_options"], Accept::Extra,
        "newer than some recordings"),
    rule(&["clients"], &["expires_at"], Accept::Missing, "older tenants tell null where a credential has no end"),
    rule(&["attack-protection"], &["stage.pre-custom-token-exchange"], Accept::Extra, "newer than some recordings"),

    rule(&["guardian"], &["ticket_id", "ticket_url"], Accept::Value, "each ticket is a secret of its own"),
    rule(&["users"], &["recovery_code"], Accept::Value, "each code is a secret of its own"),

    rule(&["roles"], &["type"], Accept::Extra, "newer than some recordings"),
    // What is not there yet.
    rule(&["clients"], &["signing_keys[].key"], Accept::Missing, "the tenant's private key is shown to nobody"),
    rule(&["resource-servers"], &["client_id"], Accept::Missing, "the client behind an API comes with the exchange of its tokens"),
    rule(&["connections"], &["provisioning_ticket_url", "options.*"], Accept::Missing, "what the service learns from an upstream comes with federation").when(When::Federated),
    rule(&["connections"], &["display_name", "options.*"], Accept::Extra, "what the service learns from an upstream comes with federation").when(When::Federated),
    rule(&["connections"], &["options.*"], Accept::Value, "what the service learns from an upstream comes with federation").when(When::Federated),
    rule(&["connections"], &["options.*"], Accept::Type, "what the service learns from an upstream comes with federation").when(When::Federated),
];

/// Exchanges that are not sent.
pub struct Exclusion {
    pub applies: fn(&Exchange) -> bool,
    pub because: &'static str,
}

/// Every reason not to send an exchange, but for [`UNMADE`].
pub const EXCLUSIONS: &[Exclusion] = &[
    Exclusion {
        applies: |exchange| exchange.response_body["errorCode"] == "insufficient_entitlement",
        because: "here nothing has to be bought",
    },
    Exclusion {
        applies: |exchange| {
            exchange.source_test.contains("LogStreamEventGrid")
                && exchange.response_body["type"] == "eventbridge"
        },
        because: "two streams were given one id when the recordings were made discreet",
    },
    Exclusion { applies: |exchange| exchange.hand_edited, because: "a person typed placeholder ids into it" },
    Exclusion {
        applies: |exchange| exchange.request_body["app_type"] == "express_configuration",
        because: "clients that configure an upstream's own catalogue of apps are not offered",
    },
    Exclusion {
        applies: |exchange| {
            exchange.status == 400 && !exchange.request_body["default_organization"].is_null()
        },
        because: "whether an organization is there is asked once there are organizations",
    },
    Exclusion {
        applies: |exchange| {
            let asked = ("type".to_owned(), "organization".to_owned());
            exchange.request_body["type"] == "organization" || exchange.query().contains(&asked)
        },
        because: "an organization's own roles come with organizations",
    },
];

/// The reason that follows from the others.
pub const UNMADE: &str = "it names what a request made that was not sent";
