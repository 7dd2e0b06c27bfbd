//! The console: processor, chips and cartridge, run one frame at a time.
//!
//! A frame runs until the TIA sees its end (the program ends its vertical sync, or draws far too many lines), and stops after
//! [`MAX_INSTRUCTIONS`] instructions in any case. A frame that was stopped is *partial*: the next call continues it. Cycles count
//! from the start of the frame.

use serde::{Deserialize, Serialize};

use crate::bus::Bus;
use std::sync::Arc;

use crate::cartridge::{Banks, Cartridge, Program};
use crate::controllers::{Controls, Ports};
use crate::cpu::{Cpu, Written};
use crate::riot::Riot;
use crate::tia::{Display, Tia};
use crate::twister::{self, Twister};

/// Instructions after which a frame is given up. The number is part of ALE's observable behaviour.
const MAX_INSTRUCTIONS: u32 = 25_000;
/// A program that never ends its frame would count cycles without end. So many are taken off again and again, when the beam is far
/// below the picture; the place in the line stays.
const FAR: u32 = 76 << 18;
/// ALE's default `system_random_seed`: what RAM holds at power-on, and where the timer starts at a reset.
const RANDOM_SEED: u32 = 4_753_849;

#[derive(Clone)]
pub(crate) struct Console {
    cpu: Cpu,
    bus: Bus,
    random: Twister,
    /// The last frame was stopped before its end.
    partial: bool,
    /// What the instructions of this frame wrote, if that is to be known.
    pub(crate) written: Option<Vec<Written>>,
}

/// What [`Console::saved`] writes, in its order.
#[derive(Deserialize)]
pub(crate) struct SavedConsole(Cpu, Banks, Riot, Tia, u8, twister::Saved, bool);

impl Console {
    /// Switches the console on with a cartridge in it: RAM is filled with random bytes. [`Console::reset`] must follow.
    pub(crate) fn new(program: Arc<Program>, display: Display) -> Self {
        let mut random = Twister::new(RANDOM_SEED);
        let ram = std::array::from_fn(|_| random.next_u32() as u8);
        let mut bus = Bus::new(Cartridge::new(program), Riot::new(ram), Tia::new(display));
        bus.riot.reset(Self::random_timer(&mut random));
        let cpu = Cpu::reset(&mut bus);
        Self {
            cpu,
            bus,
            random,
            partial: false,
            written: None,
        }
    }

    /// Resets everything but RAM.
    pub(crate) fn reset(&mut self) {
        self.bus.riot.reset(Self::random_timer(&mut self.random));
        self.bus.tia.reset();
        self.bus.cartridge.reset();
        self.bus.cartridge.fill_ram(&mut self.random);
        self.cpu = Cpu::reset(&mut self.bus);
        self.partial = false;
    }

    /// What a restored console is like, without its cartridge and its picture's format.
    pub(crate) fn saved(&self) -> impl Serialize {
        let Bus {
            cartridge,
            riot,
            tia,
            fetched,
        } = &self.bus;
        (
            &self.cpu,
            cartridge.banks(),
            riot,
            tia,
            fetched,
            self.random.saved(),
            self.partial,
        )
    }

    /// Becomes what was saved. After an error it is as it was.
    pub(crate) fn restore(&mut self, saved: SavedConsole) -> Result<(), &'static str> {
        let SavedConsole(cpu, banks, riot, mut tia, fetched, random, partial) = saved;
        cpu.check()?;
        riot.check()?;
        tia.adopt(self.bus.tia.display())?;
        let random = Twister::restored(&random)?;
        self.bus.cartridge.restore(banks)?;
        self.bus.riot = riot;
        self.bus.tia = tia;
        self.bus.fetched = fetched;
        (self.cpu, self.random, self.partial) = (cpu, random, partial);
        Ok(())
    }

    /// Runs one frame, or what is left of a partial one, with the controls held as they are.
    pub(crate) fn run_frame(&mut self, ports: &Ports, controls: &Controls) {
        self.bus.riot.port_a = ports.port_a(controls.action);
        self.bus.riot.port_b = controls.switches();
        self.bus.tia.inputs = ports.inputs(controls.action);
        if !self.partial {
            self.bus.tia.start_frame(self.cpu.cycles);
            self.bus.riot.rebase(self.cpu.cycles);
            self.cpu.cycles = 0;
        }
        match &mut self.written {
            None => self.cpu.run(&mut self.bus, MAX_INSTRUCTIONS),
            Some(written) => {
                written.clear();
                self.cpu.run_watched(&mut self.bus, MAX_INSTRUCTIONS, written);
            }
        }
        self.partial = !self.bus.tia.frame_done();
        if self.partial {
            self.bus.tia.end_of_partial_frame(self.cpu.cycles);
            if self.cpu.cycles > 2 * FAR {
                self.cpu.cycles -= FAR;
                self.bus.riot.rebase(FAR);
                self.bus.tia.rebase(FAR);
            }
        }
    }

    pub(crate) fn ram(&self) -> &[u8; 128] {
        &self.bus.riot.ram
    }

    /// The memory of the cartridge.
    pub(crate) fn cartridge_ram(&self) -> &[u8; 128] {
        self.bus.cartridge.ram()
    }

    /// Palette indices of the last finished frame.
    pub(crate) fn screen(&mut self) -> &[u8] {
        self.bus.tia.screen()
    }

    /// Lines of the current frame so far.
    pub(crate) fn scanlines(&self) -> u32 {
        self.bus.tia.scanlines(self.cpu.cycles)
    }

    /// Takes another picture format; the picture starts anew.
    pub(crate) fn set_display(&mut self, display: Display) {
        self.bus.tia = Tia::new(display);
    }

    fn random_timer(random: &mut Twister) -> u8 {
        25 + (random.next_u32() % 75) as u8
    }
}
