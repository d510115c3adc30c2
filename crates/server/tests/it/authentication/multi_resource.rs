//! Refresh tokens that are exchanged for several APIs (MRRT; authentication contract §3.4).

use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of};
use crate::security::refresh::bought;
use crate::security::{API, claims, prepared, signed_in};
use crate::support::TestApp;

const NEXT: &str = "https://next.test/";
const ASKING: &str = "https://asking.test/";

/// `web` may use its refresh tokens for [`API`] with one scope more, for [`NEXT`], and, as far as it says, for what it must not.
async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    for (identifier, skips) in [(NEXT, true), (ASKING, false)] {
        let api = json!({
            "scopes": [{ "value": "read:b" }, { "value": "write:b" }], "skip_consent_for_verifiable_first_party_clients": skips,
        });
        app.add_api(identifier, api).await;
    }
    let policies = json!([
        { "audience": API, "scope": ["write:a"] },
        { "audience": NEXT, "scope": ["read:b", "write:b", "unknown"] },
        { "audience": ASKING, "scope": ["read:b"] },
        { "audience": app.tenant.management_audience(), "scope": ["read:current_user"] },
    ]);
    set(
        &app,
        json!({ "rotation_type": "non-rotating", "expiration_type": "non-expiring", "policies": policies }),
    )
    .await;
    app
}

async fn set(app: &TestApp, refresh_token: Value) {
    let patched = app.admin().patch("/api/v2/clients/web", json!({ "refresh_token": refresh_token })).await;
    assert_eq!(patched.status, 200, "{patched:?}");
}

both_databases! {
    async fn a_refresh_token_gives_what_the_policies_say(app: TestApp) {
        let app = ready(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let token = bought(&app, &mut alice, "web", "read:a", API).await.refresh_token;
        let ask = Exchange::refresh("web", &token);
        for (exchange, audience, scope) in [
            (ask.clone(), API, "openid offline_access read:a write:a"),
            (ask.with("audience", API), API, "openid offline_access read:a write:a"),
            (ask.with("scope", "read:a"), API, "read:a"),
            (ask.with("audience", NEXT), NEXT, "openid offline_access read:b write:b"),
            (ask.with("audience", NEXT).with("scope", "write:b read:a"), NEXT, "write:b"),
            (ask.clone(), API, "openid offline_access read:a write:a"),
        ] {
            let answer = exchange.send(&app).await;
            let issued = grant_of(&answer);
            let told = claims(&issued.access_token);
            let named = if told["aud"].is_array() { &told["aud"][0] } else { &told["aud"] };
            assert_eq!((named, issued.scope.as_str()), (&json!(audience), scope), "{exchange:?}");
            assert_eq!((&told["scope"], &told["sub"]), (&json!(scope), &json!("auth0|alice")));
            assert_eq!(answer.body.get("id_token").is_some(), scope.contains("openid"));
        }
    }

    async fn an_api_that_no_policy_opens_is_closed(app: TestApp) {
        let app = ready(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let token = bought(&app, &mut alice, "web", "read:a", API).await.refresh_token;
        let management = app.tenant.management_audience();
        for audience in ["https://unknown.test/", ASKING, &management] {
            let answer = Exchange::refresh("web", &token).with("audience", audience).send(&app).await;
            assert_refused(&answer, 403, "access_denied", &format!("Service not enabled within domain: {audience}"));
        }
        // Without policies the parameter is ignored, as it is for a stranger's app.
        set(&app, json!({ "rotation_type": "non-rotating", "expiration_type": "non-expiring" })).await;
        let answer = Exchange::refresh("web", &token).with("audience", NEXT).send(&app).await;
        assert_eq!(grant_of(&answer).scope, "openid offline_access read:a");
        for policies in [json!([]), json!([{ "audience": NEXT }]), json!([{ "audience": "", "scope": [] }]), json!([{ "audience": NEXT, "scope": [""] }])] {
            let body = json!({ "refresh_token": { "rotation_type": "non-rotating", "expiration_type": "non-expiring", "policies": policies } });
            let refused = app.admin().patch("/api/v2/clients/web", body).await;
            assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")), "{refused:?}");
        }
    }

    /// One lineage, whatever it is exchanged for: the token that was replaced ends it.
    async fn a_token_that_rotates_does_so_for_every_api(app: TestApp) {
        let app = ready(app).await;
        let policies = json!([{ "audience": NEXT, "scope": ["read:b"] }]);
        set(&app, json!({ "rotation_type": "rotating", "expiration_type": "expiring", "policies": policies })).await;
        let mut alice = signed_in(&app, "alice").await;
        let first = bought(&app, &mut alice, "web", "read:a", API).await.refresh_token;
        let second = grant_of(&Exchange::refresh("web", &first).with("audience", NEXT).send(&app).await);
        assert_eq!(second.scope, "openid offline_access read:b");
        let third = grant_of(&Exchange::refresh("web", &second.refresh_token).send(&app).await);
        assert_eq!(third.scope, "openid offline_access read:a");
        let dead = Exchange::refresh("web", &first).with("audience", NEXT).send(&app).await;
        assert_refused(&dead, 403, "invalid_grant", "Unknown or invalid refresh token.");
        assert_eq!(Exchange::refresh("web", &third.refresh_token).send(&app).await.status, 403);
    }
}
