//! What the service fills into a new connection, by strategy (management contract §4.2).

use serde_json::{Map, Value as Json, json};

/// Strategies whose users belong to an organization's own directory.
const ENTERPRISE: [&str; 10] =
    ["ad", "adfs", "auth0-adldap", "google-apps", "ip", "office365", "oidc", "okta", "pingfederate", "samlp"];

/// The fields beside `options` of a connection for which nothing but a name and a strategy is known.
pub(super) fn connection(name: &str, strategy: &str) -> Map<String, Json> {
    let mut fields = object(json!({ "is_domain_connection": false }));
    if ENTERPRISE.contains(&strategy) || strategy == "waad" {
        fields.insert("show_as_button".into(), false.into());
    }
    if !["sms", "email", "ad"].contains(&strategy) {
        fields.insert("authentication".into(), json!({ "active": true }));
        fields.insert("connected_accounts".into(), json!({ "active": false }));
    }
    if ["waad", "okta", "oidc"].contains(&strategy) {
        fields.insert("display_name".into(), name.into());
    }
    fields.insert("enabled_clients".into(), json!([]));
    fields.insert("realms".into(), json!([name]));
    fields
}

/// The given options of a new connection over those of its strategy.
pub(super) fn options(strategy: &str, given: &Map<String, Json>) -> Map<String, Json> {
    let mut options = on_creation(strategy);
    // The newer way to say how strong passwords must be takes the place of the older.
    if given.contains_key("password_options") {
        options.shift_remove("passwordPolicy");
    }
    options.append(&mut patched_options(strategy, given));
    options
}

/// The options that a PATCH gives over those that the strategy always has.
pub(super) fn patched_options(strategy: &str, given: &Map<String, Json>) -> Map<String, Json> {
    let mut options = always(strategy);
    options.append(&mut given.clone());
    if strategy == "auth0" {
        for (option, whole) in inside() {
            if let Some(option) = given.contains_key(option).then(|| options.get_mut(option)).flatten() {
                fill(option, &whole);
            }
        }
        if let Some(email) = options.get_mut("attributes").and_then(|attributes| attributes.get_mut("email"))
        {
            fill(email, &json!({ "verification_method": "link", "unique": true }));
        }
    }
    options
}

