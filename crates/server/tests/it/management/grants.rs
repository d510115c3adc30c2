//! What users consented to (management contract §4.16).

use model::grants::{self, Grant};
use serde_json::{Value, json};

use super::sign_ins::{ALL, SignIn};
use crate::support::TestApp;

const API: &str = "https://api.test/";

/// A consent to the client.
async fn consent(app: &TestApp, user: &str, client: &str, audience: &str) -> Grant {
    let mut batch = db::Batch::new();
    let whose = (&user.into(), &client.into(), audience);
    let grant = grants::grow(&mut batch, &app.app, &app.tenant.id, whose, None, &["openid", "email"]);
    app.app.db.commit(batch).await.unwrap();
    grant
}

fn ids(answer: &Value) -> Vec<&str> {
    let mut ids: Vec<_> =
        answer.as_array().unwrap().iter().map(|grant| grant["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

both_databases! {
    async fn consents_are_listed_in_their_shapes_and_by_what_is_asked(app: TestApp) {
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
        }
        let alice = consent(&app, "auth0|alice", "spa", API).await;
        let elsewhere = consent(&app, "auth0|alice", "m2m", "").await;
        let bob = consent(&app, "auth0|bob", "spa", API).await;
        let admin = app.machine("read:grants");
        let item = json!({ "id": alice.id, "clientID": "spa", "user_id": "auth0|alice", "audience": API, "scope": ["openid", "email"] });
        let get = async |query: &str| admin.get(&format!("/api/v2/grants?{query}")).await.body;

        assert_eq!(ids(&get("").await).len(), 3);
        assert_eq!(get("user_id=auth0%7Calice&audience=https%3A%2F%2Fapi.test%2F").await, json!([item]));
        assert_eq!(ids(&get("user_id=auth0%7Cbob").await), [bob.id.as_str()]);
        assert_eq!(ids(&get("client_id=m2m").await), [elsewhere.id.as_str()]);
        // `take` and `from` mean nothing here, though SDKs send them.
        let all_five = "user_id=auth0%7Calice&client_id=spa&page=0&per_page=50&include_totals=true&take=50&from=";
        assert_eq!(get(all_five).await, json!({ "total": 1, "start": 0, "limit": 50, "grants": [item] }));
        let last = get("page=1&per_page=2&include_totals=true").await;
        assert_eq!((&last["total"], &last["start"], ids(&last["grants"]).len()), (&json!(3), &json!(2), 1));
        assert_eq!(admin.at(&app.other).claiming("iss", "https://other.test/").claiming("aud", "https://other.test/api/v2/")
            .claiming("azp", "m2m").get("/api/v2/grants").await.status, 401);
    }

    async fn a_withdrawn_consent_ends_what_came_of_it_and_nothing_else(app: TestApp) {
        app.add_user("auth0|alice").await;
        let with_api = consent(&app, "auth0|alice", "spa", API).await;
        let alone = consent(&app, "auth0|alice", "spa", "").await;
        let (for_api, for_none) = (SignIn::of(&app, "auth0|alice", API).await, SignIn::of(&app, "auth0|alice", "").await);
        let admin = app.machine("delete:grants read:grants");

        for _ in 0..2 {
            let answer = admin.delete(&format!("/api/v2/grants/{}", with_api.id)).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        }
        // The session is the user's, and opaque tokens are for no API.
        assert_eq!((for_api.working(&app).await, for_none.working(&app).await), ([true, false, false, true], ALL));
        assert_eq!(ids(&admin.get("/api/v2/grants").await.body), [alone.id.as_str()]);

        assert_eq!(admin.delete(&format!("/api/v2/grants/{}", alone.id)).await.status, 204);
        assert_eq!(for_none.working(&app).await, [true, false, false, false]);
        assert_eq!(admin.get("/api/v2/grants").await.body, json!([]));
        let writes = app.events().await.into_iter().filter(|kind| kind == "sapi").count();
        assert_eq!(writes, 3);
    }

    async fn all_consents_of_a_user_are_withdrawn_together(app: TestApp) {
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
        }
        consent(&app, "auth0|alice", "spa", API).await;
        consent(&app, "auth0|alice", "m2m", "").await;
        let kept = consent(&app, "auth0|bob", "spa", API).await;
        let (alice, bob) = (SignIn::of(&app, "auth0|alice", API).await, SignIn::of(&app, "auth0|bob", API).await);
        let admin = app.machine("delete:grants read:grants");
        assert_eq!(admin.delete("/api/v2/grants?user_id=auth0%7Calice").await.status, 204);
        assert_eq!((alice.working(&app).await, bob.working(&app).await), ([true, false, false, false], ALL));
        assert_eq!(ids(&admin.get("/api/v2/grants").await.body), [kept.id.as_str()]);
    }

    async fn what_is_not_a_question_about_consents_is_refused(app: TestApp) {
        let admin = app.admin();
        for (query, problem) in [
            ("per_page=0", "Value 0 is less than minimum 1' on property per_page."),
            ("per_page=101", "Value 101 is greater than maximum 100' on property per_page (Number of results per page.)."),
            ("client=spa", "Additional properties not allowed: client'."),
        ] {
            let answer = admin.get(&format!("/api/v2/grants?{query}")).await;
            let body = json!({ "statusCode": 400, "error": "Bad Request", "errorCode": "invalid_query_string",
                "message": format!("Query validation error: '{problem}") });
            assert_eq!((answer.status, answer.body), (400, body), "{query}");
        }
        // Without its owner's name, nobody's consents are withdrawn.
        let nobody = admin.delete("/api/v2/grants").await;
        assert_eq!(nobody.body["message"], "Query validation error: 'Missing required property: user_id'.");
        let scope = app.machine("read:users").delete("/api/v2/grants?user_id=auth0%7Calice").await;
        assert_eq!((scope.status, scope.body["message"].as_str()), (403, Some("Insufficient scope, expected any of: delete:grants")));
    }
}
