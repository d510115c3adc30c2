//! HTTP/1.1 over one connection, as plainly as it goes: what is sent is what a test wrote.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::HOST;

/// A keep-alive connection.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Stream::Plain(stream), buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Connects with TLS, to the host of the issuer.
    pub async fn open_tls(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Self { stream: Stream::Tls(Box::new(stream)), buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer: status, headers and body.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<(u16, String, Vec<u8>)> {
        let (status, headers, body) = self.exchange(request).await?;
        Ok((status, String::from_utf8_lossy(headers).into_owned(), body.to_vec()))
    }

    /// The same without a copy of the answer: what the load spends on it, the server does not get.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, &[u8], &[u8])> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(request).await?,
            Stream::Tls(stream) => {
                stream.write_all(request).await?;
                stream.flush().await?;
            }
        }
        self.buffer.clear();
        let (status, head, length) = loop {
            self.read().await?;
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
        };
        let end = head + length;
        while self.buffer.len() < end {
            self.read().await?;
        }
        Ok((status, &self.buffer[..head], &self.buffer[head..end]))
    }

    async fn read(&mut self) -> io::Result<()> {
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.buffer).await?,
            Stream::Tls(stream) => stream.read_buf(&mut self.buffer).await?,
        };
        match read {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Status, length of the head and of the body, once the head is there.
fn head(buffer: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 40];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(buffer).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    Ok(Some((response.code.unwrap_or(0), head, length.unwrap_or(0))))
}

/// A request with the headers that a trusted proxy adds.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: bench.test\r\nx-forwarded-proto: https\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}
