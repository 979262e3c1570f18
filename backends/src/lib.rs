//! Crate backends.
