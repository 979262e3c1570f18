//! Crate policies.
