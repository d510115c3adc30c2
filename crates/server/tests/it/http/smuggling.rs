//! HT-03: what two programs may read in two ways is refused, and the connection is closed.

use crate::support::TestApp;
use crate::support::socket::Socket;

/// Whatever is behind it in the connection would be the smuggled request.
const SMUGGLED: &str = "GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test\r\n\r\n";

both_databases! {
    async fn ht_03_an_ambiguous_request_is_refused_and_the_connection_closed(app: TestApp) {
        let socket = Socket::open(app.router.clone()).await;
        let post = "POST /oauth/token HTTP/1.1\r\nhost: id.test\r\n";
        for bad in [
            // A length and chunks, in either order.
            format!("{post}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            format!("{post}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"),
            // Two lengths, different, the same, and in one line.
            format!("{post}content-length: 0\r\ncontent-length: 5\r\n\r\nhello"),
            format!("{post}content-length: 5\r\ncontent-length: 5\r\n\r\nhello"),
            format!("{post}content-length: 5, 5\r\n\r\nhello"),
            format!("{post}content-length: +5\r\n\r\nhello"),
            format!("{post}content-length: 0x5\r\n\r\nhello"),
            // One that is longer than anybody means.
            format!("{post}content-length: {}5\r\n\r\nhello", "0".repeat(100)),
            // Chunks that not everybody takes for such.
            format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
            format!("{post}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            format!("{post}transfer-encoding: identity\r\n\r\n"),
            format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"),
            format!("{post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n"),
            format!("{post} transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            format!("{post}x: y\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            format!("{post}transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
            format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n\r\n"),
            // Lines without a carriage return.
            "GET /.well-known/jwks.json HTTP/1.1\nhost: id.test\n\n".to_owned(),
            "GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test\nx: y\r\n\r\n".to_owned(),
            "GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test\r\nx: a\rb\r\n\r\n".to_owned(),
            // NUL.
            "GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test\r\nx: a\0b\r\n\r\n".to_owned(),
            "GET /.well-known/\0jwks.json HTTP/1.1\r\nhost: id.test\r\n\r\n".to_owned(),
            // Chunks before there were any.
            "POST /oauth/token HTTP/1.0\r\nhost: id.test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ] {
            let answer = socket.raw(format!("{bad}{SMUGGLED}").as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"), "{bad:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.").count(), 1, "{bad:?}: {answer}");
        }
        socket.stop().await;
    }

    /// What is clear is answered, one after the other; behind a body in chunks the connection ends.
    async fn ht_03_clear_requests_share_a_connection(app: TestApp) {
        let socket = Socket::open(app.router.clone()).await;
        let with_length = "POST /oauth/token HTTP/1.1\r\nhost: id.test\r\ncontent-length: 9\r\n\r\na=b\n&c=d\n";
        let last = SMUGGLED.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        let answer = socket.raw(format!("{SMUGGLED}{with_length}{last}").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 3, "{answer}");
        let chunks = "POST /oauth/token HTTP/1.1\r\nhost: id.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n";
        let answer = socket.raw(format!("{chunks}{SMUGGLED}").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
        socket.stop().await;
    }
}
