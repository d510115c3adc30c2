//! What the figures are measured against, in the same run: one RS256 signature, and an empty handler of the same stack.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use axum::Router;
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

/// Serves an empty answer on `address` for ever: run as a process of its own, so that its CPU time can be told.
pub fn serve_nothing(address: SocketAddr) -> ! {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("the address is free");
        let router = Router::new().route("/", get(async || "{}"));
        axum::serve(listener, router).await.expect("it serves until it is killed");
    });
    std::process::exit(0)
}
