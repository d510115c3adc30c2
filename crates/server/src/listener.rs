//! The accept loop: TCP, TLS, HTTP/1.1 and HTTP/2 with bounds on everything a stranger can hold open, and a stop that
//! finishes what was accepted.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response, Version};
use futures_util::future::select_all;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use model::client_certificates::ClientCertificate;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use crate::client_certificates::ClientCertificates;
use crate::heads::Heads;
use crate::limits;
use crate::metrics::Metrics;
use crate::peer::RemoteAddress;
use crate::refusal::{Refusal, Shape};
use crate::tls::PROOFS;

/// For a TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a stopping server goes on taking requests while it tells each client to come back elsewhere.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long who connected last has to ask. After that connections without a request are closed.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// More than the limits in `limits.rs`, so that those answer with their own status.
const HEAD_BUFFER: usize = 128 * 1024;

/// What answers requests.
pub trait Answering:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answering for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// What strangers may hold open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at a time; whoever comes on top waits in the sockets' backlog.
    pub connections: u32,
    /// For a request's headers, from the first byte or the end of the one before. It also closes idle connections.
    pub headers: Duration,
    /// For a whole request: a body that trickles in ends here.
    pub request: Duration,
    /// After this long without a new request, at most twice, a connection is asked to end: it never sent one, answers
    /// pings alone, or does not read what it asked for.
    pub quiet: Duration,
    /// The same after this long whatever it does.
    pub age: Duration,
    /// How long a connection that was asked to end may go on with its answers.
    pub leave: Duration,
    /// How long the server goes on after it was asked to stop, before it says farewell.
    pub announce: Duration,
    /// The bound of the stop from there.
    pub drain: Duration,
}

impl Bounds {
    /// What holds unless the operator says otherwise.
    pub const DEFAULT: Self = Self {
        connections: 20_000,
        headers: Duration::from_secs(30),
        request: Duration::from_secs(30),
        quiet: Duration::from_secs(60),
        age: Duration::from_secs(3600),
        leave: Duration::from_secs(30),
        announce: Duration::ZERO,
        drain: Duration::from_secs(30),
    };
}

/// Bound sockets, ready to serve.
pub struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<TlsAcceptor>,
    clients: Option<ClientCertificates>,
    bounds: Bounds,
    metrics: Metrics,
}

impl Listener {
    /// Binds every address, with TLS if an acceptor is given and in plain HTTP if not.
    pub async fn bind(addresses: &[SocketAddr], tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for address in addresses {
            sockets.push(TcpListener::bind(address).await?);
        }
        Ok(Self { sockets, tls, clients: None, bounds: Bounds::DEFAULT, metrics: Metrics::default() })
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

    /// Counts its connections there.
    pub fn counted(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Looks at the certificates that clients show, where they are asked for them.
    pub fn asking(mut self, clients: Option<ClientCertificates>) -> Self {
        self.clients = clients;
        self
    }

    /// Holds others within these bounds.
    pub fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Serves `service` until `stop` resolves, then finishes the requests that were accepted, within the bound of the stop: 30 seconds
    /// unless told.
    pub async fn serve(self, service: impl Answering, stop: impl Future<Output = ()>) {
        let Self { sockets, tls, clients, bounds, metrics } = self;
        let room = Arc::new(Semaphore::new(bounds.connections as usize));
        let (last_call, stopped) = watch::channel(());
        let server = Arc::new(Server {
            service,
            builder: builder(&bounds),
            tls,
            clients,
            bounds,
            metrics,
            stopping: AtomicBool::new(false),
            stopped,
        });
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                (accepted, place) = accept(&sockets, &room) => server.spawn(accepted, place),
                () = &mut stop => break,
            }
        }
        let announced = tokio::time::sleep(bounds.announce);
        let mut announced = std::pin::pin!(announced);
        loop {
            tokio::select! {
                (accepted, place) = accept(&sockets, &room) => server.spawn(accepted, place),
                () = &mut announced => break,
            }
        }
        server.stopping.store(true, Ordering::Relaxed);
        // Whoever is busy learns it from `Connection: close` on the answer, and whoever connects is still served:
        // closing at once would reset requests that are on the wire.
        let farewell = tokio::time::sleep(FAREWELL);
        let mut farewell = std::pin::pin!(farewell);
        loop {
            tokio::select! {
                (accepted, place) = accept(&sockets, &room) => server.spawn(accepted, place),
                () = &mut farewell => break,
            }
        }
        // Who has connected and was not accepted yet would be reset with the socket, and whoever was accepted last has yet to ask.
        for socket in sockets {
            server.take_rest(socket, &room);
        }
        tokio::time::sleep(LAST_WORDS).await;
        drop(last_call);
        let gone = room.acquire_many(bounds.connections);
        if tokio::time::timeout(bounds.drain.saturating_sub(FAREWELL + LAST_WORDS), gone).await.is_err() {
            let open = bounds.connections as usize - room.available_permits();
            tracing::warn!(open, "stopped with connections still open");
        }
    }
}

