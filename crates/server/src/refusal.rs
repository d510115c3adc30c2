//! Answers that no handler gives: unknown hosts and paths, wrong methods, oversized and malformed requests, panics.
//! Each surface gets the shape its clients parse, and none learns a version, a path on disk or a cause (HT-02).

use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde_json::json;

/// A refusal: its status and a sentence for whoever reads it.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    status: StatusCode,
    message: &'static str,
}

/// The error shape of a surface (authentication contract §0.4, management contract §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"statusCode","error","message"[,"errorCode"]}`: everything under `/api/v2`.
    Management,
    /// `{"error","error_description"}`: the endpoints that programs call.
    OAuth,
    /// `{"type","title","status","detail"}`: everything under `/me/`.
    MyAccount,
    /// HTML, for a person.
    Page,
}

impl Shape {
    /// The shape of answers to `request`: by path where a surface owns it, else by `Accept`.
    pub fn of(request: &Request) -> Self {
        const PROGRAMS: [&str; 7] = [
            "/oauth/",
            "/userinfo",
            "/.well-known/",
            "/mfa/",
            "/dbconnections/",
            "/passwordless/",
            "/passkey/",
        ];
        const PEOPLE: [&str; 7] = ["/authorize", "/u/", "/v2/", "/oidc/", "/account", "/login", "/dev"];
        let path = request.uri().path();
        if path == "/api/v2" || path.starts_with("/api/") {
            return Self::Management;
        }
        if path.starts_with("/me/") {
            return Self::MyAccount;
        }
        if PROGRAMS.iter().any(|prefix| path.starts_with(prefix)) {
            return Self::OAuth;
        }
        let accepts_html =
            request.headers().get_all(ACCEPT).iter().any(|accept| contains(accept, "text/html"));
        let navigates =
            request.method() == Method::GET && PEOPLE.iter().any(|prefix| path.starts_with(prefix));
        if accepts_html || navigates { Self::Page } else { Self::OAuth }
    }
}

impl Shape {
    /// The answer as it is, or in this shape where the framework gave it, in plain text, for a body that it could not read.
    pub fn of_unread_body(self, response: Response) -> Response {
        let refused = match response.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large.")
            }
            StatusCode::BAD_REQUEST => {
                Refusal::new(StatusCode::BAD_REQUEST, "The request body cannot be read.")
            }
            _ => return response,
        };
        let plain = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/plain");
        match response.headers().get(CONTENT_TYPE).is_some_and(plain) {
            true => refused.render(self),
            false => response,
        }
    }
}

impl Refusal {
    /// No such host, path or file.
    pub const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "Not Found");
    /// The path exists, the method does not.
    pub const METHOD: Self = Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    /// A defect of ours; the cause is in the log.
    pub const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error");
    /// The database does not answer; worth another try.
    pub const UNAVAILABLE: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable");

    /// A refusal with its own sentence.
    pub const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to `request`, in its surface's shape.
    pub fn answer(self, request: &Request) -> Response {
        self.render(Shape::of(request))
    }

    /// The answer in `shape`.
    pub fn render(self, shape: Shape) -> Response {
        let mut response = match shape {
            Shape::Management => self.management(),
            Shape::OAuth => self.oauth(),
            Shape::MyAccount => self.problem(),
            Shape::Page => self.page(),
        };
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn management(self) -> Response {
        let mut body = json!({
            "statusCode": self.status.as_u16(),
            "error": self.status.canonical_reason().unwrap_or("Error"),
            "message": self.message,
        });
        if matches!(self.status, StatusCode::BAD_REQUEST | StatusCode::URI_TOO_LONG) {
            body["errorCode"] = "invalid_uri".into();
        }
        (self.status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
    }

    fn problem(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.message });
        (self.status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
    }

    fn oauth(self) -> Response {
        let error = match self.status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        let body = json!({ "error": error, "error_description": self.message });
        (self.status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
    }

    fn page(self) -> Response {
        let (title, advice) = match self.status {
            StatusCode::NOT_FOUND => {
                ("Page not found", "Check the address, or go back to the app you came from.")
            }
            StatusCode::TOO_MANY_REQUESTS => ("Too many requests", "Please try again in a moment."),
            status if status.is_server_error() => {
                ("Something went wrong", "It is not your doing. Please try again in a moment.")
            }
            _ => ("This request cannot be answered", "Go back to the app you came from and try again."),
        };
        let body = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
             <style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{advice}</p></main></body></html>"
        );
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, PAGE_POLICY.clone()),
        ];
        (self.status, headers, body).into_response()
    }
}

const STYLE: &str = ":root{color-scheme:light dark}\
    body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center}\
    main{max-width:400px;padding:24px}h1{font-size:24px;margin:0 0 8px}p{margin:0}";

static PAGE_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(model::seal::digest(STYLE));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'");
    HeaderValue::from_str(&policy).expect("base64 is a header value")
});

fn contains(value: &HeaderValue, part: &str) -> bool {
    value.to_str().is_ok_and(|value| value.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn shape(method: &str, path: &str, accept: &str) -> Shape {
        let request = Request::builder().method(method).uri(path).header(ACCEPT, accept);
        Shape::of(&request.body(Body::empty()).expect("is a request"))
    }

    #[test]
    fn a_path_decides_before_accept() {
        assert_eq!(shape("GET", "/api/v2/nothing", "text/html"), Shape::Management);
        assert_eq!(shape("POST", "/oauth/token", "text/html"), Shape::OAuth);
        assert_eq!(shape("GET", "/me/v1/nothing", "text/html"), Shape::MyAccount);
        assert_eq!(shape("GET", "/authorize", "*/*"), Shape::Page);
        assert_eq!(shape("GET", "/nothing", "text/html,*/*;q=0.8"), Shape::Page);
        assert_eq!(shape("GET", "/nothing", "*/*"), Shape::OAuth);
    }
}
