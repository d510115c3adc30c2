//! HT-06: what is too large or malformed, over a real socket.

use std::time::Duration;

use axum::http::Method;
use management::Limits;
use server::metrics::Metrics;
use server::peer::Proxies;
use server::router;

use crate::support::TestApp;
use crate::support::socket::Socket;

fn status(answer: &str) -> u16 {
    let line = answer.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    line[..3].parse().expect("a status")
}

both_databases! {
    async fn ht_06_oversized_requests_are_refused(app: TestApp) {
        let socket = Socket::open(app.router.clone()).await;
        let ask = async |start: &str, headers: &str| {
            let request = format!("{start} HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\n{headers}\r\n");
            status(&socket.raw(request.as_bytes()).await)
        };
        assert_eq!(ask("GET /.well-known/jwks.json", "").await, 200);
        assert_eq!(ask("GET /.well-known/jwks.json", &format!("x: {}\r\n", "a".repeat(64 * 1024))).await, 431);
        assert_eq!(ask("GET /.well-known/jwks.json", &"x: y\r\n".repeat(1_000)).await, 431);
        assert_eq!(ask(&format!("GET /{}", "a".repeat(100 * 1024)), "").await, 414);
        assert_eq!(ask(&format!("GET /authorize?state={}", "a".repeat(20 * 1024)), "").await, 414);
        assert_eq!(ask("POST /oauth/token", "content-length: 10000000\r\n").await, 413);
        assert_eq!(ask("GET /%zz", "").await, 400);
        assert_eq!(ask("GET /api/v2/users/%ff", "").await, 400);
        assert_eq!(ask("GET /authorize?state=%ff%fe", "").await, 400);
        assert_eq!(ask("GET /api/v2/users?q=%", "").await, 400);
        assert_eq!(ask("GET /u/login?state=%00", "").await, 400);
        socket.stop().await;
    }

    /// A raw `|` is what auth0.js sends: it is no malformed path.
    async fn ht_06_a_raw_bar_in_the_path_is_accepted(app: TestApp) {
        app.add_user("auth0|alice").await;
        let token = app.token("auth0|alice", "read:current_user").bearer().await;
        let socket = Socket::open(app.router.clone()).await;
        for id in ["auth0|alice", "auth0%7Calice"] {
            let request = format!("GET /api/v2/users/{id} HTTP/1.1\r\nhost: id.test\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
            let answer = socket.raw(request.as_bytes()).await;
            assert_eq!(status(&answer), 200, "{answer}");
            assert!(answer.contains("\"user_id\":\"auth0|alice\""), "{answer}");
        }
        socket.stop().await;
    }

    /// What no browser sends is answered like anything else, never by a 5xx.
    async fn ht_06_unusual_requests_are_answered(app: TestApp) {
        let socket = Socket::open(app.router.clone()).await;
        for (head, expected) in [
            ("OPTIONS * HTTP/1.1\r\nhost: id.test", 404),
            ("CONNECT id.test:443 HTTP/1.1\r\nhost: id.test:443", 404),
            ("GET https://id.test/.well-known/jwks.json HTTP/1.1\r\nhost: id.test", 200),
            ("GET https://unknown.test/.well-known/jwks.json HTTP/1.1\r\nhost: id.test", 404),
            ("GET //id.test/.well-known/jwks.json HTTP/1.1\r\nhost: id.test", 404),
            ("HEAD /.well-known/jwks.json HTTP/1.1\r\nhost: ID.TEST:443", 200),
            ("BREW /authorize HTTP/1.1\r\nhost: id.test", 405),
            ("GET /.well-known/jwks.json HTTP/1.1", 400),
            ("GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test\r\nhost: other.test", 400),
            ("GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test/x", 400),
            ("GET /../../etc/passwd HTTP/1.1\r\nhost: id.test", 404),
            ("GET /account/%2e%2e/%2e%2e/Cargo.toml HTTP/1.1\r\nhost: id.test", 404),
        ] {
            let answer = socket.raw(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await;
            assert_eq!(status(&answer), expected, "{head}: {answer}");
        }
        socket.stop().await;
    }

    async fn ht_06_malformed_forms_are_refused(app: TestApp) {
        for path in ["/oauth/token", "/oauth/revoke", "/authorize", "/u/login"] {
            for body in ["%zz", "client_id=%ff", "client_id=%00", "grant_type=%C3%28"] {
                let kind = Some("application/x-www-form-urlencoded");
                let answer = app.caller().send(Method::POST, path, kind, body.to_owned()).await;
                assert!((400..500).contains(&answer.status), "{path} {body}: {} {}", answer.status, answer.text);
            }
        }
    }

    /// A body longer than it said, or of unknown length, is cut off where the limit is.
    async fn ht_06_a_body_without_a_length_is_limited(app: TestApp) {
        let socket = Socket::open(app.router.clone()).await;
        let mut request = b"POST /oauth/token HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let chunk = [b"10000\r\n".as_slice(), &[b'a'; 0x10000], b"\r\n"].concat();
        request.extend(chunk.repeat(20));
        request.extend(b"0\r\n\r\n");
        let answer = socket.raw(&request).await;
        assert_eq!(status(&answer), 413, "{answer}");
        // In the shape of the endpoint's other refusals.
        assert!(answer.contains("application/json") && answer.contains("\"error\""), "{answer}");
        let broken = "POST /oauth/token HTTP/1.1\r\nhost: id.test\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n";
        let answer = socket.raw(broken.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{answer}");
        assert!(answer.contains("application/json") && answer.contains("\"error\""), "{answer}");
        socket.stop().await;
    }

    /// Who sends no more of a body than its beginning is answered with all that an answer has, and counted.
    async fn ht_06_a_body_that_never_comes_is_answered_and_counted(app: TestApp) {
        let (metrics, patience) = (Metrics::default(), Duration::from_millis(200));
        let bounds = (metrics.clone(), patience);
        let router = router::counted(app.app.clone(), Proxies::default(), Limits::default(), bounds, |routes| routes);
        let socket = Socket::open(router).await;
        let begun = "POST /oauth/token HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\ncontent-length: 100\r\n\r\na";
        let answer = socket.raw(begun.as_bytes()).await;
        assert_eq!(status(&answer), 503, "{answer}");
        for header in ["x-request-id: ", "x-content-type-options: nosniff", "cache-control: no-store", "retry-after: 1"] {
            assert!(answer.contains(header), "{header}: {answer}");
        }
        let counted = metrics.text(&app.app);
        let line = counted.lines().find(|line| line.starts_with("doorward_requests_total") && line.contains("/oauth/token"));
        assert!(line.is_some_and(|line| line.contains("5xx") && line.ends_with(" 1")), "{line:?}");
        socket.stop().await;
    }
}
