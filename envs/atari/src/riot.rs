//! The 6532 RIOT: 128 bytes of RAM, two ports and a timer, as ALE's console has them.
//!
//! Times are CPU cycles since the start of the frame; [`Riot::rebase`] moves them when a frame starts.
//!
//! ```text
//! $080-$0FF  RAM
//! $280 SWCHA (joysticks, paddle buttons)     $284, $286 INTIM, the timer
//! $281 DDRA                                  $285, $287 INSTAT: bit 7 = the timer ran out and was not read since
//! $282 SWCHB (console switches)              $294-$297 TIM1T TIM8T TIM64T T1024T, the timer with its prescale
//! ```

use serde::{Deserialize, Serialize};

/// Logarithms of the prescales of TIM1T, TIM8T, TIM64T and T1024T.
const SHIFTS: [u32; 4] = [0, 3, 6, 10];

/// The 6532 RIOT.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Riot {
    #[serde(with = "serde_bytes")]
    pub(crate) ram: [u8; 128],
    /// What SWCHA and SWCHB read; set before each frame.
    pub(crate) port_a: u8,
    pub(crate) port_b: u8,
    ddr_a: u8,
    timer: u8,
    /// The timer counts once every `1 << shift` cycles until it runs out.
    shift: u32,
    set_at: u32,
    /// When the timer was first read after it ran out.
    late_read_at: Option<u32>,
}

impl Riot {
    /// `ram` is what the memory holds when the console is switched on. [`Riot::reset`] must follow.
    pub(crate) fn new(ram: [u8; 128]) -> Self {
        Self {
            ram,
            port_a: 0xFF,
            port_b: 0x3F,
            ddr_a: 0,
            timer: 0,
            shift: 6,
            set_at: 0,
            late_read_at: None,
        }
    }

