//! HTTP/1.1 over one connection, as plainly as it goes: what is sent is what a test wrote.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer: status, headers and body.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<(u16, String, Vec<u8>)> {
        let (status, headers, body) = self.exchange(request).await?;
        Ok((status, String::from_utf8_lossy(headers).into_owned(), body.to_vec()))
    }

    /// The same without a copy of the answer: what the load spends on it, the server does not get.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, &[u8], &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let status = number(self.buffer.split(|byte| *byte == b' ').nth(1)).unwrap_or(0);
        let length = number(self.buffer[..head].split(|byte| *byte == b'\n').find_map(content_length));
        let end = head + length.unwrap_or(0);
        while self.buffer.len() < end {
            self.read().await?;
        }
        Ok((status, &self.buffer[..head], &self.buffer[head..end]))
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn content_length(line: &[u8]) -> Option<&[u8]> {
    let (name, value) = line.split_at_checked("content-length:".len())?;
    name.eq_ignore_ascii_case(b"content-length:").then_some(value)
}

fn number<N: FromStr>(text: Option<&[u8]>) -> Option<N> {
    std::str::from_utf8(text?).ok()?.trim().parse().ok()
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
