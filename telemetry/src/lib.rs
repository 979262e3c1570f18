//! Crate telemetry.
