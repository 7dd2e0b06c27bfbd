//! coinop.
