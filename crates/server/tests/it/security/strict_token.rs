//! TK once more, where the specifications count: the same rules, with 400 and the errors of RFC 6749 §5.2 and RFC 8628 §3.5.

use serde_json::json;

use super::exchange::{Exchange, assert_refused, at_once, grant_of, userinfo};
use super::refresh::{add_rotating, bought};
use super::strict::{INVALID_CODE, INVALID_REFRESH, code, strict};
use super::token::{assert_takes_single_strings, mangle};
use super::{API, codes, signed_in};
use crate::authentication::device::{GRANT, begin, poll, ready};
use crate::support::{Answer, Authorize, TestApp};

#[track_caller]
fn assert_invalid(answer: &Answer, description: &str) {
    assert_refused(answer, 400, "invalid_grant", description);
}

both_databases_at_once! {
    async fn tk_02_of_many_redemptions_by_a_strict_client_one_succeeds(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for round in 0..5 {
            let request = Authorize::code("web").with("scope", "openid offline_access");
            let exchange = Exchange::code("web", &code(&mut alice, &request).await);
            let answers = at_once(&app, 32, &exchange).await;
            let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
            assert_eq!(won.len(), 1, "round {round}");
            lost.into_iter().for_each(|answer| assert_invalid(answer, INVALID_CODE));
            assert_eq!(userinfo(&app, &grant_of(won[0]).access_token).await.status, 401, "what the one bought is taken back");
        }
    }

    async fn tk_11_of_many_refreshes_by_a_strict_client_one_succeeds_at_most(app: TestApp) {
        let app = strict(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        for round in 0..5 {
            let first = bought(&app, &mut alice, "rotating", "read:a", API).await;
            let answers = at_once(&app, 16, &Exchange::refresh("rotating", &first.refresh_token)).await;
            let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
            assert!(won.len() <= 1, "round {round}: {} won", won.len());
            lost.into_iter().for_each(|answer| assert_invalid(answer, INVALID_REFRESH));
            for answer in won {
                let again = Exchange::refresh("rotating", &grant_of(answer).refresh_token).send(&app).await;
                assert_invalid(&again, INVALID_REFRESH);
            }
        }
    }
}

both_databases! {
    async fn tk_10_a_strict_leeway_forgives_the_last_token_alone(app: TestApp) {
        let app = strict(app).await;
        add_rotating(&app, "lenient", 5).await;
        let mut alice = signed_in(&app, "alice").await;
        let refresh = async |token: &str| Exchange::refresh("lenient", token).send(&app).await;
        let first = bought(&app, &mut alice, "lenient", "read:a", API).await;
        let second = grant_of(&refresh(&first.refresh_token).await);
        app.app.clock.advance(5);
        let sibling = grant_of(&refresh(&first.refresh_token).await);
        let third = grant_of(&refresh(&sibling.refresh_token).await);
        assert_invalid(&refresh(&first.refresh_token).await, INVALID_REFRESH);
        for token in [second, third] {
            assert_invalid(&refresh(&token.refresh_token).await, INVALID_REFRESH);
        }
    }

    async fn tk_13_a_strict_refresh_token_ends_with_what_it_stood_on(app: TestApp) {
        let app = strict(app).await;
        let admin = app.admin();
        for step in ["block", "delete", "password", "grants", "client"] {
            let client = format!("{step}-client");
            app.add_user(&format!("auth0|{step}")).await;
            add_rotating(&app, &client, 0).await;
            let mut browser = signed_in(&app, step).await;
            let tokens = bought(&app, &mut browser, &client, "read:a", API).await;
            let path = format!("/api/v2/users/auth0%7C{step}");
            let done = match step {
                "block" => admin.patch(&path, json!({ "blocked": true })).await,
                "delete" => admin.delete(&path).await,
                "password" => admin.patch(&path, json!({ "password": "Another-horse-9" })).await,
                "grants" => admin.delete(&format!("/api/v2/grants?user_id=auth0%7C{step}")).await,
                _ => admin.delete(&format!("/api/v2/clients/{client}")).await,
            };
            assert!([200, 204].contains(&done.status), "{step}: {done:?}");
            let refused = Exchange::refresh(&client, &tokens.refresh_token).send(&app).await;
            match step {
                "client" => assert_refused(&refused, 401, "invalid_client", "Unauthorized"),
                _ => assert_invalid(&refused, INVALID_REFRESH),
            }
        }
    }

    async fn tk_14_a_mangled_token_or_body_is_refused_to_a_strict_client(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("scope", "openid offline_access");
        let whole = code(&mut alice, &request).await;
        let before = codes(&app).await;
        for mangled in mangle(&whole) {
            assert_invalid(&Exchange::code("web", &mangled).send(&app).await, INVALID_CODE);
        }
        assert_takes_single_strings(&app, &whole).await;
        assert_eq!(codes(&app).await, before, "the code is as it was");
        let own = grant_of(&Exchange::code("web", &whole).send(&app).await);
        for mangled in mangle(&own.refresh_token) {
            assert_invalid(&Exchange::refresh("web", &mangled).send(&app).await, INVALID_REFRESH);
        }
        for mangled in mangle(&own.access_token) {
            assert_eq!(userinfo(&app, &mangled).await.status, 401, "{mangled}");
        }
        assert_eq!(Exchange::refresh("web", &own.refresh_token).send(&app).await.status, 200);
    }

    async fn tk_15_a_strict_device_polls_at_its_pace_with_its_own_code_and_not_for_ever(app: TestApp) {
        let app = ready(app).await;
        assert_eq!(app.admin().patch("/api/v2/doorward/protocol", json!({ "strict": true })).await.status, 200);
        let (device_code, _) = begin(&app).await;
        let error = |answer: Answer| (answer.status, answer.body["error"].as_str().unwrap_or_default().to_owned());
        let told = |error: &str| (400, error.to_owned());
        assert_eq!(error(poll(&app, &device_code).await), told("authorization_pending"));
        assert_eq!(error(poll(&app, &device_code).await), told("slow_down"));
        app.app.clock.advance(5);
        let foreign = Exchange::new("box", GRANT).without("client_secret").with("device_code", &device_code).send(&app).await;
        assert_eq!(error(foreign), told("invalid_grant"));
        for mangled in [&device_code[1..], "x", &format!("{device_code}A")] {
            assert_eq!(error(poll(&app, mangled).await), told("invalid_grant"));
        }
        app.app.clock.advance(895);
        assert_eq!(error(poll(&app, &device_code).await), told("expired_token"));
        assert_eq!(error(poll(&app, &device_code).await), told("invalid_grant"));
    }
}
