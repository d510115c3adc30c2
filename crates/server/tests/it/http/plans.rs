//! Rates of a tenant by plan, with Auth0's headers.

use management::{Limits, Plan};
use serde_json::json;
use server::peer::Proxies;
use server::router;
use server::router::Front;

use crate::support::{Caller, TestApp};

fn planned(app: &TestApp, plan: Plan) -> Front {
    let limits = Limits { plan, ..Limits::default() };
    router::layered(app.app.clone(), Proxies::default(), limits, |routes| routes)
}

fn at(router: &Front, mut caller: Caller) -> Caller {
    caller.set_router(router.clone());
    caller
}

both_databases! {
    /// Without a plan nothing is limited, and nothing is told.
    async fn without_a_plan_a_tenant_is_not_limited(app: TestApp) {
        let admin = app.machine("read:clients");
        for _ in 0..120 {
            let answer = admin.get("/api/v2/clients").await;
            assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, "999"));
            let keys = app.caller().get("/.well-known/jwks.json").await;
            assert_eq!((keys.status, keys.has("x-ratelimit-limit")), (200, false));
        }
    }

    async fn machines_share_their_tenants_rate_and_people_have_their_own(app: TestApp) {
        app.add_user("auth0|alice").await;
        let free = planned(&app, Plan::Free);
        let admin = at(&free, app.machine("read:clients"));
        for left in ["1", "0"] {
            let answer = admin.get("/api/v2/clients").await;
            assert_eq!((answer.status, answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), (200, "2", left));
        }
        let refused = admin.get("/api/v2/clients").await;
        let body = json!({ "statusCode": 429, "error": "Too Many Requests", "message": "Global limit has been reached",
            "errorCode": "too_many_requests" });
        assert_eq!((refused.status, refused.body), (429, body));
        assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
        assert_eq!(refused.headers["retry-after"], "1");
        let alice = at(&free, app.token("auth0|alice", "read:current_user"));
        assert_eq!(alice.get("/api/v2/users/auth0%7Calice").await.status, 200);
        let elsewhere = at(&free, app.machine("read:clients").at(&app.other));
        assert_ne!(elsewhere.get("/api/v2/clients").await.status, 429, "another tenant has its own");
        app.app.clock.advance(1);
        assert_eq!(admin.get("/api/v2/clients").await.status, 200);
    }

    async fn everything_else_shares_another_rate(app: TestApp) {
        let caller = at(&planned(&app, Plan::Essentials), app.caller());
        for left in (0..25).rev() {
            let answer = caller.get("/.well-known/jwks.json").await;
            assert_eq!((answer.status, answer.header("x-ratelimit-limit")), (200, "25"));
            assert_eq!(answer.header("x-ratelimit-remaining"), left.to_string());
        }
        let refused = caller.form("/oauth/token", &[("grant_type", "client_credentials")]).await;
        let body = json!({ "error": "too_many_requests", "error_description": "Global limit has been reached" });
        assert_eq!((refused.status, &refused.body), (429, &body));
        let now = app.app.clock.now().seconds();
        assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-reset")), ("1", (now + 1).to_string().as_str()));
        let page = caller.with("accept", "text/html").get("/authorize").await;
        assert_eq!((page.status, page.header("content-type")), (429, "text/html; charset=utf-8"));
        assert_eq!(caller.get("/account/").await.status, 200, "files cost nothing");
        assert_eq!(caller.clone().at(&app.other).get("/.well-known/jwks.json").await.status, 200);
        app.app.clock.advance(1);
        assert_eq!(caller.get("/.well-known/jwks.json").await.status, 200);
    }
}