/// What every connection needs.
struct Server<S> {
    service: S,
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    clients: Option<ClientCertificates>,
    bounds: Bounds,
    metrics: Metrics,
    /// The server still answers, and says farewell.
    stopping: AtomicBool,
    /// Closed once connections are to end.
    stopped: watch::Receiver<()>,
}

impl<S: Answering> Server<S> {
    fn spawn(self: &Arc<Self>, accepted: io::Result<(TcpStream, SocketAddr)>, place: OwnedSemaphorePermit) {
        match accepted {
            Ok((stream, remote)) => {
                let connection = Arc::clone(self).connection(stream, remote);
                let open = self.metrics.connection();
                tokio::spawn(async move {
                    connection.await;
                    drop((place, open));
                });
            }
            // The client was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => tracing::warn!(%error, "cannot accept a connection"),
        }
    }

    /// Accepts what waits on a socket, as far as there is room, and closes it.
    fn take_rest(self: &Arc<Self>, socket: TcpListener, room: &Arc<Semaphore>) {
        let Ok(socket) = socket.into_std() else { return };
        while let Ok(place) = Arc::clone(room).try_acquire_owned()
            && let Ok((stream, remote)) = socket.accept()
        {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            self.spawn(stream.map(|stream| (stream, remote)), place);
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let Some(tls) = &self.tls else {
            // The protocol is told by the first bytes.
            return self.http(stream, (remote, None), self.builder.clone()).await;
        };
        match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            // The authority has seen the certificate, which is all that it came for.
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(PROOFS) => {}
            Ok(Ok(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let shown = stream.get_ref().1.peer_certificates();
                let shown = self.clients.as_ref().zip(shown).and_then(|(clients, chain)| clients.look(chain));
                let builder = self.builder.clone();
                let builder = if http2 { builder.http2_only() } else { builder.http1_only() };
                self.http(stream, (remote, shown), builder).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, %remote, "TLS handshake failed"),
            Err(_) => tracing::debug!(%remote, "TLS handshake took too long"),
        }
    }

    async fn http(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        (remote, shown): (SocketAddr, Option<ClientCertificate>),
        builder: Builder<TokioExecutor>,
    ) {
        let asked = AtomicU64::new(0);
        let service = service_fn(|request| {
            asked.fetch_add(1, Ordering::Relaxed);
            Arc::clone(self).answer(request, remote, shown.clone())
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(Heads::new(stream)), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => Ok(ended),
            () = self.outlived(&asked) => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(self.bounds.leave, connection).await
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, %remote, "connection ended early"),
            Err(_) => tracing::debug!(%remote, "connection did not end by itself"),
        }
    }

    /// Resolves when a connection is to end: it is quiet, too old, or the server stops. `asked` counts its requests.
    async fn outlived(&self, asked: &AtomicU64) {
        let mut stopped = self.stopped.clone();
        let quiet = async {
            let mut before = None;
            while before != Some(asked.load(Ordering::Relaxed)) {
                before = Some(asked.load(Ordering::Relaxed));
                tokio::time::sleep(self.bounds.quiet).await;
            }
        };
        tokio::select! {
            _ = stopped.changed() => {}
            _ = tokio::time::timeout(self.bounds.age, quiet) => {}
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        remote: SocketAddr,
        shown: Option<ClientCertificate>,
    ) -> Result<Response<Body>, Infallible> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(RemoteAddress(remote));
        if let Some(shown) = shown {
            request.extensions_mut().insert(shown);
        }
        let shape = Shape::of(&request);
        let old = request.version() < Version::HTTP_2;
        // What follows a body in chunks was not looked at.
        let last = old && request.headers().contains_key(TRANSFER_ENCODING);
        let mut answer = pin!(self.service.clone().call(request));
        // What is answered at once needs no timer.
        let at_once = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        let answer = match at_once {
            Poll::Ready(answer) => Ok(answer),
            // The router has answered by then, unless it is what hangs.
            Poll::Pending => tokio::time::timeout(self.bounds.request + LAST_WORDS, answer).await,
        };
        let mut response = answer.unwrap_or_else(|_| Ok(Refusal::UNAVAILABLE.render(shape)))?;
        if last || old && self.stopping.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// The next connection of any socket, once there is room for one. An error other than a vanished client (no descriptors left, say) is waited out
/// for a moment, since it would only repeat.
async fn accept(
    sockets: &[TcpListener],
    room: &Arc<Semaphore>,
) -> (io::Result<(TcpStream, SocketAddr)>, OwnedSemaphorePermit) {
    let place = Arc::clone(room).acquire_owned().await.expect("it is never closed");
    let (accepted, _, _) = select_all(sockets.iter().map(|socket| Box::pin(socket.accept()))).await;
    if accepted.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::ConnectionAborted) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (accepted, place)
}

fn builder(bounds: &Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.headers).max_buf_size(HEAD_BUFFER);
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
    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::{OriginalUri, Path};
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    /// A server in plain HTTP, and what stops it.
    async fn start(router: Router) -> (SocketAddr, Arc<Notify>, JoinHandle<()>) {
        start_within(Bounds::DEFAULT, router).await
    }

    async fn start_within(bounds: Bounds, router: Router) -> (SocketAddr, Arc<Notify>, JoinHandle<()>) {
        let mut listener = Listener::bind(&["127.0.0.1:0".parse().unwrap()], None).await.unwrap();
        listener.bounds = bounds;
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

    /// Everything until the server closes, which it has to do in time.
    async fn read_until_closed(stream: &mut TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
        let _ = read.expect("the server closes");
        bytes
    }

    const HASTY: Bounds =
        Bounds { quiet: Duration::from_millis(100), leave: Duration::from_millis(100), ..Bounds::DEFAULT };
    const REQUEST: &str = "GET /users/a HTTP/1.1\r\nhost: a\r\n\r\n";

    #[tokio::test]
    async fn who_comes_on_top_waits_until_somebody_leaves() {
        let (address, ..) = start_within(Bounds { connections: 1, ..Bounds::DEFAULT }, echo()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(REQUEST.as_bytes()).await.unwrap();
        first.read_u8().await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST.as_bytes()).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), second.read_u8()).await;
        assert!(early.is_err(), "{early:?}");
        drop(first);
        assert_eq!(second.read_u8().await.unwrap(), b'H');
    }

