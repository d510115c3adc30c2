//! HT-05: forwarded headers count from a named proxy alone.

use server::peer::Proxies;

use crate::support::engine::Engine;
use crate::support::{Caller, TestApp};

const FORGED: [(&str, &str); 5] = [
    ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "other.test"),
    ("x-forwarded-port", "8080"),
    ("x-forwarded-for", "198.51.100.7"),
    ("forwarded", "for=198.51.100.7;host=other.test;proto=http"),
];

fn forged(caller: Caller) -> Caller {
    FORGED.iter().fold(caller, |caller, (name, value)| caller.with(name, value))
}

/// The address that the audit log holds for the caller.
async fn logged_ip(app: &TestApp, caller: &Caller) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "m2m"),
        ("client_secret", "m2m-secret"),
        ("audience", "https://none.test/"),
    ];
    let refused = caller.form("/oauth/token", &form).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    app.app.audit.flush().await;
    let sql = "SELECT ip FROM logs ORDER BY id DESC LIMIT 1";
    let mut row = app.app.db.read_one(sql, vec![]).await.expect("reads").expect("an event");
    row.take::<String>().expect("an address")
}

fn proxied(only: bool) -> Proxies {
    Proxies { trusted: ["10.0.0.0/8".parse().expect("is a network")].into(), only, ..Proxies::default() }
}

both_databases! {
    async fn ht_05_a_strangers_forwarded_headers_change_nothing(app: TestApp) {
        app.add_client("web", serde_json::json!({ "app_type": "spa", "callbacks": ["https://app.test/cb"] })).await;
        let authorize = "/authorize?client_id=web&response_type=token&redirect_uri=https%3A%2F%2Fapp.test%2Fcb&state=s";
        for caller in [app.caller(), forged(app.caller())] {
            let metadata = caller.get("/.well-known/openid-configuration").await;
            assert_eq!(metadata.body["issuer"], "https://id.test/");
            let started = caller.get(authorize).await;
            assert_eq!(started.status, 302, "{}", started.text);
            assert!(started.location().starts_with("/u/login?state="), "{}", started.location());
            assert!(started.header("set-cookie").contains("; Secure"), "{}", started.header("set-cookie"));
            assert!(!started.header("set-cookie").contains("Domain="), "{}", started.header("set-cookie"));
            assert_eq!(logged_ip(&app, &caller).await, "203.0.113.9");
        }
    }

    async fn ht_05_a_named_proxy_speaks_for_its_clients(engine: Engine) {
        let app = TestApp::with_proxies(engine, proxied(false)).await;
        let proxy = app.caller().from("10.1.2.3");
        let behind = proxy.with("x-forwarded-for", "198.51.100.1, 203.0.113.77").with("x-forwarded-host", "other.test");
        for _ in 0..2 {
            assert_eq!(behind.get("/.well-known/openid-configuration").await.body["issuer"], "https://other.test/");
            assert_eq!(proxy.get("/.well-known/openid-configuration").await.body["issuer"], "https://id.test/");
        }
        let behind = proxy.with("x-forwarded-for", "198.51.100.1, 203.0.113.77");
        assert_eq!(logged_ip(&app, &behind).await, "203.0.113.77");
        let stranger = app.caller().with("x-forwarded-for", "198.51.100.1").with("x-forwarded-host", "other.test");
        assert_eq!(stranger.get("/.well-known/openid-configuration").await.body["issuer"], "https://id.test/");
        assert_eq!(logged_ip(&app, &stranger).await, "203.0.113.9");
    }

    /// Plain HTTP is for the proxy: whoever comes past it is refused.
    async fn ht_05_plain_http_is_for_the_proxy_alone(engine: Engine) {
        let app = TestApp::with_proxies(engine, proxied(true)).await;
        let stranger = app.caller().get("/.well-known/openid-configuration").await;
        assert_eq!((stranger.status, stranger.body["error"].as_str()), (403, Some("invalid_request")));
        for _ in 0..2 {
            assert_eq!(app.caller().from("10.1.2.3").get("/.well-known/openid-configuration").await.status, 200);
            assert_eq!(app.caller().get("/.well-known/openid-configuration").await.status, 403, "whatever the proxy just got");
        }
    }
}
