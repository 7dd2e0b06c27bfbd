//! Reports on runs: images and tables.

pub(crate) mod curve;
pub(crate) mod groups;
pub(crate) mod human;
pub(crate) mod numbers;
pub(crate) mod page;
