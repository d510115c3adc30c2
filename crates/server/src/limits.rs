//! What a request may look like before anything else looks at it: sizes and well-formed escapes (HT-06).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode, Uri};
use http_body_util::Limited;
use hyper::body::{Frame, SizeHint};

use crate::refusal::Refusal;

/// The longest path and query, in bytes. An authorization request with a signed hint stays far below.
pub const URL_BYTES: usize = 16 * 1024;

/// The most bytes that header names and values may take together.
pub const HEADER_BYTES: usize = 32 * 1024;

/// The most header lines.
pub const HEADERS: usize = 100;

/// The largest request body, in bytes.
pub const BODY_BYTES: usize = 1024 * 1024;

/// The request with a cap on what a handler can read of its body.
pub fn capped(request: Request) -> Request {
    match request.body().is_end_stream() || counts_itself(request.uri()) {
        true => request,
        false => {
            request.map(|body| Body::new(Limited::new(InPieces { body, piece: Vec::new() }, BODY_BYTES)))
        }
    }
}

/// The least piece of a body but for its last, in bytes: whoever keeps a piece keeps more than is in it.
const PIECE: usize = 4096;

/// A body in pieces of some size, however small the chunks are that it came in.
struct InPieces {
    body: Body,
    piece: Vec<u8>,
}

impl InPieces {
    fn take(&mut self) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.piece).into()))))
    }
}

impl HttpBody for InPieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(context)?) {
                Some(frame) => match frame.into_data() {
                    Ok(data) if self.piece.is_empty() && data.len() >= PIECE => {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Ok(data) => {
                        self.piece.extend_from_slice(&data);
                        if self.piece.len() >= PIECE {
                            return self.take();
                        }
                    }
                    // Trailers, which nobody here reads.
                    Err(_) => {}
                },
                None if self.piece.is_empty() => return Poll::Ready(None),
                None => return self.take(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, here) = (self.body.size_hint(), self.piece.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(left.lower() + here);
        if let Some(upper) = left.upper() {
            hint.set_upper(upper + here);
        }
        hint
    }
}

/// Whether the handler of this path limits its body itself.
fn counts_itself(uri: &Uri) -> bool {
    uri.path() == management::jobs::IMPORTS
}

/// Looks at a request's line and headers.
///
/// # Errors
/// Oversized and malformed requests are refused.
pub fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let query = uri.query().unwrap_or_default();
    if uri.path().len() + query.len() > URL_BYTES {
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "The URL is too long."));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADERS || bytes > HEADER_BYTES {
        return Err(Refusal::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "The request headers are too large.",
        ));
    }
    if !is_well_formed(uri.path()) || !is_well_formed(query) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "The URL is malformed."));
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > BODY_BYTES as u64) && !counts_itself(uri) {
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large."));
    }
    Ok(())
}

/// Whether each `%` begins an escape (RFC 3986 §2.1) and the whole decodes to UTF-8 without NUL.
fn is_well_formed(escaped: &str) -> bool {
    if !escaped.contains('%') {
        return true;
    }
    let mut decoded = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) if high + low > 0 => decoded.push((high * 16 + low) as u8),
            _ => return false,
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn escapes_are_whole_utf8_and_never_nul() {
        for good in ["", "/api/v2/users/auth0%7C1", "/a|b", "q=%C3%A9&x=+%2B", "100%25"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in ["%", "%z", "%zz", "%4", "a%", "%00", "%ff", "%C3", "%C3%28", "%+1", "%ed%a0%80"] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_body_of_tiny_chunks_is_kept_in_few_pieces() {
        let chunks =
            futures_util::stream::iter((0..10_000).map(|at| Ok::<_, std::io::Error>(vec![at as u8])));
        let mut body = InPieces { body: Body::from_stream(chunks), piece: Vec::new() };
        let (mut pieces, mut bytes) = (0, Vec::new());
        while let Some(frame) = body.frame().await {
            pieces += 1;
            bytes.extend_from_slice(frame.expect("a piece").data_ref().expect("of data"));
        }
        assert_eq!((pieces, bytes.len(), bytes[9_999]), (3, 10_000, 9_999_u32 as u8));
        let large = InPieces { body: Body::from(vec![7; 100_000]), piece: Vec::new() };
        assert_eq!(large.size_hint().exact(), Some(100_000));
        assert_eq!(large.collect().await.expect("a body").to_bytes().len(), 100_000);
    }

    #[test]
    fn each_limit_has_its_own_status() {
        let status = |uri: &str, headers: &HeaderMap| {
            check(&uri.parse().expect("is a URI"), headers).err().map(|refusal| refusal.status().as_u16())
        };
        let none = HeaderMap::new();
        assert_eq!(status(&format!("/{}", "a".repeat(URL_BYTES - 1)), &none), None);
        assert_eq!(status(&format!("/?{}", "a".repeat(URL_BYTES)), &none), Some(414));
        let mut large = HeaderMap::new();
        large.insert("x", "a".repeat(HEADER_BYTES).parse().expect("is a header"));
        assert_eq!(status("/", &large), Some(431));
        let mut many = HeaderMap::new();
        for _ in 0..=HEADERS {
            many.append("x", "a".parse().expect("is a header"));
        }
        assert_eq!(status("/", &many), Some(431));
        let mut body = HeaderMap::new();
        body.insert(CONTENT_LENGTH, (BODY_BYTES + 1).into());
        assert_eq!(status("/", &body), Some(413));
        assert_eq!(status("/api/v2/jobs/users-imports", &body), None, "it has a limit of its own");
        assert_eq!(status("/%zz", &none), Some(400));
        assert_eq!(status("/?x=%ff", &none), Some(400));
    }
}
