//! Crate runtime.
