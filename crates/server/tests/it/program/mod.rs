//! The binary itself: what it refuses, how it is set up, how it starts and stops.

mod acme;
mod backup;
mod config;
mod dev;
mod doctor;
mod first_setup;
mod monitoring;
mod process;
#[cfg(feature = "otel")]
mod traces;
