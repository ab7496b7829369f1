//! Configuration.

pub mod properties;
