//! Crate benches.
