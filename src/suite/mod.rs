//! `coinop suite`: many runs from one file, and tables and pictures of their results.
//!
//! ```text
//! file.rs         the file: environments, agents, seeds, frames
//! plan.rs         its runs, each with its settings, its folder, and its progress
//! runner.rs       plays what is left: trains, evaluates, adds a line to the ledger
//! ledger.rs       one line of CSV per finished run
//! curves.rs       the learning curves of finished runs, beside the ledger
//! rows.rs         CSV files to which several processes add rows
//! table.rs        Markdown and CSV of the ledger
//! plot.rs         learning curves
//! human.rs        human-normalised scores
//! ```

pub(crate) mod curves;
pub(crate) mod file;
pub(crate) mod ledger;
pub(crate) mod plan;
pub(crate) mod plot;
mod rows;
pub(crate) mod runner;
pub(crate) mod table;
