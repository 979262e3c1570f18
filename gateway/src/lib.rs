//! Crate gateway.
