//! What watches the program: a listener of its own, in plain HTTP, with the metrics, and with whether it lives and is ready. It knows no
//! tenant and no secret, and is not for the world.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use db::params;
use model::App;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::listener::Listener;
use crate::metrics::{MEDIA_TYPE, Metrics};

/// How long the database may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The running listener.
pub struct Monitoring {
    stopping: Arc<AtomicBool>,
    end: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl Monitoring {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(address: SocketAddr, app: &App, metrics: &Metrics) -> anyhow::Result<Self> {
        let listener = Listener::bind(&[address], None).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(address = %listener.address()?, "monitoring");
        let (stopping, end) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let router = routes(app.clone(), metrics.clone(), stopping.clone());
        let ended = end.clone();
        let serving = tokio::spawn(listener.serve(router, async move { ended.notified().await }));
        Ok(Self { stopping, end, serving })
    }

    /// Says from now on that the program is not ready.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Ends it.
    pub async fn end(self) {
        self.end.notify_one();
        // It is aborted by nobody and panics nowhere.
        let _ = self.serving.await;
    }
}

#[derive(Clone)]
struct Watched {
    app: App,
    metrics: Metrics,
    stopping: Arc<AtomicBool>,
}

/// `GET /metrics`, `GET /health` and `GET /ready`.
pub fn routes(app: App, metrics: Metrics, stopping: Arc<AtomicBool>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/health", get(|| async { said(StatusCode::OK, "ok") }))
        .route("/ready", get(ready))
        .with_state(Watched { app, metrics, stopping })
}

async fn metrics_text(State(watched): State<Watched>) -> Response {
    let text = watched.metrics.text(&watched.app);
    ([(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, "no-store")], text).into_response()
}

/// 200 while requests are welcome; 503 with the reason while the program stops, or its database does not answer.
async fn ready(State(watched): State<Watched>) -> Response {
    if watched.stopping.load(Ordering::Relaxed) {
        return said(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    let database = tokio::time::timeout(PATIENCE, watched.app.db.read("SELECT 1", params![]));
    match database.await {
        Ok(Ok(_)) => said(StatusCode::OK, "ready"),
        _ => said(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer"),
    }
}

fn said(status: StatusCode, text: &'static str) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], format!("{text}\n")).into_response()
}
