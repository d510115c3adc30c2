//! The same product behind a real socket, for what only the accept loop does.

use std::net::SocketAddr;
use std::sync::Arc;

use server::listener::{Answering, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A server in plain HTTP on a port of its own.
pub struct Socket {
    pub address: SocketAddr,
    stop: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl Socket {
    /// Serves `router`.
    pub async fn open(router: impl Answering) -> Self {
        let listener =
            Listener::bind(&["127.0.0.1:0".parse().expect("is an address")], None).await.expect("binds");
        let (address, stop) = (listener.address().expect("is bound"), Arc::new(Notify::new()));
        let stopped = stop.clone();
        let serving = tokio::spawn(listener.serve(router, async move { stopped.notified().await }));
        Self { address, stop, serving }
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the server listens");
        // The server may answer and close before it has read all.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Stops the server as SIGTERM does, and waits until it has finished.
    pub async fn stop(self) {
        self.stop.notify_one();
        self.serving.await.expect("the server does not panic");
    }
}
