//! What the figures are measured against, in the same run: one RS256 signature, and handlers of the same stack that do nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::get;
use model::passwords::Hasher;

/// CPU time of one RS256 signature with a 2048-bit key, in microseconds.
pub fn signature() -> f64 {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key is generated");
    assert!(!key.public_key().as_ref().is_empty());
    let random = SystemRandom::new();
    let mut out = vec![0; key.public_modulus_len()];
    let mut sign = |times: u32| {
        let before = thread_cpu();
        for _ in 0..times {
            key.sign(&RSA_PKCS1_SHA256, &random, &[7; 600], &mut out).expect("a signature is made");
        }
        (thread_cpu() - before).as_secs_f64() * 1e6 / f64::from(times)
    };
    sign(200);
    let mut measured: Vec<f64> = (0..5).map(|_| sign(400)).collect();
    measured.sort_by(f64::total_cmp);
    measured[2]
}

/// RS256 signatures a second of all cores together, when they do nothing else (S).
pub fn signing_rate(cores: usize) -> f64 {
    let (begun, length) = (Instant::now(), Duration::from_secs(1));
    let signers: Vec<_> = (0..cores)
        .map(|_| {
            std::thread::spawn(move || {
                let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key is generated");
                let (random, mut out) = (SystemRandom::new(), vec![0; key.public_modulus_len()]);
                let (mut done, from) = (0_u32, Instant::now());
                while from.elapsed() < length {
                    key.sign(&RSA_PKCS1_SHA256, &random, &[7; 600], &mut out).expect("a signature is made");
                    done += 1;
                }
                f64::from(done) / from.elapsed().as_secs_f64()
            })
        })
        .collect();
    let rate = signers.into_iter().map(|signer| signer.join().expect("a signer does not panic")).sum();
    assert!(begun.elapsed() >= length);
    rate
}

/// Password hashes a second of all cores together, when they do nothing else: the server's own pool, without a server.
pub async fn hash_rate(cores: usize, length: Duration) -> f64 {
    let hasher = Arc::new(Hasher::new(cores, 4 * cores));
    let hash = hasher.hash("correct horse battery 9".to_owned()).await.expect("the queue is empty");
    let (from, done) = (Instant::now(), hasher.hashes_done());
    let askers: Vec<_> = (0..2 * cores)
        .map(|_| {
            let (hasher, hash) = (hasher.clone(), hash.clone());
            tokio::spawn(async move {
                while from.elapsed() < length {
                    let password = "correct horse battery 9".to_owned();
                    assert!(
                        hasher
                            .verify(password, Some(hash.clone()))
                            .await
                            .is_ok_and(|verdict| verdict.matches)
                    );
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.expect("an asker does not panic");
    }
    (hasher.hashes_done() - done) as f64 / from.elapsed().as_secs_f64()
}

/// CPU time of this thread: the first field of `schedstat`, nanoseconds.
fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}

/// Serves one answer on `address` for ever: an empty one, or the one that `file` holds. Run as a process of its own, so that its CPU time
/// can be told.
pub fn serve(address: SocketAddr, file: Option<&Path>) -> ! {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let answer = match file {
            None => get(async || "{}"),
            Some(file) => {
                let (headers, body) = parsed(&std::fs::read(file).expect("the file is there"));
                get(move || std::future::ready((headers.clone(), body.clone())))
            }
        };
        let listener = tokio::net::TcpListener::bind(address).await.expect("the address is free");
        axum::serve(listener, Router::new().route("/", answer)).await.expect("it serves until it is killed");
    });
    std::process::exit(0)
}

/// The headers and the body of an answer; hyper adds its own `date` and length.
fn parsed(answer: &[u8]) -> (HeaderMap, Bytes) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let length = head.parse(answer).expect("is an answer").unwrap();
    let own = |name: &str| name.eq_ignore_ascii_case("date") || name.eq_ignore_ascii_case("content-length");
    let headers = head.headers.iter().filter(|header| !own(header.name)).map(|header| {
        let name = HeaderName::try_from(header.name).expect("is a header's name");
        (name, HeaderValue::from_bytes(header.value).expect("is a header's value"))
    });
    (headers.collect(), Bytes::copy_from_slice(&answer[length..]))
}
