//! The accept loop: TCP, TLS, HTTP/1.1 and HTTP/2 with bounds on everything a stranger can hold open, and a stop that
//! finishes what was accepted.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response, Version};
use futures_util::future::select_all;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use crate::limits;
use crate::peer::RemoteAddress;
use crate::refusal::{Refusal, Shape};

/// For a request's headers, from the first byte or the end of the one before. It also closes idle connections.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// For a TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// For a whole request: a body that trickles in ends here.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// How long a stopping server goes on taking requests while it tells each client to come back elsewhere.
const FAREWELL: Duration = Duration::from_millis(500);
/// The bound of the whole stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// More than the limits in `limits.rs`, so that those answer with their own status.
const HEAD_BUFFER: usize = 128 * 1024;

/// Bound sockets, ready to serve.
pub struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds every address, with TLS if an acceptor is given and in plain HTTP if not.
    pub async fn bind(addresses: &[SocketAddr], tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for address in addresses {
            sockets.push(TcpListener::bind(address).await?);
        }
        Ok(Self { sockets, tls })
    }

    /// The first bound address: it tells the port when 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.sockets.first().ok_or(io::ErrorKind::AddrNotAvailable)?.local_addr()
    }

    /// Whether it speaks plain HTTP.
    pub fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Also binds `address`; used for `localhost`, which has two.
    pub async fn also(&mut self, address: SocketAddr) -> io::Result<()> {
        self.sockets.push(TcpListener::bind(address).await?);
        Ok(())
    }

    /// Serves `router` until `stop` resolves, then finishes the requests that were accepted, within 30 seconds.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let connections = GracefulShutdown::new();
        let server =
            Arc::new(Server { router, builder: builder(), tls: self.tls, stopping: AtomicBool::new(false) });
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                accepted = accept(&self.sockets) => server.spawn(accepted, &connections),
                () = &mut stop => break,
            }
        }
        server.stopping.store(true, Ordering::Relaxed);
        // Whoever is busy learns it from `Connection: close` on the answer, and whoever connects is still served:
        // closing at once would reset requests that are on the wire.
        let farewell = tokio::time::sleep(FAREWELL);
        let mut farewell = std::pin::pin!(farewell);
        loop {
            tokio::select! {
                accepted = accept(&self.sockets) => server.spawn(accepted, &connections),
                () = &mut farewell => break,
            }
        }
        drop(self.sockets);
        let open = connections.count();
        if tokio::time::timeout(STOPPED_WITHIN - FAREWELL, connections.shutdown()).await.is_err() {
            tracing::warn!(open, "stopped with connections still open");
        }
    }
}

/// What every connection needs.
struct Server {
    router: Router,
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    stopping: AtomicBool,
}

impl Server {
    fn spawn(
        self: &Arc<Self>,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        connections: &GracefulShutdown,
    ) {
        match accepted {
            Ok((stream, remote)) => {
                tokio::spawn(Arc::clone(self).connection(stream, remote, connections.watcher()));
            }
            // The client was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => tracing::warn!(%error, "cannot accept a connection"),
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, watcher: Watcher) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let Some(tls) = &self.tls else {
            // The protocol is told by the first bytes, which hyper waits for without a bound.
            let first = tokio::time::timeout(HEADERS_WITHIN, stream.readable()).await;
            if matches!(first, Ok(Ok(()))) {
                self.http(stream, remote, watcher, self.builder.clone()).await;
            }
            return;
        };
        match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let builder = self.builder.clone();
                let builder = if http2 { builder.http2_only() } else { builder.http1_only() };
                self.http(stream, remote, watcher, builder).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, %remote, "TLS handshake failed"),
            Err(_) => tracing::debug!(%remote, "TLS handshake took too long"),
        }
    }

    async fn http(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        remote: SocketAddr,
        watcher: Watcher,
        builder: Builder<TokioExecutor>,
    ) {
        let server = Arc::clone(self);
        let service = service_fn(move |request| Arc::clone(&server).answer(request, remote));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, %remote, "connection ended early");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        remote: SocketAddr,
    ) -> Result<Response<Body>, Infallible> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(RemoteAddress(remote));
        let (shape, version) = (Shape::of(&request), request.version());
        let answer = tokio::time::timeout(ANSWERED_WITHIN, self.router.clone().call(request)).await;
        let mut response = answer.unwrap_or_else(|_| Ok(Refusal::UNAVAILABLE.render(shape)))?;
        if self.stopping.load(Ordering::Relaxed) && version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// The next connection of any socket. An error other than a vanished client (no descriptors left, say) is waited out
/// for a moment, since it would only repeat.
async fn accept(sockets: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let (accepted, _, _) = select_all(sockets.iter().map(|socket| Box::pin(socket.accept()))).await;
    if accepted.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::ConnectionAborted) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    accepted
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(HEAD_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(128)
        .max_header_list_size(limits::HEADER_BYTES as u32);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::{OriginalUri, Path};
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    /// A server in plain HTTP, and what stops it.
    async fn start(router: Router) -> (SocketAddr, Arc<Notify>, JoinHandle<()>) {
        let listener = Listener::bind(&["127.0.0.1:0".parse().unwrap()], None).await.unwrap();
        let (address, stop) = (listener.address().unwrap(), Arc::new(Notify::new()));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(listener.serve(router, async move { stopped.notified().await }));
        (address, stop, task)
    }

    async fn send(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may answer and close before it has read all.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    fn echo() -> Router {
        let user =
            |Path(id): Path<String>, OriginalUri(uri): OriginalUri| async move { format!("{id} {uri}") };
        Router::new().route("/users/{id}", get(user))
    }

    #[tokio::test]
    async fn a_raw_bar_in_the_request_line_reaches_the_router() {
        let (address, ..) = start(echo()).await;
        let close = "HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        for (sent, id) in [("auth0|123", "auth0|123"), ("auth0%7C123", "auth0|123"), ("a|b|c", "a|b|c")] {
            let answer = send(address, &format!("GET /users/{sent} {close}")).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
            assert!(answer.ends_with(&format!("{id} /users/{sent}")), "{answer}");
        }
    }

    #[tokio::test]
    async fn an_oversized_head_is_refused_before_the_router() {
        let (address, ..) = start(echo()).await;
        let long = send(address, &format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(100_000))).await;
        assert!(long.starts_with("HTTP/1.1 414 "), "{long}");
        let many = "x: y\r\n".repeat(1_000);
        let many = send(address, &format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n")).await;
        assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    }

    #[tokio::test]
    async fn a_stop_finishes_what_was_accepted_and_says_farewell() {
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (inside, wait) = (Arc::clone(&entered), Arc::clone(&leave));
        let slow = get(move || async move {
            inside.notify_one();
            wait.notified().await;
            "done"
        });
        let (address, stop, task) = start(Router::new().route("/slow", slow)).await;
        let request = "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n";
        let answer = tokio::spawn(async move { send(address, request).await });
        entered.notified().await;
        stop.notify_one();
        // The socket closes only once nothing new is taken any more.
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        leave.notify_one();
        let answer = answer.await.unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 200 ok") && answer.ends_with("done"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        task.await.unwrap();
    }
}
