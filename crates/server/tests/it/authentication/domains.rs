//! A tenant at a further host: an issuer of its own, before the same users, clients and APIs (authentication contract, `ISS`).

use std::sync::Arc;

use db::Batch;
use model::tenants::{self, Tenant};
use serde_json::{Value, json};

use crate::security::{claims, prepared};
use crate::support::{Authorize, Browser, TestApp};

/// The tenant at `login.test`.
async fn further(app: &TestApp) -> Arc<Tenant> {
    let further = Tenant {
        host: "login.test".into(),
        issuer: "https://login.test/".into(),
        ..Tenant::clone(&app.tenant)
    };
    let mut batch = Batch::new();
    tenants::insert_domain(&mut batch, &further, app.app.clock.now());
    app.app.db.commit(batch).await.expect("a further host");
    Arc::new(further)
}

fn to_manage(app: &TestApp) -> Authorize {
    Authorize::new("page", "id_token token")
        .with("audience", &app.tenant.management_audience())
        .with("scope", "openid read:current_user")
}

both_databases! {
    async fn a_token_is_good_at_the_host_that_it_was_asked_for(app: TestApp) {
        let app = prepared(app).await;
        let further = further(&app).await;
        let mut alice = Browser::new(app.caller().at(&further));
        let landed = alice.sign_in(&to_manage(&app).path(), "alice@example.com").await;
        let (token, id_token) = (landed.param("access_token"), landed.param("id_token"));
        for token in [&token, &id_token] {
            assert_eq!(claims(token)["iss"], "https://login.test/", "{landed:?}");
        }
        assert!(claims(&token)["aud"].to_string().contains("\"https://id.test/api/v2/\""), "{}", claims(&token));
        let with_token = app.caller().with("authorization", &format!("Bearer {token}"));
        let own = "/api/v2/users/auth0%7Calice";
        assert_eq!(with_token.at(&further).get(own).await.body["email"], "alice@example.com");
        let elsewhere = with_token.get(own).await;
        assert_eq!((elsewhere.status, &elsewhere.body["message"]), (401, &json!("Invalid token")), "{elsewhere:?}");
        let told = with_token.at(&further).get("/userinfo").await;
        assert_eq!((told.status, &told.body["sub"]), (200, &json!("auth0|alice")), "{told:?}");
    }

    async fn each_host_describes_itself(app: TestApp) {
        let further = further(&app).await;
        for (tenant, host) in [(&app.tenant, "id.test"), (&further, "login.test")] {
            let at = |path: &str| format!("https://{host}/{path}");
            let told = app.caller().at(tenant).get("/.well-known/openid-configuration").await.body;
            for (name, path) in [
                ("issuer", ""),
                ("authorization_endpoint", "authorize"),
                ("token_endpoint", "oauth/token"),
                ("jwks_uri", ".well-known/jwks.json"),
            ] {
                assert_eq!(told[name], at(path), "{name}");
            }
        }
        let [one, other] = [&app.tenant, &further].map(|tenant| app.caller().at(tenant));
        let path = "/.well-known/jwks.json";
        assert_eq!(one.get(path).await.body, other.get(path).await.body, "the keys are the tenant's");
    }

    async fn a_machine_gets_the_issuer_of_the_host_that_it_asks(app: TestApp) {
        let further = further(&app).await;
        let made = app.admin().post("/api/v2/client-grants", json!({
            "client_id": "m2m", "audience": app.tenant.management_audience(), "scope": ["read:users"]
        })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let ask = async |tenant: &Arc<Tenant>, audience: String| {
            let body = json!({ "grant_type": "client_credentials", "client_id": "m2m",
                "client_secret": crate::support::app::secret_of("m2m"), "audience": audience });
            app.caller().at(tenant).post("/oauth/token", body).await
        };
        let bought = ask(&further, app.tenant.management_audience()).await;
        let token = bought.body["access_token"].as_str().unwrap_or_else(|| panic!("{}", bought.text));
        let told = claims(token);
        assert_eq!((&told["iss"], &told["aud"]), (&json!("https://login.test/"), &json!("https://id.test/api/v2/")));
        let unknown = ask(&further, "https://login.test/api/v2/".to_owned()).await;
        assert_eq!((unknown.status, &unknown.body["error"]), (403, &Value::from("access_denied")), "{unknown:?}");
    }
}
