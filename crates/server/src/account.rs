//! The account page under `/account/`: the files that `apps/account` builds, and the one answer that tells the page
//! which tenant it belongs to.

use std::borrow::Cow;
use std::sync::Arc;

use auth::pages::Look;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::tenants::{self, Tenant};
use model::{App, branding, clients};
use serde_json::{Map, Value};

use crate::refusal::{Refusal, Shape};

/// The page loads nothing from elsewhere; the SDK renews tokens in a frame of this origin and may use a worker.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; font-src 'self'; \
     connect-src 'self'; frame-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);

/// `/account/`, its files and its configuration. Whoever comes to the bare host finds it too.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/account/") }))
        .route("/account", get(|| async { Redirect::permanent("/account/") }))
        .route("/account/", get(index))
        .route("/account/config.json", get(config))
        .route("/account/theme.css", get(theme))
        .route("/account/{*path}", get(file))
}

/// `GET /account/config.json`: what the page must know to sign in: `domain`, `client_id`, `audience`, `name`.
///
/// 404 while no client of the tenant lists the page among its callbacks.
async fn config(State(app): State<App>, Extension(tenant): Extension<Arc<Tenant>>) -> Response {
    match load_config(&app, &tenant).await {
        Ok(Some(config)) => Json(config).into_response(),
        Ok(None) => Refusal::NOT_FOUND.render(Shape::OAuth),
        Err(error) => {
            tracing::error!(%error, "cannot configure the account page");
            Refusal::UNAVAILABLE.render(Shape::OAuth)
        }
    }
}

async fn load_config(app: &App, tenant: &Tenant) -> Result<Option<Map<String, Value>>, db::Error> {
    let Some(client) = clients::find_by_callback(app, &tenant.id, &tenant.account_page()).await? else {
        return Ok(None);
    };
    let settings = tenants::settings(app, &tenant.id).await?;
    let mut config = Map::new();
    config.insert("domain".into(), tenant.host.clone().into());
    config.insert("client_id".into(), client.as_str().into());
    config.insert("audience".into(), tenant.management_audience().into());
    if let Some(name) = &settings.friendly_name {
        config.insert("name".into(), name.clone().into());
    }
    Ok(Some(config))
}

/// `GET /account/theme.css`: the tenant's colours, as its sign-in pages have them.
async fn theme(State(app): State<App>, Extension(tenant): Extension<Arc<Tenant>>) -> Response {
    let look = async {
        let settings = tenants::settings(&app, &tenant.id).await?;
        let branding = branding::find(&app, &tenant.id).await?;
        Ok::<_, db::Error>(Look::new(&settings, &branding, "en"))
    };
    match look.await {
        Ok(look) => {
            let headers = [(CONTENT_TYPE, media_type("theme.css")), (CACHE_CONTROL, "no-cache")];
            (headers, look.style().to_owned()).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot read the tenant's look");
            Refusal::UNAVAILABLE.render(Shape::OAuth)
        }
    }
}

async fn index(request: Request) -> Response {
    send("index.html", request.headers())
}

/// A file of the page; a path without an extension is one of the page's own views.
async fn file(Path(path): Path<String>, request: Request) -> Response {
    let view = !path.rsplit('/').next().unwrap_or_default().contains('.');
    send(if view { "index.html" } else { &path }, request.headers())
}

fn send(path: &str, asked: &HeaderMap) -> Response {
    let Some(plain) = page::file(path) else { return Refusal::NOT_FOUND.render(Shape::OAuth) };
    let etag = plain.etag;
    // The build names what lies in assets/ by its content.
    let forever = path.starts_with("assets/");
    let cache = if forever { "public, max-age=31536000, immutable" } else { "no-cache" };
    if asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        let same = [(CACHE_CONTROL, cache), (VARY, "Accept-Encoding"), (ETAG, etag.as_str())];
        return (StatusCode::NOT_MODIFIED, same).into_response();
    }
    let (encoding, bytes) = match accepted(asked)
        .find_map(|(name, ending)| page::file(&format!("{path}{ending}")).map(|file| (name, file.bytes)))
    {
        Some((encoding, bytes)) => (Some(encoding), bytes),
        None => (None, plain.bytes),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// The encodings that the client takes and a build may have prepared, best first.
fn accepted(asked: &HeaderMap) -> impl Iterator<Item = (&'static str, &'static str)> {
    let list = asked.get(ACCEPT_ENCODING).and_then(|list| list.to_str().ok()).unwrap_or_default();
    let takes =
        |name: &str| list.split(',').any(|item| item.split(';').next().unwrap_or_default().trim() == name);
    [("br", ".br", takes("br")), ("gzip", ".gz", takes("gzip"))]
        .into_iter()
        .filter_map(|(name, ending, taken)| taken.then_some((name, ending)))
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// One file of the page.
struct File {
    bytes: Cow<'static, [u8]>,
    /// Quoted, as in the header.
    etag: String,
}

#[cfg(account_page)]
mod page {
    /// Read from disk in debug builds, part of the binary in release.
    #[derive(rust_embed::Embed)]
    #[folder = "../../apps/account/dist"]
    struct Files;

    pub(super) fn file(path: &str) -> Option<super::File> {
        let file = Files::get(path)?;
        let hash: String =
            file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Some(super::File { bytes: file.data, etag: format!("\"{hash}\"") })
    }
}

/// Without the built page: a page that says so. `make run` and `make package` refuse to build this.
#[cfg(not(account_page))]
mod page {
    const STAND_IN: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
        <title>Account page not built</title></head><body><h1>The account page is not part of this build</h1>\
        <p>Run <code>make run</code>, or build <code>apps/account</code> and compile again.</p></body></html>";

    pub(super) fn file(path: &str) -> Option<super::File> {
        (path == "index.html")
            .then(|| super::File { bytes: STAND_IN.as_bytes().into(), etag: "\"stand-in\"".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_revalidated_and_never_framed() {
        let first = send("index.html", &HeaderMap::new());
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
        assert!(
            first.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("frame-ancestors 'none'")
        );
        let mut known = HeaderMap::new();
        known.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        let same = send("index.html", &known);
        assert_eq!(same.status(), 304);
        for name in [CACHE_CONTROL, VARY, ETAG] {
            assert_eq!(same.headers()[&name], first.headers()[&name], "{name}");
        }
    }

    #[test]
    fn nothing_outside_the_build_is_a_file() {
        for path in ["../Cargo.toml", "assets/../../package.json", "/etc/passwd", "nothing.js"] {
            assert_eq!(send(path, &HeaderMap::new()).status(), 404, "{path}");
        }
    }

    #[test]
    fn brotli_is_preferred_to_gzip() {
        let mut asked = HeaderMap::new();
        asked.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br;q=1"));
        assert_eq!(accepted(&asked).map(|(name, _)| name).collect::<Vec<_>>(), ["br", "gzip"]);
    }
}
