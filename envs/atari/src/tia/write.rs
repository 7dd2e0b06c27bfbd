//! What a write to each register does, and when.
//!
//! A write takes effect some colour clocks after its cycle; what lies before is drawn with the old value first. Writes that
//! change nothing draw nothing, so that spans between changes are as long as they can be.

use super::Tia;
use super::draw::{BALL, MISSILE_0, PLAYER_0, PLAYFIELD, Priority};
use super::motion::{self, LINE, moved};
use super::objects::{Reset, Shape};

/// Registers by address.
mod register {
    pub(super) const VSYNC: u16 = 0x00;
    pub(super) const VBLANK: u16 = 0x01;
    pub(super) const WSYNC: u16 = 0x02;
    pub(super) const NUSIZ0: u16 = 0x04;
    pub(super) const NUSIZ1: u16 = 0x05;
    pub(super) const COLUP0: u16 = 0x06;
    pub(super) const COLUP1: u16 = 0x07;
    pub(super) const COLUPF: u16 = 0x08;
    pub(super) const COLUBK: u16 = 0x09;
    pub(super) const CTRLPF: u16 = 0x0A;
    pub(super) const REFP0: u16 = 0x0B;
    pub(super) const REFP1: u16 = 0x0C;
    pub(super) const PF0: u16 = 0x0D;
    pub(super) const PF2: u16 = 0x0F;
    pub(super) const RESP0: u16 = 0x10;
    pub(super) const RESP1: u16 = 0x11;
    pub(super) const RESM0: u16 = 0x12;
    pub(super) const RESM1: u16 = 0x13;
    pub(super) const RESBL: u16 = 0x14;
    pub(super) const GRP0: u16 = 0x1B;
    pub(super) const GRP1: u16 = 0x1C;
    pub(super) const ENAM0: u16 = 0x1D;
    pub(super) const ENAM1: u16 = 0x1E;
    pub(super) const ENABL: u16 = 0x1F;
    pub(super) const HMP0: u16 = 0x20;
    pub(super) const HMP1: u16 = 0x21;
    pub(super) const HMM0: u16 = 0x22;
    pub(super) const HMM1: u16 = 0x23;
    pub(super) const HMBL: u16 = 0x24;
    pub(super) const VDELP0: u16 = 0x25;
    pub(super) const VDELP1: u16 = 0x26;
    pub(super) const VDELBL: u16 = 0x27;
    pub(super) const RESMP0: u16 = 0x28;
    pub(super) const RESMP1: u16 = 0x29;
    pub(super) const HMOVE: u16 = 0x2A;
    pub(super) const HMCLR: u16 = 0x2B;
    pub(super) const CXCLR: u16 = 0x2C;
}
use register::*;

/// Colour clocks from the cycle of a write to its effect, by register.
static DELAY: [u8; 64] = {
    let mut delay = [0; 64];
    delay[VBLANK as usize] = 1;
    delay[NUSIZ0 as usize] = 8;
    delay[NUSIZ1 as usize] = 8;
    delay[REFP0 as usize] = 1;
    delay[REFP1 as usize] = 1;
    delay[RESM0 as usize] = 8;
    delay[GRP0 as usize] = 1;
    delay[GRP1 as usize] = 1;
    delay
};

/// The same for the playfield, which is drawn four pixels at a time, by the cycle of the line modulo 4.
const PLAYFIELD_DELAY: [i32; 4] = [4, 5, 2, 3];

/// Colour clock of a line from which on a change of the playfield's reflection waits for the next line.
const REFLECTION_LATCH: i32 = 147;
/// Colour clocks for which a player that is being shown goes on when it is positioned anew.
const SHOWN_ON: i32 = 11;
/// Colour clocks from an HMOVE to the change of HMM0 that keeps missile 0 from ever ending its motion.
const STAR_FIELD: i32 = 63;

/// When the write at colour clock `time` takes effect.
fn effect(register: u16, time: i32) -> i32 {
    if let PF0..=PF2 = register {
        time + PLAYFIELD_DELAY[((time / 3) & 3) as usize]
    } else {
        time + i32::from(DELAY[usize::from(register)])
    }
}

