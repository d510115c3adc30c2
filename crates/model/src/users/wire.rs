//! A user as the Management API answers them, and their OpenID Connect claims.

use serde_json::{Map, Value};

use super::User;

/// Claims of the `profile` scope that are kept as the provider sent them (OpenID Connect Core §5.4).
const FURTHER_PROFILE: [&str; 7] =
    ["middle_name", "preferred_username", "profile", "website", "gender", "birthdate", "zoneinfo"];

impl User {
    /// The body of `GET /users/{id}` (management contract §1.3): what is absent is left out, nothing is null. Neither a password nor a
    /// provider's token is ever part of it.
    pub fn to_wire(&self) -> Map<String, Value> {
        let mut wire = Object(Map::new());
        wire.put("blocked", self.blocked);
        wire.put("created_at", Some(self.created_at.iso()));
        wire.put("email", self.email.as_deref());
        wire.put("email_verified", self.email.as_ref().map(|_| self.email_verified));
        wire.put("family_name", self.family_name.as_deref());
        wire.put("given_name", self.given_name.as_deref());
        wire.put("identities", Some(self.identities_to_wire()));
        wire.put("name", self.name.as_deref());
        wire.put("nickname", self.nickname.as_deref());
        wire.put("phone_number", self.phone_number.as_deref());
        wire.put("phone_verified", self.phone_number.as_ref().map(|_| self.phone_verified));
        wire.put("picture", self.picture.as_deref());
        wire.put("updated_at", Some(self.updated_at.iso()));
        wire.put("user_id", Some(self.id.as_str()));
        wire.put("user_metadata", self.user_metadata.clone());
        wire.put("username", self.username.as_deref());
        // Recorded: emptied `user_metadata` comes back as `{}`, emptied `app_metadata` not at all.
        wire.put("app_metadata", self.app_metadata.clone().filter(|metadata| !metadata.is_empty()));
        wire.put("multifactor", (!self.multifactor.is_empty()).then(|| self.multifactor.clone()));
        wire.put("last_password_reset", self.last_password_reset.map(|moment| moment.iso()));
        wire.put("last_ip", self.last_ip.as_deref());
        wire.put("last_login", self.last_login.map(|moment| moment.iso()));
        wire.put("logins_count", Some(self.logins_count).filter(|count| *count > 0));
        for (claim, value) in self.profile.iter().flatten() {
            if !wire.0.contains_key(claim) {
                wire.0.insert(claim.clone(), value.clone());
            }
        }
        wire.0
    }

    /// The `identities` array, which linking and unlinking answer by itself.
    pub fn identities_to_wire(&self) -> Value {
        self.identities.iter().map(|identity| Value::Object(identity.to_wire())).collect()
    }

    /// The claims about the user that the granted scopes allow, for ID tokens and `/userinfo` (authentication contract §2.4).
    /// `sub` and the protocol's own claims are the caller's. `updated_at` is an ISO string, as recorded. The older scopes that are
    /// named after a claim (§1.6) give that one.
    pub fn claims(&self, granted: impl Fn(&str) -> bool) -> Map<String, Value> {
        let mut claims = Object(Map::new());
        let of_profile = [
            ("given_name", &self.given_name),
            ("family_name", &self.family_name),
            ("nickname", &self.nickname),
            ("name", &self.name),
            ("picture", &self.picture),
        ];
        for (claim, value) in of_profile {
            if granted("profile") || granted(claim) {
                claims.put(claim, value.as_deref());
            }
        }
        if granted("profile") {
            for claim in FURTHER_PROFILE.into_iter().chain(["locale"]) {
                claims.put(claim, self.further(claim));
            }
            claims.put("updated_at", Some(self.updated_at.iso()));
        }
        if granted("email") {
            claims.put("email", self.email.as_deref());
        }
        if (granted("email") || granted("email_verified")) && self.email.is_some() {
            claims.put("email_verified", Some(self.email_verified));
        }
        if granted("phone") && self.phone_number.is_some() {
            claims.put("phone_number", self.phone_number.as_deref());
            claims.put("phone_number_verified", Some(self.phone_verified));
        }
        if granted("address") {
            claims.put("address", self.further("address"));
        }
        if granted("created_at") {
            claims.put("created_at", Some(self.created_at.iso()));
        }
        if granted("identities") {
            claims.put("identities", Some(self.identities_to_wire()));
        }
        claims.0
    }

