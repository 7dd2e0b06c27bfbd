//! Where objects go: horizontal motion (HMOVE), positions set by a strobe (RESxx), and their special cases.
//!
//! A position strobe puts an object where the beam is, a few pixels late. HMOVE shifts every object by the nibble of its motion
//! register. Both depend on when in the line they are strobed.

use super::line_mask::WIDTH;

/// Colour clocks of a line.
pub(super) const LINE: i32 = 228;
/// Colour clocks of a line before its first pixel.
pub(super) const BLANK: i32 = 68;

/// Pixels by which HMOVE moves an object to the right (to the left if negative), by the CPU cycle of the line in which it is
/// strobed and the nibble of the object's motion register.
pub(super) fn shift(cycle: u8, motion: u8) -> i8 {
    let full = -(((motion << 4) as i8) >> 4);
    // The chip's clock of motion pulses: one every four colour clocks.
    let pulses = ((3 * u16::from(cycle) + 1) / 4) as i8;
    match cycle {
        0..=3 | 75 => full,
        // Some pulses to the left come too late.
        4..=20 => full.max(pulses - 9),
        21..=53 => 0,
        // Some come before the next line begins, and its first eight clocks are not delayed.
        _ => (full + 47 - pulses).min(0),
    }
}

/// Whether an HMOVE in this CPU cycle of the line blackens the first eight pixels of a line.
pub(super) fn blanks(cycle: u8) -> bool {
    cycle <= 20 || cycle == 75
}

/// The position after a motion.
pub(super) fn moved(x: u8, by: i8) -> u8 {
    (i32::from(x) + i32::from(by)).rem_euclid(WIDTH as i32) as u8
}

/// Where a player lands that is positioned by a strobe at colour clock `clock` of the line.
pub(super) fn player_position(clock: i32) -> u8 {
    strobed(clock, 3, 5)
}

/// Where a missile or the ball lands that is positioned by a strobe at colour clock `clock` of the line.
pub(super) fn position(clock: i32) -> u8 {
    strobed(clock, 2, 4)
}

fn strobed(clock: i32, in_blank: u8, late: i32) -> u8 {
    if clock < BLANK {
        in_blank
    } else {
        ((clock - BLANK + late) % WIDTH as i32) as u8
    }
}

/// An exception: an object strobed `after_hmove` colour clocks after an HMOVE, at colour clock `clock` of the line, lands at `x`.
struct Exception {
    after_hmove: i32,
    clock: i32,
    x: u8,
}

const fn exception(after_hmove: i32, clock: i32, x: u8) -> Exception {
    Exception { after_hmove, clock, x }
}

const MISSILE_0: [Exception; 1] = [exception(60, 69, 8)];
const MISSILE_1: [Exception; 1] = [exception(9, 18, 3)];
const BALL: [Exception; 5] = [
    exception(54, 60, 10),
    exception(54, 69, 10),
    exception(9, 18, 3),
    exception(21, 30, 6),
    exception(18, 27, 5),
];

/// Like [`position`], for a strobe that may come shortly after an HMOVE, which then moves the object from its new place.
fn position_after_hmove(clock: i32, after_hmove: i32, exceptions: &[Exception]) -> u8 {
    let exception = exceptions
        .iter()
        .find(|e| e.after_hmove == after_hmove && e.clock == clock);
    exception.map_or_else(|| position(clock), |exception| exception.x)
}

pub(super) fn missile_position(missile: usize, clock: i32, after_hmove: i32) -> u8 {
    position_after_hmove(clock, after_hmove, if missile == 0 { &MISSILE_0 } else { &MISSILE_1 })
}

pub(super) fn ball_position(clock: i32, after_hmove: i32) -> u8 {
    position_after_hmove(clock, after_hmove, &BALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmove_moves_as_measured_in_every_cycle_and_by_every_nibble() {
        // What `tools/measure_hmove.py` finds on ale-py's screen.
        let measured: Vec<Vec<i8>> = include_str!("hmove.csv")
            .lines()
            .map(|row| row.split(',').map(|by| by.parse().unwrap()).collect())
            .collect();
        let ours: Vec<Vec<i8>> = (0..76)
            .map(|cycle| (0..16).map(|nibble| shift(cycle, nibble)).collect())
            .collect();
        assert_eq!(ours, measured);
    }
}
