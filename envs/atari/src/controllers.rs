//! Joysticks, paddles and the console's switches, as the chips read them.
//!
//! ```text
//! SWCHA  bits 7-4: right, left, down, up of the left stick; 3-0 of the right stick (0 = pushed)
//!        with paddles: bits 7 and 6 (3 and 2) are the buttons of a port's two paddles
//! SWCHB  bit 0 RESET, bit 1 SELECT (0 = pressed), bit 3 colour, bits 6 and 7 left and right difficulty (1 = A)
//! INPT0-3 time to charge a capacitor through a paddle; INPT4-5 the sticks' buttons
//! ```

use crate::action::Action;
use crate::games::Controllers;
use crate::tia::Inputs;

/// The least resistance of a paddle, turned all the way right.
const PADDLE_MIN: i32 = 27_450;
/// How far a paddle turns in one frame.
const PADDLE_STEP: i32 = 23_000;

/// What the player and the switches do during one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Controls {
    pub(crate) action: Action,
    pub(crate) reset: bool,
    pub(crate) select: bool,
    /// Bit 0: left switch in position A; bit 1: right switch.
    pub(crate) difficulty: u32,
}

impl Controls {
    /// SWCHB.
    pub(crate) fn switches(&self) -> u8 {
        let difficulty = (self.difficulty as u8 & 3) << 6;
        0x3F & !u8::from(self.reset) & !(u8::from(self.select) << 1) | difficulty
    }
}

/// What is plugged in, and how the paddles stand. The second player's never moves.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    kind: Controllers,
    /// Resistance of the first and the second paddle.
    paddles: [i32; 2],
}

impl Ports {
    /// Paddles start at resistance 0: it is what the cartridge sees until the first [`Ports::centre_paddles`].
    pub(crate) fn new(kind: Controllers) -> Self {
        Self { kind, paddles: [0; 2] }
    }

    pub(crate) fn paddles(&self) -> [i32; 2] {
        self.paddles
    }

    /// Puts the paddles where they stood.
    pub(crate) fn restore(&mut self, paddles: [i32; 2]) -> Result<(), &'static str> {
        if !paddles.iter().all(|ohms| (0..=PADDLE_STEP * 100).contains(ohms)) {
            return Err("paddles");
        }
        self.paddles = paddles;
        Ok(())
    }

    pub(crate) fn centre_paddles(&mut self) {
        if let Controllers::Paddles { max_resistance, .. } = self.kind {
            self.paddles = [(PADDLE_MIN + max_resistance) / 2; 2];
        }
    }

    /// Turns the first paddle by one frame's worth of an action: right lowers the resistance.
    pub(crate) fn turn_paddle(&mut self, action: Action) {
        if let Controllers::Paddles { max_resistance, .. } = self.kind {
            let step = PADDLE_STEP * (i32::from(action.left()) - i32::from(action.right()));
            self.paddles[0] = (self.paddles[0] + step).clamp(PADDLE_MIN, max_resistance);
        }
    }

    /// SWCHA while `action` is done.
    pub(crate) fn port_a(&self, action: Action) -> u8 {
        match self.kind {
            Controllers::Joysticks => !(pushed(action) << 4),
            Controllers::SwappedJoysticks => !pushed(action),
            Controllers::Paddles { swapped, .. } => !(u8::from(action.fire()) << if swapped { 6 } else { 7 }),
        }
    }

    /// INPT0-5 while `action` is done.
    pub(crate) fn inputs(&self, action: Action) -> Inputs {
        match self.kind {
            Controllers::Joysticks => Inputs {
                paddle_resistance: [None; 4],
                fire_pressed: [action.fire(), false],
            },
            Controllers::SwappedJoysticks => Inputs {
                paddle_resistance: [None; 4],
                fire_pressed: [false, action.fire()],
            },
            Controllers::Paddles {
                swapped, both_ports, ..
            } => {
                let [first, second] = self.paddles;
                let (left, right) = if swapped { (second, first) } else { (first, second) };
                // Nobody holds the paddles of the right port: they stand at 0.
                let other = both_ports.then_some(0);
                Inputs {
                    paddle_resistance: [Some(left), Some(right), other, other],
                    fire_pressed: [false; 2],
                }
            }
        }
    }
}

