//! HT-02: errors that tell a client what to do and an attacker nothing.

use axum::http::Method;
use serde_json::json;

use super::{BACK_ENDS, ENDPOINTS, PAGES, operations, routes};
use crate::support::{Answer, TestApp};

/// What an answer would only hold by mistake.
const LEAKS: [&str; 14] = [
    "axum",
    "hyper",
    "rustls",
    "tokio",
    "serde",
    "sqlite",
    "postgres",
    "SELECT ",
    "panicked",
    "/src/",
    ".rs:",
    "/root",
    "RUST_BACKTRACE",
    env!("CARGO_PKG_VERSION"),
];

/// Operations that take no body, and ignore one.
const BODILESS: &[&str] = &[
    "/signing/rotate",
    "/rotate-secret",
    "/revoke",
    "/invalidate-remember-browser",
    "/recovery-code-regeneration",
];

/// Operations whose body is an array: an empty one is well formed.
const ARRAYS: &[&str] = &["/guardian/policies", "/authentication-methods"];

fn assert_discreet(answer: &Answer, place: &str) {
    assert!(answer.status != 500 && answer.status < 600, "{place}: {} {}", answer.status, answer.text);
    if answer.status < 400 {
        return;
    }
    for leak in LEAKS {
        assert!(!answer.text.contains(leak), "{place} says {leak}: {}", answer.text);
    }
}

fn assert_json(answer: &Answer, place: &str) {
    assert!(
        answer.header("content-type").starts_with("application/json"),
        "{place}: {}",
        answer.header("content-type")
    );
    let management = place.contains("/api/v2");
    let keys = if management {
        ["statusCode", "error", "message"].as_slice()
    } else {
        &["error", "error_description"]
    };
    for key in keys {
        assert!(answer.body.get(key).is_some(), "{place}: {}", answer.text);
    }
}

both_databases! {
    async fn ht_02_an_unknown_path_is_answered_in_its_surfaces_shape(app: TestApp) {
        let caller = app.caller();
        let management = caller.with("accept", "text/html").get("/api/v2/nothing").await;
        assert_eq!((management.status, management.body), (404, json!({ "statusCode": 404, "error": "Not Found", "message": "Not Found" })));
        let oauth = caller.get("/oauth/nothing").await;
        assert_eq!((oauth.status, oauth.body), (404, json!({ "error": "not_found", "error_description": "Not Found" })));
        let page = caller.with("accept", "text/html,application/xhtml+xml").get("/nothing").await;
        assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
        assert!(page.text.contains("<h1>Page not found</h1>"), "{}", page.text);
        let program = caller.get("/nothing").await;
        assert_eq!((program.status, program.body["error"].as_str()), (404, Some("not_found")));
    }

    async fn ht_02_a_wrong_method_is_405_on_every_route(app: TestApp) {
        let known = routes();
        for (_, path) in &known {
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
                let exists = known.iter().any(|(other, same)| other == method && same == path);
                if exists || path.ends_with(".js") {
                    continue;
                }
                let answer = app.admin().send(method.clone(), path, None, String::new()).await;
                let place = format!("{method} {path}");
                assert_eq!(answer.status, 405, "{place}: {}", answer.text);
                assert_discreet(&answer, &place);
            }
        }
    }

    async fn ht_02_a_malformed_body_is_refused_on_every_route(app: TestApp) {
        let bodies = [
            ("application/json", "{"), ("application/json", "[]"), ("application/json", "\"x\""), ("application/json", "\u{0}"),
            ("application/json", "{\"a\":\"\\u0000\"}"), ("application/x-www-form-urlencoded", "%zz=%ff&a=%00"),
            ("application/x-www-form-urlencoded", "client_id=%ff"), ("text/plain", "x"), ("multipart/form-data", "x"), ("", "x"),
        ];
        let routes = PAGES.iter().chain(ENDPOINTS).chain(BACK_ENDS).map(|(method, path)| (method.clone(), (*path).to_owned())).chain(operations());
        for (method, path) in routes.filter(|(method, _)| *method != Method::GET && *method != Method::DELETE) {
            for (kind, body) in bodies {
                let kind = (!kind.is_empty()).then_some(kind);
                let answer = app.admin().send(method.clone(), &path, kind, body.to_owned()).await;
                let place = format!("{method} {path} with {body:?} as {kind:?}");
                assert_discreet(&answer, &place);
                if !PAGES.iter().any(|(_, page)| *page == path) {
                    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
                    let taken = answer.status < 300 && (ends(BODILESS) || body == "[]" && ends(ARRAYS));
                    assert!(taken || (400..500).contains(&answer.status), "{place}: {} {}", answer.status, answer.text);
                    if taken {
                        continue;
                    }
                    assert_json(&answer, &place);
                }
            }
        }
    }

    /// An unknown host learns nothing, not even which hosts there are.
    async fn ht_02_an_unknown_host_is_404_before_any_handler(app: TestApp) {
        for (method, path) in routes() {
            let answer = app.caller().with("host", "unknown.test").send(method.clone(), &path, None, String::new()).await;
            let place = format!("{method} {path}");
            assert_eq!(answer.status, 404, "{place}");
            assert!(!answer.text.contains(".test"), "{place}: {}", answer.text);
            assert!(!answer.has("strict-transport-security"), "{place}");
            assert_discreet(&answer, &place);
        }
    }
}
