//! What is made of runs: pictures.

pub(crate) mod curve;
