//! The binary itself: what it refuses, how it is set up, how it starts and stops.

mod config;
mod dev;
mod first_setup;
mod process;
