//! Showing play to people: as videos and on the terminal.
//!
//! ```text
//! environment ── every frame ──► Film ──► Shot: the pictures of one step, and what was done
//!                                            ├──► video: one file
//!                                            └──► terminal: half blocks
//! ```

pub(crate) mod keys;
pub(crate) mod picture;
pub(crate) mod player;
pub(crate) mod record;
pub(crate) mod terminal;
pub(crate) mod video;
