//! A look at each HTTP/1 head before the parser sees it: whoever stands in front must find its end where we do (HT-03, RFC 9112 §11.2).
//!
//! The parser tolerates what two programs may read in two ways: a length beside chunks, a length twice, lines that end without a
//! carriage return. Such a head is spoiled on its way, so that the parser refuses it and closes. Bodies are skipped by their length;
//! behind a body in chunks nothing is looked at, since the connection ends with its answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The beginning of HTTP/2, which has no such heads.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";
/// What is kept of a line that came in pieces: more than the names that matter and any length that somebody means.
const KEPT: usize = 64;

/// A stream whose ambiguous heads are spoiled.
pub struct Heads<S> {
    stream: S,
    scan: Scan,
}

impl<S> Heads<S> {
    /// Looks at everything that is read from `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, scan: Scan::default() }
    }
}

/// Where in the stream of requests it is.
#[derive(Default)]
struct Scan {
    state: State,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Whether the byte before was a carriage return.
    returned: bool,
    /// Whether the line is the first of its head.
    inside: bool,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// Nothing is looked at any more.
    Rest,
}

impl Scan {
    /// Looks at bytes as they came. One byte of a head that is ambiguous is spoiled, before the end of the line that makes it so: the
    /// parser then still finds the head's end, refuses it with 400 and closes. Nothing behind it matters any more.
    fn look(&mut self, bytes: &mut [u8]) {
        let (mut at, mut head) = (0, 0);
        while at < bytes.len() {
            match self.state {
                State::Rest => return,
                State::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    at += here;
                    head = at;
                    self.state = match left - here as u64 {
                        0 => State::Head,
                        left => State::Body(left),
                    };
                }
                State::Head => {
                    let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else {
                        return self.piece(&bytes[at..]);
                    };
                    let clear = self.end_line(&bytes[at..at + end]);
                    at += end;
                    if !clear {
                        let inside = bytes[head..at].iter().rposition(|byte| !b"\r\n".contains(byte));
                        bytes[inside.map_or(at, |place| head + place)] = 0;
                        self.state = State::Rest;
                        return;
                    }
                    at += 1;
                    if !self.inside {
                        head = at;
                    }
                }
            }
        }
    }

    fn piece(&mut self, piece: &[u8]) {
        if let Some(last) = piece.last() {
            self.returned = *last == b'\r';
        }
        let room = KEPT - self.line.len();
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// Whether the head is clear up to the end of the line that ends with `rest`.
    fn end_line(&mut self, rest: &[u8]) -> bool {
        if self.line.is_empty() {
            return rest.ends_with(b"\r") && self.is_clear(rest);
        }
        self.piece(rest);
        let line = std::mem::take(&mut self.line);
        let clear = self.returned && self.is_clear(&line);
        self.keep(line);
        clear
    }

    fn is_clear(&mut self, line: &[u8]) -> bool {
        if !self.inside {
            if line == &HTTP2[..HTTP2.len() - 1] {
                self.state = State::Rest;
            }
            // An empty line before a request is skipped (RFC 9112 §2.2).
            self.inside = line != b"\r";
            return true;
        }
        if line == b"\r" {
            self.inside = false;
            self.state = match (std::mem::take(&mut self.chunked), self.length.take()) {
                (true, _) => State::Rest,
                (false, Some(length)) if length > 0 => State::Body(length),
                (false, _) => State::Head,
            };
            return true;
        }
        if let Some(value) = field(line, b"content-length:") {
            let before = self.length;
            self.length = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
            // Of a longer line the end may not have been kept, and with it what the parser takes the length for.
            return self.length.is_some() && before.is_none() && !self.chunked && line.len() < KEPT;
        }
        if field(line, b"transfer-encoding:").is_some() {
            return !std::mem::replace(&mut self.chunked, true) && self.length.is_none();
        }
        true
    }

    /// Its room is used again.
    fn keep(&mut self, mut line: Vec<u8>) {
        line.clear();
        self.line = line;
    }
}

/// The value of a header line, if it has this name.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (own, value) = line.split_at_checked(name.len())?;
    own.eq_ignore_ascii_case(name).then_some(value)
}

impl<S: AsyncRead + Unpin> AsyncRead for Heads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(read, Poll::Ready(Ok(()))) && self.scan.state != State::Rest {
            self.scan.look(&mut buffer.filled_mut()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parser sees of `text`, cut into pieces of this size.
    fn seen(text: &[u8], size: usize) -> Vec<u8> {
        let mut scan = Scan::default();
        let mut bytes = text.to_vec();
        bytes.chunks_mut(size).for_each(|piece| scan.look(piece));
        bytes
    }

    /// Whether it is spoiled, however it is cut.
    fn spoiled(text: &str) -> bool {
        let whole = seen(text.as_bytes(), usize::MAX) != text.as_bytes();
        for size in [1, 2, 3, 7, 20] {
            assert_eq!(seen(text.as_bytes(), size) != text.as_bytes(), whole, "{size}: {text:?}");
        }
        whole
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_spoiled() {
        for bad in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n",
            "GET / HTTP/1.1\nhost: a\n\n",
            "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nabGET / HTTP/1.1\nhost: a\r\n\r\n",
            &format!("POST / HTTP/1.1\r\ncontent-length: {}5\r\n\r\nhello", "0".repeat(KEPT)),
        ] {
            assert!(spoiled(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_is_clear_passes_as_it_is() {
        for good in [
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 11\r\n\r\na\nb\n\nx: y\n\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\na\nb\nc\r\n0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\n\0\0\n",
            "POST / HTTP/1.1\r\nx-content-length: 5\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ] {
            assert!(!spoiled(good), "{good:?}");
        }
    }

    #[test]
    fn a_good_request_before_a_bad_one_is_left_alone() {
        let good = "GET /good HTTP/1.1\r\nhost: a\r\n\r\n";
        let bad = "GET /bad HTTP/1.1\r\nhost: a\n\r\n";
        let seen = seen(format!("{good}{bad}").as_bytes(), usize::MAX);
        assert_eq!(seen, format!("{good}GET /bad HTTP/1.1\r\nhost: \0\n\r\n").into_bytes());
    }
}