    fn further(&self, claim: &str) -> Option<Value> {
        self.profile.as_ref()?.get(claim).cloned()
    }
}

struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::users::fixture::chuck;

    /// Recorded: `go-auth0:TestGuardian/Enrollment/CreateTicket`, key order included.
    #[test]
    fn a_user_is_answered_as_recorded() {
        let text = Value::Object(chuck().to_wire()).to_string();
        assert_eq!(
            text,
            concat!(
                r#"{"blocked":false,"created_at":"2023-01-25T19:00:26.539Z","email":"chuck878@example.com","email_verified":true,"#,
                r#""family_name":"Sanchez","given_name":"Chuck","identities":[{"connection":"Username-Password-Authentication","#,
                r#""user_id":"63d17c4a9d503d76c056c160","provider":"auth0","isSocial":false}],"name":"chuck878@example.com","#,
                r#""nickname":"Chucky","picture":"https://example-picture-url.jpg","updated_at":"2023-01-25T19:00:26.539Z","#,
                r#""user_id":"auth0|63d17c4a9d503d76c056c160","user_metadata":{"favourite_attack":"roundhouse_kick"},"#,
                r#""username":"test-user636","app_metadata":{"facts":["count_to_infinity_twice"]}}"#,
            )
        );
    }

    #[test]
    fn what_happened_is_answered_once_it_has() {
        let mut user = chuck();
        user.logins_count = 2;
        user.last_ip = Some("192.0.2.7".into());
        user.last_login = Some(Timestamp::from_millis(0));
        user.last_password_reset = Some(Timestamp::from_millis(1));
        user.multifactor = vec!["guardian".into()];
        user.app_metadata = Some(Map::new());
        user.user_metadata = Some(Map::new());
        let wire = user.to_wire();
        assert_eq!(wire["logins_count"], json!(2));
        assert_eq!(wire["last_ip"], json!("192.0.2.7"));
        assert_eq!(wire["last_login"], json!("1970-01-01T00:00:00.000Z"));
        assert_eq!(wire["last_password_reset"], json!("1970-01-01T00:00:00.001Z"));
        assert_eq!(wire["multifactor"], json!(["guardian"]));
        assert_eq!(wire["user_metadata"], json!({}));
        assert!(!wire.contains_key("app_metadata"));
    }

    #[test]
    fn a_provider_cannot_overwrite_an_attribute_by_a_claim_of_its_name() {
        let mut user = chuck();
        user.profile =
            json!({"user_id": "auth0|other", "email": "x@y.z", "locale": "de"}).as_object().cloned();
        let wire = user.to_wire();
        assert_eq!(
            (&wire["user_id"], &wire["locale"]),
            (&json!("auth0|63d17c4a9d503d76c056c160"), &json!("de"))
        );
        assert_eq!(wire["email"], json!("chuck878@example.com"));
    }

    #[test]
    fn claims_follow_the_granted_scopes() {
        let user = chuck();
        let of = |scopes: &[&str]| Value::Object(user.claims(|scope| scopes.contains(&scope))).to_string();
        assert_eq!(of(&["openid"]), "{}");
        assert_eq!(of(&["email"]), r#"{"email":"chuck878@example.com","email_verified":true}"#);
        assert_eq!(
            of(&["profile", "email", "phone", "address"]),
            concat!(
                r#"{"given_name":"Chuck","family_name":"Sanchez","nickname":"Chucky","name":"chuck878@example.com","#,
                r#""picture":"https://example-picture-url.jpg","updated_at":"2023-01-25T19:00:26.539Z","#,
                r#""email":"chuck878@example.com","email_verified":true}"#
            )
        );
        for (scope, value) in [
            ("name", r#""chuck878@example.com""#),
            ("given_name", r#""Chuck""#),
            ("family_name", r#""Sanchez""#),
            ("nickname", r#""Chucky""#),
            ("picture", r#""https://example-picture-url.jpg""#),
            ("email_verified", "true"),
            ("created_at", r#""2023-01-25T19:00:26.539Z""#),
        ] {
            assert_eq!(of(&["openid", scope]), format!("{{\"{scope}\":{value}}}"));
        }
        assert!(
            of(&["identities"])
                .starts_with(r#"{"identities":[{"connection":"Username-Password-Authentication","#)
        );
    }
}