impl Tia {
    /// Does what a write of `value` to `register` does to the picture. `cycles` and `time` are its CPU cycle and colour clock.
    #[inline]
    pub(super) fn write_register(&mut self, register: u16, value: u8, cycles: u32, time: i32) {
        let effect = effect(register, time);
        self.beam.due = effect;
        let index = usize::from(register & 1);
        match register {
            VSYNC => self.write_vsync(value, time),
            VBLANK => self.write_vblank(value, cycles, effect),
            NUSIZ0 | NUSIZ1 => self.write_number_size(index, value, effect),
            COLUP0..=COLUBK => self.write_color(register, value, effect),
            CTRLPF => self.write_control(value, time),
            REFP0 => self.write_reflection(0, value, effect),
            REFP1 => self.write_reflection(1, value, effect),
            PF0..=PF2 => self.write_playfield(usize::from(register - PF0), value, effect),
            RESP0 | RESP1 => self.position_player(index, time),
            RESM0 | RESM1 => self.position_missile(index, time, effect),
            RESBL => self.position_ball(time),
            GRP0 => self.write_graphics(0, value, effect),
            GRP1 => self.write_graphics(1, value, effect),
            ENAM0 => self.enable_missile(0, value, effect),
            ENAM1 => self.enable_missile(1, value, effect),
            ENABL => self.enable_ball(value, effect),
            HMM0 => self.write_missile_motion(value >> 4, time),
            HMP0 | HMP1 => self.objects.players[index].motion = value >> 4,
            HMM1 => self.objects.missiles[1].motion = value >> 4,
            HMBL => self.objects.ball.motion = value >> 4,
            VDELP0 => self.delay_player(0, value, effect),
            VDELP1 => self.delay_player(1, value, effect),
            VDELBL => self.delay_ball(value, effect),
            RESMP0 | RESMP1 => self.lock_missile(index, value, effect),
            HMOVE => self.start_motion(time),
            HMCLR => self.clear_motion(),
            CXCLR => {
                self.catch_up(time);
                self.collisions = Default::default();
            }
            _ => {} // Sound, and WSYNC, which is the caller's.
        }
    }

    fn write_vsync(&mut self, value: u8, time: i32) {
        if value & 2 != 0 {
            self.vsync_end = time + LINE;
        } else if time >= self.vsync_end {
            self.vsync_end = i32::MAX;
            self.catch_up(time);
            self.frame_done = true;
        }
    }

    fn write_vblank(&mut self, value: u8, cycles: u32, effect: i32) {
        self.dump.set(value & 0x80 != 0, cycles);
        let blank = value & 2 != 0;
        if self.blank != blank {
            self.catch_up(effect);
            self.blank = blank;
        }
    }

    /// Draws up to `effect`, because the layer is about to change.
    #[inline]
    fn change(&mut self, layer: usize, effect: i32) {
        self.catch_up(effect);
        self.dirty |= 1 << layer;
    }

    fn write_number_size(&mut self, index: usize, value: u8, effect: i32) {
        let (number_size, width_log2) = (value & 7, value >> 4 & 3);
        let (player, missile) = (&self.objects.players[index], &self.objects.missiles[index]);
        let same = player.number_size == number_size && missile.width_log2 == width_log2;
        if same && !player.first_copy_hidden && missile.shape == Shape::Normal {
            return;
        }
        self.change(PLAYER_0 + 2 * index, effect);
        self.dirty |= 1 << (MISSILE_0 + 2 * index);
        let player = &mut self.objects.players[index];
        player.number_size = number_size;
        player.first_copy_hidden = false;
        let missile = &mut self.objects.missiles[index];
        missile.number_size = number_size;
        missile.width_log2 = width_log2;
        missile.shape = Shape::Normal;
    }

    fn write_color(&mut self, register: u16, value: u8, effect: i32) {
        let mut colors = self.colors;
        let color = value & 0xFE | self.color_loss;
        match register {
            COLUP0 => colors.player[0] = color,
            COLUP1 => colors.player[1] = color,
            COLUPF => colors.playfield = color,
            _ => colors.background = color,
        }
        if colors != self.colors {
            self.catch_up(effect);
            self.colors = colors;
        }
    }

    fn write_control(&mut self, value: u8, time: i32) {
        if self.control == value {
            return;
        }
        self.catch_up(time);
        self.control = value;
        self.priority = Priority::from_control(value);
        self.objects.ball.width_log2 = value >> 4 & 3;
        self.dirty |= 1 << BALL;
        if time % LINE < REFLECTION_LATCH {
            self.objects.playfield.reflected = value & 1 != 0;
            self.dirty |= 1 << PLAYFIELD;
        }
    }

    fn write_reflection(&mut self, index: usize, value: u8, effect: i32) {
        let reflected = value & 8 != 0;
        if self.objects.players[index].reflected != reflected {
            self.change(PLAYER_0 + 2 * index, effect);
            self.objects.players[index].reflected = reflected;
        }
    }

    fn write_playfield(&mut self, index: usize, value: u8, effect: i32) {
        if self.objects.playfield.bits[index] != value {
            self.change(PLAYFIELD, effect);
            self.objects.playfield.bits[index] = value;
        }
    }

    fn position_player(&mut self, index: usize, time: i32) {
        let x = motion::player_position(time % LINE);
        let reset = self.objects.players[index].reset_to(x);
        let shown_on = if reset == Reset::Showing { SHOWN_ON } else { 0 };
        self.change(PLAYER_0 + 2 * index, time + shown_on);
        let player = &mut self.objects.players[index];
        player.x = x;
        player.first_copy_hidden = reset != Reset::Starting;
        self.beam.due = time + shown_on;
    }

