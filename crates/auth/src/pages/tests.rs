//! Every page with samples.
