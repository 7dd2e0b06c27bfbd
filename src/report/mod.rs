//! Reports on runs: images.

pub(crate) mod curve;
