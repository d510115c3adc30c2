//! Signing in and out, as apps and people see it.

mod at_once;
mod claims;
mod client_assertions;
mod connections;
mod dbconnections;
mod error_pages;
mod factors;
mod logout;
mod pages;
mod pushed_requests;
mod request_objects;
