//! coinop.
fn main() {}
