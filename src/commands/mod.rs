//! The subcommands, one file each.

pub(crate) mod atari;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod distill;
pub(crate) mod doctor;
pub(crate) mod envs;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod play;
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod settings;
pub(crate) mod shell;
pub(crate) mod suite;
pub(crate) mod table;
pub(crate) mod train;
pub(crate) mod tune;
pub(crate) mod verify_resume;
pub(crate) mod watch;