    #[tokio::test]
    async fn a_connection_that_never_speaks_is_closed() {
        let (address, ..) = start_within(HASTY, echo()).await;
        for spoken in ["", "P", "GET / HT"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(spoken.as_bytes()).await.unwrap();
            assert_eq!(read_until_closed(&mut stream).await, b"", "{spoken}");
        }
    }

    #[tokio::test]
    async fn a_quiet_or_old_http2_connection_is_told_to_go_and_closed() {
        const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0";
        let old = Bounds { age: HASTY.quiet, leave: HASTY.leave, ..Bounds::DEFAULT };
        for bounds in [HASTY, old] {
            let (address, ..) = start_within(bounds, echo()).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(HELLO).await.unwrap();
            let told = read_until_closed(&mut stream).await;
            assert!(told.windows(GOAWAY.len()).any(|frame| frame == GOAWAY), "{told:?}");
        }
    }

    #[tokio::test]
    async fn who_never_reads_the_answer_is_cut_off() {
        /// Far more than sockets buffer; tells when it goes.
        struct Answer(Vec<u8>, Arc<Notify>);
        impl AsRef<[u8]> for Answer {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        impl Drop for Answer {
            fn drop(&mut self) {
                self.1.notify_one();
            }
        }
        let gone = Arc::new(Notify::new());
        let notify = Arc::clone(&gone);
        let large = get(async move || Bytes::from_owner(Answer(vec![0; 64 << 20], Arc::clone(&notify))));
        let (address, ..) = start_within(HASTY, Router::new().route("/users/a", large)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(REQUEST.as_bytes()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), gone.notified()).await.expect("it is cut off");
    }
}
