//! What a browser may do with a page, and the response that says so.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::seal::digest;
use url::{Host, Url};

/// A page on its way out, with the headers that keep it alone in its window.
///
/// Nothing may frame it or be loaded into it but our own assets and images; forms go to us and to `form_action`.
/// There is no `Cross-Origin-Opener-Policy`: a sign-in in a popup ends with a message to its opener.
#[derive(Debug)]
pub struct Html {
    /// The status of the response.
    pub status: StatusCode,
    /// The document.
    pub body: String,
    /// Where forms may lead besides ourselves, redirects included: see [`form_action_source`].
    pub form_action: Option<String>,
    /// The content of the document's inline `<style>`, which must be exactly this.
    pub style: Option<String>,
    /// The content of the document's inline `<script>`, which must be exactly this.
    pub script: Option<String>,
    /// Whether other sites may frame the page: only `web_message` answers, which show nothing.
    pub framed: bool,
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let policy = self.policy();
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        let policy = HeaderValue::try_from(policy).expect("sources are checked to be plain ASCII");
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
        if !self.framed {
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
        response
    }
}

impl Html {
    /// The `Content-Security-Policy` (CSP Level 3).
    fn policy(&self) -> String {
        let mut policy = String::from("default-src 'none'; base-uri 'none'");
        if self.framed {
            policy.push_str("; form-action 'none'");
        } else {
            policy.push_str("; frame-ancestors 'none'; img-src 'self' data: https:; form-action 'self'");
            // A source is one word: what could begin another directive is left out.
            if let Some(source) = self.form_action.as_deref().filter(|source| is_source(source)) {
                policy.push(' ');
                policy.push_str(source);
            }
        }
        if let Some(style) = &self.style {
            policy.push_str("; style-src 'self' ");
            policy.push_str(&source_of(style));
        }
        match &self.script {
            Some(script) => {
                policy.push_str("; script-src ");
                policy.push_str(&source_of(script));
            }
            None => policy.push_str("; script-src 'self'"),
        }
        policy
    }
}

/// The CSP source that lets a form lead to a redirect URI: its origin, or its scheme where it has no origin that a policy
/// can name (an app's own scheme, an IPv6 address). Browsers check it along the whole chain of redirects.
pub fn form_action_source(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok()?;
    let nameable = url.origin().is_tuple() && !matches!(url.host(), Some(Host::Ipv6(_)));
    let source = if nameable { url.origin().ascii_serialization() } else { format!("{}:", url.scheme()) };
    (is_source(&source) && !matches!(url.scheme(), "javascript" | "data")).then_some(source)
}

/// The CSP source that allows exactly this inline content.
fn source_of(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(content)))
}

/// Whether a text is one CSP source: an origin or a scheme, nothing that could end the directive.
fn is_source(text: &str) -> bool {
    text.contains(':')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '+' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_becomes_one_source() {
        for (uri, source) in [
            ("https://App.test/cb?x=1#y", Some("https://app.test")),
            ("https://localhost:3000/callback", Some("https://localhost:3000")),
            ("http://[::1]:3000/callback", Some("http:")),
            ("com.acme.app://callback", Some("com.acme.app:")),
            ("javascript:alert(1)", None),
            ("not a url", None),
        ] {
            assert_eq!(form_action_source(uri).as_deref(), source, "{uri}");
        }
    }

    #[test]
    fn a_source_cannot_add_a_directive() {
        for source in [
            "https://a.test; script-src *",
            "https://a.test, *",
            "*",
            "https://a.test https://b.test",
            "'self'",
        ] {
            let html = Html {
                status: StatusCode::OK,
                body: String::new(),
                form_action: Some(source.into()),
                style: None,
                script: None,
                framed: false,
            };
            assert!(html.policy().contains("form-action 'self';"), "{source}");
        }
    }

    #[test]
    fn inline_content_is_named_by_its_hash() {
        // Python: base64.b64encode(hashlib.sha256(b"alert(1)").digest())
        assert_eq!(source_of("alert(1)"), "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='");
    }
}