    fn position_missile(&mut self, index: usize, time: i32, effect: i32) {
        let x = motion::missile_position(index, time % LINE, time.saturating_sub(self.hmove_time));
        self.change(MISSILE_0 + 2 * index, effect);
        let missile = &mut self.objects.missiles[index];
        missile.x = x;
        missile.shape = Shape::Normal;
    }

    fn position_ball(&mut self, time: i32) {
        let x = motion::ball_position(time % LINE, time.saturating_sub(self.hmove_time));
        self.change(BALL, time);
        self.objects.ball.x = x;
    }

    /// A write to one player's graphics also shifts the other player's, and for GRP1 the ball's enabling, into their delay.
    fn write_graphics(&mut self, index: usize, value: u8, effect: i32) {
        let other = self.objects.players[1 - index];
        if self.objects.players[index].graphics != value {
            if self.objects.players[index].delayed {
                self.objects.players[index].graphics = value;
            } else {
                self.change(PLAYER_0 + 2 * index, effect);
                self.objects.players[index].graphics = value;
            }
        }
        if other.old_graphics != other.graphics {
            if other.delayed {
                self.change(PLAYER_0 + 2 * (1 - index), effect);
            }
            self.objects.players[1 - index].old_graphics = other.graphics;
        }
        let ball = self.objects.ball;
        if index == 1 && ball.old_enabled != ball.enabled {
            if ball.delayed {
                self.change(BALL, effect);
            }
            self.objects.ball.old_enabled = ball.enabled;
        }
    }

    fn enable_missile(&mut self, index: usize, value: u8, effect: i32) {
        let enabled = value & 2 != 0;
        if self.objects.missiles[index].enabled != enabled {
            self.change(MISSILE_0 + 2 * index, effect);
            self.objects.missiles[index].enabled = enabled;
        }
    }

    fn enable_ball(&mut self, value: u8, effect: i32) {
        let enabled = value & 2 != 0;
        if self.objects.ball.enabled != enabled {
            if !self.objects.ball.delayed {
                self.change(BALL, effect);
            }
            self.objects.ball.enabled = enabled;
        }
    }

    fn delay_player(&mut self, index: usize, value: u8, effect: i32) {
        let delayed = value & 1 != 0;
        if self.objects.players[index].delayed != delayed {
            self.change(PLAYER_0 + 2 * index, effect);
            self.objects.players[index].delayed = delayed;
        }
    }

    fn delay_ball(&mut self, value: u8, effect: i32) {
        let delayed = value & 1 != 0;
        if self.objects.ball.delayed != delayed {
            self.change(BALL, effect);
            self.objects.ball.delayed = delayed;
        }
    }

    fn lock_missile(&mut self, index: usize, value: u8, effect: i32) {
        let locked = value & 2 != 0;
        if self.objects.missiles[index].locked == locked {
            return;
        }
        self.change(MISSILE_0 + 2 * index, effect);
        let player = &self.objects.players[index];
        let missile = &mut self.objects.missiles[index];
        if !locked {
            missile.x = moved(player.x, player.middle() as i8);
        }
        missile.locked = locked;
    }

    fn write_missile_motion(&mut self, motion: u8, time: i32) {
        let missile = &mut self.objects.missiles[0];
        if missile.motion == 7 && motion == 6 && time.saturating_sub(self.hmove_time) == STAR_FIELD {
            self.catch_up(time);
            self.star_field = Some(0);
        }
        self.objects.missiles[0].motion = motion;
    }

    /// HMOVE: moves every object at once.
    fn start_motion(&mut self, time: i32) {
        self.catch_up(time);
        let cycle = (time % LINE / 3) as u8;
        self.hmove_time = time;
        self.hmove_blank = self.display.hmove_blanks && motion::blanks(cycle);
        self.star_field = None;
        let step = |x: &mut u8, nibble: u8| *x = moved(*x, motion::shift(cycle, nibble));
        for player in &mut self.objects.players {
            step(&mut player.x, player.motion);
            player.first_copy_hidden = false;
        }
        for missile in &mut self.objects.missiles {
            step(&mut missile.x, missile.motion);
            missile.shape = Shape::Normal;
        }
        let ball = &mut self.objects.ball;
        step(&mut ball.x, ball.motion);
        self.dirty |= (1 << PLAYFIELD) - 1;
    }

    fn clear_motion(&mut self) {
        let objects = &mut self.objects;
        objects.players.iter_mut().for_each(|player| player.motion = 0);
        objects.missiles.iter_mut().for_each(|missile| missile.motion = 0);
        objects.ball.motion = 0;
    }
}

/// The register that stops the processor until the end of the line.
pub(super) const STOP_UNTIL_LINE_END: u16 = WSYNC;