/// What is filled into a database's options of several parts where only some are given.
fn inside() -> [(&'static str, Json); 2] {
    let off = json!({ "enabled": false });
    [
        (
            "authentication_methods",
            json!({ "password": password(), "passkey": off, "email_otp": off, "phone_otp": off }),
        ),
        (
            "password_options",
            json!({
                "complexity": {
                    "character_type_rule": "all",
                    "identical_characters": "allow",
                    "sequential_characters": "allow",
                    "max_length_exceeded": "error",
                    "min_length": 15,
                    "character_types": []
                },
                "profile_data": {
                    "active": false,
                    "blocked_fields": [
                        "name",
                        "username",
                        "nickname",
                        "email",
                        "phone_number",
                        "user_metadata.name",
                        "user_metadata.first",
                        "user_metadata.last"
                    ]
                },
                "history": { "active": false, "size": 3 },
                "dictionary": { "active": false, "custom": [], "default": "en_100k" }
            }),
        ),
    ]
}

/// How people sign in with passwords.
fn password() -> Json {
    json!({ "enabled": true, "api_behavior": "required", "signup_behavior": "allow" })
}

/// Adds what is absent, inside objects too.
fn fill(value: &mut Json, whole: &Json) {
    if let (Json::Object(value), Json::Object(whole)) = (value, whole) {
        for (key, part) in whole {
            match value.get_mut(key) {
                Some(given) => fill(given, part),
                None => {
                    value.insert(key.clone(), part.clone());
                }
            }
        }
    }
}

/// What only a new connection gets.
fn on_creation(strategy: &str) -> Map<String, Json> {
    object(match strategy {
        "auth0" => json!({
            "mfa": { "active": true, "return_enroll_settings": true },
            "passwordPolicy": "good",
            "strategy_version": 2
        }),
        "sms" | "email" | "ad" => json!({ "brute_force_protection": true }),
        "okta" => json!({ "type": "back_channel" }),
        "oidc" => json!({ "type": "front_channel" }),
        "waad" => json!({ "useCommonEndpoint": false }),
        _ => json!({}),
    })
}

/// What a connection has even when a PATCH leaves it out.
fn always(strategy: &str) -> Map<String, Json> {
    object(match strategy {
        "auth0" => json!({
            "authentication_methods": { "password": password(), "passkey": { "enabled": false } },
            "passkey_options": {
                "challenge_ui": "both",
                "progressive_enrollment_enabled": true,
                "local_enrollment_enabled": true
            },
            "brute_force_protection": true
        }),
        "google-oauth2" | "google-apps" => {
            json!({ "email": true, "profile": true, "scope": ["email", "profile"] })
        }
        "facebook" => json!({ "scope": "" }),
        "github" | "salesforce" | "salesforce-community" => json!({ "scope": [] }),
        "linkedin" => json!({ "profile": true, "scope": ["r_basicprofile"] }),
        "windowslive" => json!({ "signin": true, "scope": ["wl.signin"] }),
        "wordpress" => json!({ "profile": true }),
        "line" => json!({ "profile": true, "scope": ["openid", "profile"] }),
        "oidc" | "okta" => json!({
            "schema_version": "oidc-V4",
            "attribute_map": { "mapping_mode": if strategy == "oidc" { "bind_all" } else { "basic_profile" } },
            "connection_settings": { "pkce": "auto" }
        }),
        _ => json!({}),
    })
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(object) => object,
        other => unreachable!("{other} is written as an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_goes_over_the_defaults() {
        let given = object(json!({ "passwordPolicy": "low", "disable_signup": true }));
        let options = options("auth0", &given);
        assert_eq!(
            (&options["passwordPolicy"], &options["disable_signup"], &options["brute_force_protection"]),
            (&json!("low"), &json!(true), &json!(true))
        );
    }

    #[test]
    fn a_patch_gets_less_than_a_new_connection() {
        assert_eq!(
            Json::Object(patched_options(
                "okta",
                &object(json!({ "client_id": "x", "type": "front_channel" }))
            )),
            json!({
                "schema_version": "oidc-V4",
                "attribute_map": { "mapping_mode": "basic_profile" },
                "connection_settings": { "pkce": "auto" },
                "client_id": "x",
                "type": "front_channel"
            })
        );
        assert_eq!(patched_options("sms", &Map::new()), Map::new());
        let database = patched_options("auth0", &Map::new());
        assert_eq!(
            database.keys().collect::<Vec<_>>(),
            ["authentication_methods", "passkey_options", "brute_force_protection"]
        );
    }

    #[test]
    fn the_newer_password_options_stand_alone() {
        let given = object(json!({ "password_options": { "complexity": { "min_length": 15 } } }));
        assert!(!options("auth0", &given).contains_key("passwordPolicy"));
    }

    /// Recorded: `terraform:TestAccConnectionPasswordAuthenticationBehaviors` and others.
    #[test]
    fn parts_that_are_not_given_are_filled_in() {
        let given = object(json!({
            "authentication_methods": { "password": { "enabled": true, "api_behavior": "optional" } },
            "attributes": { "email": { "verification_method": "otp" }, "username": {} },
            "password_options": { "history": { "active": true } }
        }));
        let options = Json::Object(patched_options("auth0", &given));
        assert_eq!(
            options["authentication_methods"],
            json!({
                "password": { "enabled": true, "api_behavior": "optional", "signup_behavior": "allow" },
                "passkey": { "enabled": false },
                "email_otp": { "enabled": false },
                "phone_otp": { "enabled": false }
            })
        );
        assert_eq!(
            options["attributes"],
            json!({ "email": { "verification_method": "otp", "unique": true }, "username": {} })
        );
        assert_eq!(options["password_options"]["history"], json!({ "active": true, "size": 3 }));
        assert_eq!(options["password_options"]["complexity"]["min_length"], 15);
        assert!(patched_options("auth0", &Map::new()).get("password_options").is_none());
    }

    #[test]
    fn a_connection_is_filled_in_by_strategy() {
        assert_eq!(
            Json::Object(connection("okta-1", "okta")),
            json!({
                "is_domain_connection": false,
                "show_as_button": false,
                "authentication": { "active": true },
                "connected_accounts": { "active": false },
                "display_name": "okta-1",
                "enabled_clients": [],
                "realms": ["okta-1"]
            })
        );
        assert_eq!(
            Json::Object(connection("sms", "sms")),
            json!({ "is_domain_connection": false, "enabled_clients": [], "realms": ["sms"] })
        );
    }
}
