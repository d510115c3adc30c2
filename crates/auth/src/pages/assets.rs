//! The style sheet, the script and the icon of the pages, under names that change with their content.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::seal::digest;

/// A file that the pages refer to.
pub struct Asset {
    /// Where it is served: `/assets/{stem}-{hash}.{extension}`.
    pub path: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its content.
    pub content: &'static str,
}

/// The style sheet of all pages.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page", "css", "text/css; charset=utf-8", include_str!("../../assets/page.css"))
});
/// The script of all pages; each works without it.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("../../assets/page.js"))
});
/// The icon of a tenant that has none.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../../assets/icon.svg")));

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, content: &'static str) -> Self {
        let hash: String = digest(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("/assets/{stem}-{hash}.{extension}"), media_type, content }
    }
}

/// The route that serves the assets.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{name}", get(asset))
}

/// `GET /assets/{name}`: one asset, for a year, since another content has another name. 404 for any other name.
async fn asset(Path(name): Path<String>) -> Response {
    let asked = |asset: &&&Asset| asset.path.strip_prefix("/assets/") == Some(&*name);
    match [&*STYLE, &*SCRIPT, &*ICON].iter().find(asked) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            ],
            asset.content,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
