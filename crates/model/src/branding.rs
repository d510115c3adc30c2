//! A tenant's colours and logo.
