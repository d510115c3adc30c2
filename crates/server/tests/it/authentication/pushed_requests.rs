//! Pushed authorization requests (RFC 9126, authentication contract §10).

use serde_json::json;

use crate::security::exchange::{Exchange, assert_refused, base64, grant_of};
use crate::security::{API, assert_page_error, assert_returned, claims, prepared, signed_in};
use crate::support::app::secret_of;
use crate::support::browser::CALLBACK;
use crate::support::client_key::{ClientKey, assertion_claims, keyed_client};
use crate::support::{Answer, Authorize, Browser, TestApp};

const PATH: &str = "/oauth/par";
const INVALID: &str = "The request_uri is unknown, expired or was used before";

pub(super) async fn pushing(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let on = json!({ "pushed_authorization_requests_supported": true });
    assert_eq!(app.admin().patch("/api/v2/tenants/settings", on).await.status, 200);
    app
}

pub(super) async fn push(app: &TestApp, request: &Authorize, more: &[(&str, &str)]) -> Answer {
    let encoded = request.encoded();
    let pairs: Vec<_> = url::form_urlencoded::parse(encoded.as_bytes()).into_owned().collect();
    let mut fields: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend(more);
    app.caller().form(PATH, &fields).await
}

#[track_caller]
pub(super) fn uri_of(answer: &Answer) -> String {
    assert_eq!((answer.status, &answer.body["expires_in"]), (201, &json!(30)), "{answer:?}");
    assert_eq!(
        (answer.header("content-type"), answer.header("cache-control")),
        ("application/json; charset=utf-8", "no-store")
    );
    let uri = answer.body["request_uri"].as_str().expect("is text").to_owned();
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:") && uri.len() > 70, "{uri}");
    uri
}

pub(super) async fn open(browser: &mut Browser, client: &str, uri: &str) -> Answer {
    let uri: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
    browser.get(&format!("/authorize?client_id={client}&request_uri={uri}")).await
}