/// The four directions of a stick, as they lie in SWCHA, with 1 for pushed.
fn pushed(action: Action) -> u8 {
    u8::from(action.up()) | u8::from(action.down()) << 1 | u8::from(action.left()) << 2 | u8::from(action.right()) << 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const PADDLES: Controllers = Controllers::Paddles {
        swapped: false,
        both_ports: false,
        max_resistance: 790_196,
    };

    #[test]
    fn the_left_joystick_pulls_bits_4_to_7_low() {
        let ports = Ports::new(Controllers::Joysticks);
        assert_eq!(ports.port_a(Action::Noop), 0xFF);
        assert_eq!(ports.port_a(Action::Up), 0xEF);
        assert_eq!(ports.port_a(Action::DownLeftFire), 0x9F);
        assert_eq!(ports.port_a(Action::Right), 0x7F);
        assert_eq!(ports.inputs(Action::DownLeftFire).fire_pressed, [true, false]);
        assert_eq!(ports.inputs(Action::Noop).paddle_resistance, [None; 4]);
    }

    #[test]
    fn swapped_joysticks_pull_bits_0_to_3_low() {
        let ports = Ports::new(Controllers::SwappedJoysticks);
        assert_eq!(ports.port_a(Action::DownLeftFire), 0xF9);
        assert_eq!(ports.inputs(Action::DownLeftFire).fire_pressed, [false, true]);
    }

    #[test]
    fn a_paddle_starts_in_the_middle_turns_by_23000_a_frame_and_stops_at_its_ends() {
        let mut ports = Ports::new(PADDLES);
        ports.centre_paddles();
        assert_eq!(
            ports.inputs(Action::Noop).paddle_resistance,
            [Some(408_823), Some(408_823), None, None]
        );
        ports.turn_paddle(Action::UpRightFire);
        assert_eq!(ports.paddles[0], 385_823);
        for _ in 0..40 {
            ports.turn_paddle(Action::Right);
        }
        assert_eq!(ports.paddles[0], 27_450);
        for _ in 0..40 {
            ports.turn_paddle(Action::Left);
        }
        assert_eq!(ports.paddles, [790_196, 408_823]);
    }

    #[test]
    fn swapped_paddles_change_their_pins_and_buttons() {
        let mut ports = Ports::new(Controllers::Paddles {
            swapped: true,
            both_ports: true,
            max_resistance: 790_196,
        });
        ports.centre_paddles();
        ports.turn_paddle(Action::Left);
        let inputs = ports.inputs(Action::Fire);
        assert_eq!(
            inputs.paddle_resistance,
            [Some(408_823), Some(431_823), Some(0), Some(0)]
        );
        assert_eq!(inputs.fire_pressed, [false, false], "a paddle's button is not on INPT4");
        assert_eq!(ports.port_a(Action::Fire), 0xBF);
        assert_eq!(Ports::new(PADDLES).port_a(Action::Fire), 0x7F);
    }

    #[test]
    fn switches_are_low_when_pressed_and_difficulty_a_is_high() {
        let idle = Controls {
            action: Action::Noop,
            reset: false,
            select: false,
            difficulty: 0,
        };
        assert_eq!(idle.switches(), 0x3F);
        assert_eq!(Controls { reset: true, ..idle }.switches(), 0x3E);
        assert_eq!(Controls { select: true, ..idle }.switches(), 0x3D);
        assert_eq!(Controls { difficulty: 1, ..idle }.switches(), 0x7F);
        assert_eq!(Controls { difficulty: 3, ..idle }.switches(), 0xFF);
    }
}
