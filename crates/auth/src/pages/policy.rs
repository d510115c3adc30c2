//! What a browser may do with a page, and the response that says so.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::seal::digest;
use url::{Host, Url};

use super::Texts;

/// A page on its way out, with the headers that keep it alone in its window.
///
/// Nothing may frame it or be loaded into it but our own assets and images; forms go to us and to `form_targets`.
/// There is no `Cross-Origin-Opener-Policy`: a sign-in in a popup ends with a message to its opener.
#[derive(Debug)]
pub struct Html {
    /// The status of the response.
    pub status: StatusCode,
    /// The document.
    pub body: String,
    /// Where forms may lead besides ourselves, redirects included.
    pub form_targets: FormTargets,
    /// The content of the document's inline `<style>`, which must be exactly this.
    pub style: Option<String>,
    /// The content of the document's inline `<script>`, which must be exactly this.
    pub script: Option<String>,
    /// The one origin whose pages may be framed in it.
    pub frame: Option<String>,
    /// Whether other sites may frame the page: only `web_message` answers, which show nothing.
    pub framed: bool,
}

impl Html {
    /// A page that shows nothing and runs one script.
    pub fn of_script(script: String, framed: bool) -> Self {
        let body = format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\
             <body><script>{script}</script></body></html>",
            Texts::of("en").get("redirect/web-message/pageTitle"),
        );
        Self {
            status: StatusCode::OK,
            body,
            form_targets: FormTargets::default(),
            style: None,
            script: Some(script),
            frame: None,
            framed,
        }
    }
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
            for source in self.form_targets.destination.iter().chain(&self.form_targets.other) {
                policy.push(' ');
                policy.push_str(source);
            }
        }
        if let Some(frame) = self.frame.as_deref().and_then(source) {
            policy.push_str("; frame-src ");
            policy.push_str(&frame);
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

/// Where the forms of a page may lead besides ourselves, as CSP sources. Browsers check them along the whole chain of
/// redirects: an app whose callback sends people on to another origin needs that one too.
#[derive(Clone, Debug, Default)]
pub struct FormTargets {
    destination: Option<String>,
    other: Vec<String>,
}

/// The most that the sources after the first may take, in characters: a header has its limits.
const MOST_CHARACTERS: usize = 2000;

impl FormTargets {
    /// The source of `destination`, where the form leads in the end, and those of the app's `other` URLs. What is listed with
    /// a wildcard, or has no origin that a policy can name, is left out of these: it would allow more than the app's own.
    pub fn new<'a>(destination: &str, other: impl IntoIterator<Item = &'a str>) -> Self {
        let (destination, mut sources) = (source(destination), Vec::new());
        let mut left = MOST_CHARACTERS;
        for source in other.into_iter().filter_map(source) {
            let all_sites = matches!(source.as_str(), "https:" | "http:");
            let known = destination.as_ref() == Some(&source) || sources.contains(&source);
            if all_sites || known || source.len() >= left {
                continue;
            }
            left -= source.len() + 1;
            sources.push(source);
        }
        Self { destination, other: sources }
    }

    /// The source of the destination.
    pub fn destination(&self) -> Option<&str> {
        self.destination.as_deref()
    }
}

/// The CSP source that lets a form lead to `url`: its origin, or its scheme where it has no origin that a policy can name (an
/// app's own scheme, an IPv6 address).
fn source(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
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
            assert_eq!(FormTargets::new(uri, []).destination(), source, "{uri}");
        }
    }

    #[test]
    fn the_apps_other_origins_follow_but_nothing_wider() {
        let listed = [
            "https://app.test/other",
            "https://third.test/cb",
            "https://*.app.test/cb",
            "https://{organization_name}.app.test/cb",
            "http://[::1]:3000/cb",
            "*",
            "com.acme.app://callback",
            "https://third.test",
        ];
        let targets = FormTargets::new("https://app.test/cb", listed);
        assert_eq!(targets.destination(), Some("https://app.test"));
        assert_eq!(targets.other, ["https://third.test", "com.acme.app:"]);
        let many: Vec<String> = (0..200).map(|n| format!("https://n{n}.app.test/cb")).collect();
        let targets = FormTargets::new("https://app.test/cb", many.iter().map(String::as_str));
        let length = targets.other.iter().map(|source| source.len() + 1).sum::<usize>();
        assert!((MOST_CHARACTERS - 50..MOST_CHARACTERS + 50).contains(&length), "{length}");
    }

    #[test]
    fn a_source_cannot_add_a_directive() {
        for url in [
            "https://a.test; script-src *",
            "https://a.test, *",
            "*",
            "https://a.test https://b.test",
            "'self'",
        ] {
            let html = Html {
                status: StatusCode::OK,
                body: String::new(),
                form_targets: FormTargets::new(url, [url]),
                style: None,
                script: None,
                frame: None,
                framed: false,
            };
            assert!(html.policy().contains("form-action 'self';"), "{url}");
        }
    }

    #[test]
    fn inline_content_is_named_by_its_hash() {
        // Python: base64.b64encode(hashlib.sha256(b"alert(1)").digest())
        assert_eq!(source_of("alert(1)"), "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='");
    }
}