both_databases! {
    async fn a_pushed_request_is_answered_once(app: TestApp) {
        let app = pushing(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("audience", API).with("scope", "openid read:a");
        let uri = uri_of(&push(&app, &request, &[("client_secret", &secret_of("web"))]).await);
        let answer = open(&mut alice, "web", &uri).await;
        assert_eq!(answer.param("state"), "st");
        let bought = grant_of(&Exchange::code("web", &answer.param("code")).send(&app).await);
        assert_eq!(claims(&bought.access_token)["scope"], "openid read:a");
        assert_page_error(&open(&mut alice, "web", &uri).await, 400, INVALID);
    }

    /// FAPI 2.0 Security Profile §5.3.2.2, note 3.
    async fn looking_at_the_sign_in_page_uses_nothing_up(app: TestApp) {
        let app = pushing(app).await;
        let uri = uri_of(&push(&app, &Authorize::code("web"), &[("client_secret", "web-secret")]).await);
        let mut first = crate::security::browser(&app);
        for _ in 0..2 {
            assert!(open(&mut first, "web", &uri).await.location().starts_with("/u/login?"));
        }
        // Two people at their sign-in pages with one request: whoever comes first is answered, though it took longer than it lives.
        let encoded: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
        let path = format!("/authorize?client_id=web&request_uri={encoded}");
        let mut second = crate::security::browser(&app);
        let waiting = second.get(&path).await.location().to_owned();
        let landed = first.sign_in(&path, "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        app.app.clock.advance(600);
        let late = second.sign_in(&waiting, "bob@example.com").await;
        assert_page_error(&late, 400, INVALID);
    }

    async fn a_sign_in_may_take_longer_than_a_pushed_request_lives(app: TestApp) {
        let app = pushing(app).await;
        let uri = uri_of(&push(&app, &Authorize::code("web"), &[("client_secret", "web-secret")]).await);
        let mut browser = crate::security::browser(&app);
        let waiting = open(&mut browser, "web", &uri).await.location().to_owned();
        app.app.clock.advance(1800);
        model::retention::sweep(&app.app).await.expect("sweeps");
        let landed = browser.sign_in(&waiting, "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn a_pushed_request_goes_through_a_sign_in(app: TestApp) {
        let app = pushing(app).await;
        let must = json!({ "require_pushed_authorization_requests": true });
        assert_eq!(app.admin().patch("/api/v2/clients/web", must).await.status, 200);
        let uri = uri_of(&push(&app, &Authorize::code("web"), &[("client_secret", &secret_of("web"))]).await);
        let mut browser = crate::security::browser(&app);
        let encoded: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
        let landed = browser.sign_in(&format!("/authorize?client_id=web&request_uri={encoded}"), "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        let plain = browser.get(&Authorize::code("web").path()).await;
        assert_returned(&plain, "invalid_request", "The client requires pushed authorization requests");
    }

    async fn a_request_uri_is_its_clients_and_ends(app: TestApp) {
        let app = pushing(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let pushed = async || uri_of(&push(&app, &Authorize::code("web"), &[("client_secret", "web-secret")]).await);
        let uri = pushed().await;
        for client in ["page", "nobody", ""] {
            assert_page_error(&open(&mut alice, client, &uri).await, 400, INVALID);
        }
        assert_page_error(&open(&mut alice, "web", &format!("{uri}x")).await, 400, INVALID);
        // What stands beside it counts for nothing.
        let encoded: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
        let beside = Authorize::code("web").with("redirect_uri", "https://evil.test/cb").with("state", "evil").encoded();
        let answer = alice.get(&format!("/authorize?{beside}&request_uri={encoded}")).await;
        assert!(answer.location().starts_with(CALLBACK) && answer.param("state") == "st", "{answer:?}");
        let uri = pushed().await;
        app.app.clock.advance(30);
        assert_page_error(&open(&mut alice, "web", &uri).await, 400, INVALID);
        let longer = json!({ "par_request_expiry": 60 });
        assert_eq!(app.admin().patch("/api/v2/clients/web", longer).await.status, 200);
        let answer = push(&app, &Authorize::code("web"), &[("client_secret", "web-secret")]).await;
        assert_eq!((answer.status, &answer.body["expires_in"]), (201, &json!(60)));
        app.app.clock.advance(59);
        let answer = open(&mut alice, "web", answer.body["request_uri"].as_str().expect("is text")).await;
        assert!(!answer.param("code").is_empty(), "{answer:?}");
    }

    async fn what_is_pushed_is_checked_and_its_client_proven(app: TestApp) {
        let app = prepared(app).await;
        let request = Authorize::code("web");
        let secret = ("client_secret", "web-secret");
        let off = push(&app, &request, &[secret]).await;
        assert_refused(&off, 404, "endpoint_disabled", "Pushed authorization requests are not enabled for the tenant");
        let app = { assert_eq!(app.admin().patch("/api/v2/tenants/settings", json!({ "pushed_authorization_requests_supported": true })).await.status, 200); app };
        for more in [vec![], vec![("client_secret", "wrong")]] {
            assert_refused(&push(&app, &request, &more).await, 401, "access_denied", "Unauthorized");
        }
        for (request, error, description) in [
            (request.with("redirect_uri", "https://evil.test/cb"), "invalid_request", "The provided redirect_uri is not in the list of allowed callback URLs."),
            (request.with("response_type", "x"), "unsupported_response_type", "Unsupported response type"),
            (request.without("response_type"), "invalid_request", "Missing required parameter: response_type"),
            (request.with("prompt", "none login"), "invalid_request", "prompt none must stand alone"),
            (request.with("audience", "urn:none"), "access_denied", "Service not found: urn:none"),
            (request.with("request_uri", "urn:x"), "invalid_request", "The request_uri parameter is not allowed here"),
            (request.with("login_hint", &"x".repeat(10_000)), "invalid_request", "The request is too long"),
        ] {
            assert_refused(&push(&app, &request, &[secret]).await, 400, error, description);
        }
        let twice = push(&app, &request, &[secret, ("state", "again")]).await;
        assert_refused(&twice, 400, "invalid_request", "Parameter state must not be repeated");
        // By HTTP Basic, without the client in the body; and by a public client, which proves nothing.
        let encoded = request.without("client_id").encoded();
        let basic = app.caller().with("authorization", &format!("Basic {}", base64("web:web-secret")));
        let answer = basic.send(axum::http::Method::POST, PATH, Some("application/x-www-form-urlencoded"), encoded).await;
        uri_of(&answer);
        uri_of(&push(&app, &Authorize::code("page"), &[]).await);
        let by_get = app.caller().get(PATH).await;
        assert_eq!(by_get.status, 405);
    }

    async fn an_assertion_proves_who_pushes(app: TestApp) {
        let app = pushing(app).await;
        keyed_client(&app, "keyed", json!({ "app_type": "regular_web", "callbacks": [CALLBACK] })).await;
        let assertion = ClientKey::number(0).assertion(&assertion_claims(&app, "keyed", "par"));
        let proof = [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", &*assertion)];
        let uri = uri_of(&push(&app, &Authorize::code("keyed"), &proof).await);
        let mut alice = signed_in(&app, "alice").await;
        assert!(!open(&mut alice, "keyed", &uri).await.param("code").is_empty());
        let again = push(&app, &Authorize::code("keyed"), &proof).await;
        assert_refused(&again, 401, "invalid_client", "The client assertion is not valid");
    }

    async fn a_tenant_may_want_every_request_pushed(app: TestApp) {
        let app = pushing(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let document = app.caller().get("/.well-known/openid-configuration").await.body;
        assert_eq!(document["pushed_authorization_request_endpoint"], "https://id.test/oauth/par");
        assert_eq!(document["require_pushed_authorization_requests"], false);
        let must = json!({ "require_pushed_authorization_requests": true });
        assert_eq!(app.admin().patch("/api/v2/doorward/protocol", must).await.status, 200);
        let document = app.caller().get("/.well-known/openid-configuration").await.body;
        assert_eq!(document["require_pushed_authorization_requests"], true);
        let plain = alice.get(&Authorize::code("web").path()).await;
        assert_returned(&plain, "invalid_request", "The client requires pushed authorization requests");
        let uri = uri_of(&push(&app, &Authorize::code("web"), &[("client_secret", "web-secret")]).await);
        assert!(!open(&mut alice, "web", &uri).await.param("code").is_empty());
    }
}

both_databases_at_once! {
    async fn of_many_uses_of_a_request_uri_one_is_answered(app: TestApp) {
        let app = pushing(app).await;
        let alice = signed_in(&app, "alice").await;
        let uri = uri_of(&push(&app, &Authorize::code("web"), &[("client_secret", "web-secret")]).await);
        let uses: Vec<_> = (0..16)
            .map(|_| {
                let (mut browser, uri) = (alice.clone(), uri.clone());
                tokio::spawn(async move { open(&mut browser, "web", &uri).await })
            })
            .collect();
        let mut answered = 0;
        for used in uses {
            let answer = used.await.expect("does not panic");
            if answer.status == 302 { answered += 1 } else { assert_page_error(&answer, 400, INVALID) }
        }
        assert_eq!(answered, 1);
    }
}
