//! The one integration-test binary: everything a client can see, through HTTP, on both databases.

#[macro_use]
mod support;

mod authentication;
mod http;
mod mail;
mod management;
mod program;
mod recordings;
mod retention;
#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../running/mod.rs"]
mod running;
mod security;
mod storage;
