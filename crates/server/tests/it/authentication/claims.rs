//! Which claims a scope gives.

use model::users::NewUser;
use serde_json::{Map, Value, json};

use crate::security::exchange::userinfo;
use crate::security::{browser, claims, prepared};
use crate::support::{Authorize, TestApp};

both_databases! {
    /// Besides the scopes of OpenID Connect those that are named after one claim (authentication contract §1.6).
    async fn a_scope_gives_its_claims_in_id_token_and_userinfo(app: TestApp) {
        let app = prepared(app).await;
        let whole = NewUser {
            user_id: Some("whole".into()),
            email: Some("whole@example.com".into()),
            email_verified: true,
            name: Some("Whole Person".into()),
            nickname: Some("whole".into()),
            given_name: Some("Whole".into()),
            family_name: Some("Person".into()),
            picture: Some("https://example.com/p.png".into()),
            ..NewUser::default()
        };
        app.add_user_with(whole).await;
        let now = "2026-01-01T12:00:00.000Z";
        let identity = json!([{ "connection": "Username-Password-Authentication", "user_id": "whole", "provider": "auth0", "isSocial": false }]);
        let mut person = browser(&app);
        for (scope, expected) in [
            ("", json!({})),
            ("name", json!({ "name": "Whole Person" })),
            ("given_name", json!({ "given_name": "Whole" })),
            ("family_name", json!({ "family_name": "Person" })),
            ("nickname", json!({ "nickname": "whole" })),
            ("picture", json!({ "picture": "https://example.com/p.png" })),
            ("email_verified", json!({ "email_verified": true })),
            ("created_at", json!({ "created_at": now })),
            ("identities", json!({ "identities": identity })),
            ("email", json!({ "email": "whole@example.com", "email_verified": true })),
            ("phone address", json!({})),
            ("profile", json!({
                "name": "Whole Person", "given_name": "Whole", "family_name": "Person", "nickname": "whole",
                "picture": "https://example.com/p.png", "updated_at": now,
            })),
        ] {
            let request = Authorize::new("page", "id_token token").with("scope", &format!("openid {scope}"));
            let landed = person.sign_in(&request.path(), "whole@example.com").await;
            let id_token = claims(&landed.param("id_token"));
            assert_eq!(&without_protocol(&id_token), expected.as_object().expect("an object"), "ID token: {scope}");
            let answer = userinfo(&app, &landed.param("access_token")).await;
            assert_eq!((answer.status, &answer.body["sub"]), (200, &json!("auth0|whole")));
            assert_eq!(&without_protocol(&answer.body), expected.as_object().expect("an object"), "userinfo: {scope}");
        }
    }
}

/// What is said of the user, and not of the token.
fn without_protocol(claims: &Value) -> Map<String, Value> {
    let protocol = ["iss", "aud", "iat", "exp", "sub", "sid", "nonce", "at_hash"];
    let claims = claims.as_object().expect("claims").clone();
    claims.into_iter().filter(|(name, _)| !protocol.contains(&name.as_str())).collect()
}
