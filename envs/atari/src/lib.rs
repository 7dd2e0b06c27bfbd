//! An Atari 2600 with the semantics of the Arcade Learning Environment.
//!
//! What an agent can observe of a game (memory, screen, reward, lives, the end) is equal, byte for byte, to what ale-py 0.12.1
//! shows after the same actions, sticky actions and resets included.
//!
//! ```no_run
//! use coinop_atari::{Action, Atari, Rom, AtariSettings, find_game};
//!
//! let rom = Rom::find(find_game("pong")?, None)?;
//! let mut atari = Atari::new(&rom, &AtariSettings::default())?;
//! atari.reset();
//! let mut score = 0;
//! while !atari.is_terminal() {
//!     score += atari.act(Action::Fire);
//! }
//! println!("{score} after {} frames", atari.frame_number());
//! # Ok::<(), coinop_atari::AtariError>(())
//! ```
//!
//! # How the machine is built
//!
//! ```text
//! Atari            act, reset, sticky actions, modes           atari.rs
//! ├── Game         score, lives, end, menus, per game          games/
//! └── Console      frames                                      console.rs
//!     ├── Cpu      registers and instructions                  cpu/
//!     │   └── Translations  of its program into machine code   cpu/translate/
//!     └── Bus      who answers at which address                bus.rs
//!         ├── Tia        picture, collisions, inputs           tia/
//!         ├── Riot       RAM, ports, timer                     riot.rs
//!         └── Cartridge  ROM and its banks                     cartridge.rs
//! ```
//!
//! The machine is not the hardware but ALE's model of it. Where they differ, ALE is right here: it charges an instruction's cycles
//! before the instruction, has its own decimal mode, shows a fixed window of lines, and gives up a frame after 25,000 instructions.
//! Nothing makes sound.
//!
//! No ROM is part of this crate. [`Rom::find`] looks for `NAME.bin` and checks its MD5.

mod action;
mod atari;
mod bus;
mod cartridge;
mod console;
mod controllers;
mod cpu;
mod dpc;
mod error;
mod games;
pub mod names;
mod palette;
mod riot;
mod rom;
mod tia;
pub mod trace;
mod twister;

pub use action::Action;
pub use atari::{Atari, AtariSettings, Snapshot};
pub use cpu::Written;
pub use error::AtariError;
pub use games::{Game, find_game, games};
pub use rom::Rom;