    /// Whether a saved one can be run.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        SHIFTS.contains(&self.shift).then_some(()).ok_or("timer")
    }

    /// A system reset at cycle 0. RAM stays as it is.
    pub(crate) fn reset(&mut self, timer: u8) {
        *self = Self {
            ram: self.ram,
            port_a: self.port_a,
            port_b: self.port_b,
            ..Self::new(self.ram)
        };
        self.timer = timer;
    }

    /// A frame of `elapsed` cycles is over: cycles count from 0 again.
    pub(crate) fn rebase(&mut self, elapsed: u32) {
        self.set_at = self.set_at.wrapping_sub(elapsed);
        self.late_read_at = self.late_read_at.map(|at| at.wrapping_sub(elapsed));
    }

    /// Reads a port or the timer (A7 and A9 set).
    pub(crate) fn read(&mut self, address: u16, cycles: u32) -> u8 {
        match address & 7 {
            0 => self.port_a,
            1 => self.ddr_a,
            2 => self.port_b,
            3 => 0, // DDRB is wired to input.
            4 | 6 => self.read_timer(cycles),
            _ if self.counts_left(cycles) < 0 && self.late_read_at.is_none() => 0x80,
            _ => 0,
        }
    }

    /// Whether the timer is what a read of this address of the bus reads.
    #[inline(always)]
    pub(crate) fn is_timer(address: u16) -> bool {
        address & 0x1285 == 0x0284
    }

    /// How many reads of the timer, one every `period` cycles from `cycles` on, find it counting between 1 and `most`.
    pub(crate) fn reads_while_counting(&self, cycles: u32, period: u32, most: i32) -> u32 {
        if !(1..=most).contains(&self.counts_left(cycles)) {
            return 0;
        }
        let at_1_until = u32::from(self.timer.saturating_sub(1)) << self.shift;
        at_1_until.saturating_sub(self.elapsed(cycles)).div_ceil(period)
    }

    /// Writes a port's direction or the timer (A7 and A9 set). What is written to the ports themselves reaches nothing.
    pub(crate) fn write(&mut self, address: u16, value: u8, cycles: u32) {
        if address & 0x14 == 0x14 {
            self.timer = value;
            self.shift = SHIFTS[usize::from(address & 3)];
            self.set_at = cycles;
            self.late_read_at = None;
        } else if address & 7 == 1 {
            self.ddr_a = value;
        }
    }

    /// What the timer shows while it counts; negative once it ran out. A read sees the cycle before its instruction's end.
    fn counts_left(&self, cycles: u32) -> i32 {
        let counted = (self.elapsed(cycles) >> self.shift) as i32;
        i32::from(self.timer).wrapping_sub(counted).wrapping_sub(1)
    }

    fn elapsed(&self, cycles: u32) -> u32 {
        cycles.wrapping_sub(1).wrapping_sub(self.set_at)
    }

    /// The timer counts single cycles after it ran out, until it is read: from then on it counts with its prescale again, from
    /// where it stood.
    fn read_timer(&mut self, cycles: u32) -> u8 {
        let left = self.counts_left(cycles);
        if left >= 0 {
            return left as u8;
        }
        let runs_out_at = u32::from(self.timer) << self.shift;
        let overrun = runs_out_at.wrapping_sub(self.elapsed(cycles)).wrapping_sub(1) as i32;
        if overrun <= -2 && self.late_read_at.is_none() {
            self.late_read_at = Some(cycles);
        }
        match self.late_read_at {
            None => overrun as u8,
            Some(at) => {
                let late_by = at.wrapping_sub(self.set_at.wrapping_add(runs_out_at)) as i32;
                (left + 1).wrapping_sub(late_by) as u8
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTIM: u16 = 0x284;
    const INSTAT: u16 = 0x285;
    const TIM1T: u16 = 0x294;
    const TIM8T: u16 = 0x295;
    const TIM64T: u16 = 0x296;
    const T1024T: u16 = 0x297;

    fn riot() -> Riot {
        let mut riot = Riot::new([0; 128]);
        riot.reset(25);
        riot
    }

    #[test]
    fn the_timer_shows_one_less_from_the_first_cycle_and_counts_with_its_prescale() {
        for (register, prescale) in [(TIM1T, 1), (TIM8T, 8), (TIM64T, 64), (T1024T, 1024)] {
            let mut riot = riot();
            riot.write(register, 10, 100);
            assert_eq!(riot.read(INTIM, 101), 9, "prescale {prescale}");
            assert_eq!(riot.read(INTIM, 100 + prescale), 9, "prescale {prescale}");
            assert_eq!(riot.read(INTIM, 101 + prescale), 8, "prescale {prescale}");
            assert_eq!(riot.read(INTIM, 101 + 9 * prescale), 0, "prescale {prescale}");
        }
    }

    #[test]
    fn after_a_reset_the_timer_counts_in_64s() {
        let mut riot = riot();
        assert_eq!(riot.read(INTIM, 1), 24);
        assert_eq!(riot.read(INTIM, 65), 23);
    }

    #[test]
    fn the_status_is_set_when_the_timer_ran_out_until_the_timer_is_read() {
        let mut riot = riot();
        riot.write(TIM8T, 2, 0);
        assert_eq!(riot.read(INSTAT, 16), 0);
        assert_eq!(riot.read(INSTAT, 17), 0x80);
        assert_eq!(riot.read(INSTAT, 40), 0x80, "reading the status leaves it");
        riot.read(INTIM, 40);
        assert_eq!(riot.read(INSTAT, 44), 0);
        riot.write(TIM8T, 1, 50);
        assert_eq!(riot.read(INSTAT, 70), 0x80, "the timer was set again");
    }

    #[test]
    fn reads_while_counting_are_those_that_a_loop_finds() {
        for register in [TIM1T, TIM8T, TIM64T] {
            for (timer, from, period, most) in [
                (40, 3, 9, 0xFF),
                (1, 1, 9, 0xFF),
                (200, 5, 10, 0x7F),
                (128, 5, 10, 0x7F),
            ] {
                let mut riot = riot();
                riot.write(register, timer, 0);
                let counted = riot.reads_while_counting(from, period, most);
                // Once it ran out, it shows more than before.
                let mut before = most;
                let reads = (0..).map(|read| i32::from(riot.read(INTIM, from + read * period)));
                let expected = reads
                    .take_while(|&value| (1..=std::mem::replace(&mut before, value)).contains(&value))
                    .count();
                assert_eq!(counted, expected as u32, "{timer} in {register:X}");
                riot.write(register, 0, 0);
                assert_eq!(riot.reads_while_counting(from, period, most), 0, "it ran out at once");
            }
        }
    }

    #[test]
    fn rebasing_changes_no_reading() {
        let (mut whole, mut rebased) = (riot(), riot());
        for riot in [&mut whole, &mut rebased] {
            riot.write(TIM64T, 3, 1000);
            riot.read(INTIM, 1500);
        }
        rebased.rebase(19_912);
        for cycles in [19_913, 20_500, 40_000] {
            assert_eq!(rebased.read(INTIM, cycles - 19_912), whole.read(INTIM, cycles));
        }
    }

    #[test]
    fn ports_read_the_pins_whatever_the_directions() {
        let mut riot = riot();
        riot.port_a = 0x7F;
        riot.port_b = 0x3E;
        riot.write(0x281, 0xF0, 0);
        riot.write(0x280, 0x00, 0);
        riot.write(0x283, 0xFF, 0);
        assert_eq!(riot.read(0x280, 1), 0x7F);
        assert_eq!(riot.read(0x281, 1), 0xF0);
        assert_eq!(riot.read(0x282, 1), 0x3E);
        assert_eq!(riot.read(0x283, 1), 0);
    }
}
