//! What a write to each register does, and when.
//!
//! A write takes effect some colour clocks after its cycle; what lies before is drawn with the old value first. Writes that
//! change nothing draw nothing, so that spans between changes are as long as they can be.

use super::beam::Canvas;
use super::draw::{BALL, MISSILE_0, MISSILE_1, PLAYER_0, PLAYER_1, PLAYFIELD, Priority};
use super::log::Write;
use super::motion::{self, LINE, moved};
use super::objects::{Reset, Shape};
use super::picture::Picture;
use super::registers::*;

/// Colour clocks from the cycle of a write to its effect, by register.
static DELAY: [u8; 64] = {
    let mut delay = [0; 64];
    delay[VBLANK as usize] = 1;
    delay[NUSIZ0 as usize] = 8;
    delay[NUSIZ1 as usize] = 8;
    delay[REFP0 as usize] = 1;
    delay[REFP1 as usize] = 1;
    delay[RESM0 as usize] = 8;
    delay[RESM1 as usize] = 8;
    delay[GRP0 as usize] = 1;
    delay[GRP1 as usize] = 1;
    delay
};

/// The same for the playfield, which is drawn four pixels at a time, by the cycle of the line modulo 4.
const PLAYFIELD_DELAY: [i32; 4] = [4, 5, 2, 3];

/// Colour clock of a line from which on a change of the playfield's reflection waits for the next line.
const REFLECTION_LATCH: i32 = 147;
/// Colour clocks for which a player that is being drawn continues when it is repositioned.
const SHOWN_ON: i32 = 11;
/// Colour clocks from an HMOVE to the change of HMM0 that keeps missile 0 from ever ending its motion.
const STAR_FIELD: i32 = 63;

/// When the write at colour clock `time` takes effect.
pub(super) fn effect(register: u8, time: i32) -> i32 {
    if let PF0..=PF2 = register {
        time + PLAYFIELD_DELAY[((time / 3) & 3) as usize]
    } else {
        time + i32::from(DELAY[usize::from(register)])
    }
}

impl Picture {
    /// Does what a write does to the picture.
    #[inline(always)]
    pub(super) fn write<C: Canvas>(&mut self, write: Write, canvas: &mut C) {
        let Write {
            cycles,
            register,
            value,
        } = write;
        let time = self.time(cycles);
        let effect = effect(register, time);
        let index = usize::from(register & 1);
        match register {
            VBLANK => {
                self.catch_up(effect, canvas);
                self.blank = value & 2 != 0;
            }
            NUSIZ0 | NUSIZ1 => self.write_number_size(index, value, effect, canvas),
            COLUP0..=COLUBK => self.write_color(register, value, effect, canvas),
            CTRLPF => self.write_control(value, time, canvas),
            REFP0 => self.write_reflection(0, value, effect, canvas),
            REFP1 => self.write_reflection(1, value, effect, canvas),
            PF0..=PF2 => self.write_playfield(usize::from(register - PF0), value, effect, canvas),
            RESP0 | RESP1 => self.position_player(index, time, canvas),
            RESM0 | RESM1 => self.position_missile(index, time, effect, canvas),
            RESBL => self.position_ball(time, canvas),
            GRP0 => self.write_graphics(0, value, effect, canvas),
            GRP1 => self.write_graphics(1, value, effect, canvas),
            ENAM0 => self.enable_missile(0, value, effect, canvas),
            ENAM1 => self.enable_missile(1, value, effect, canvas),
            ENABL => self.enable_ball(value, effect, canvas),
            HMM0 => self.write_missile_motion(value >> 4, time, canvas),
            HMP0 | HMP1 => self.objects.players[index].motion = value >> 4,
            HMM1 => self.objects.missiles[1].motion = value >> 4,
            HMBL => self.objects.ball.motion = value >> 4,
            VDELP0 => self.delay_player(0, value, effect, canvas),
            VDELP1 => self.delay_player(1, value, effect, canvas),
            VDELBL => self.delay_ball(value, effect, canvas),
            RESMP0 | RESMP1 => self.lock_missile(index, value, effect, canvas),
            HMOVE => self.start_motion(time, canvas),
            HMCLR => self.clear_motion(),
            CXCLR => {
                self.catch_up(time, canvas);
                self.collisions = Default::default();
                self.settled = false;
            }
            _ => {} // Nothing that is seen.
        }
    }

    /// Draws up to `effect`, because the layer is about to change.
    #[inline]
    fn change<C: Canvas>(&mut self, layer: usize, effect: i32, canvas: &mut C) {
        self.catch_up(effect, canvas);
        self.dirty |= 1 << layer;
        self.settled = false;
    }

    fn write_number_size<C: Canvas>(&mut self, index: usize, value: u8, effect: i32, canvas: &mut C) {
        let (number_size, width_log2) = (value & 7, value >> 4 & 3);
        let (player, missile) = (&self.objects.players[index], &self.objects.missiles[index]);
        let same = player.number_size == number_size && missile.width_log2 == width_log2;
        if same && !player.first_copy_hidden && missile.shape == Shape::Normal {
            return;
        }
        self.change(PLAYER_0 + 2 * index, effect, canvas);
        self.dirty |= 1 << (MISSILE_0 + 2 * index);
        let player = &mut self.objects.players[index];
        player.number_size = number_size;
        player.first_copy_hidden = false;
        let missile = &mut self.objects.missiles[index];
        missile.number_size = number_size;
        missile.width_log2 = width_log2;
        missile.shape = Shape::Normal;
    }

    fn write_color<C: Canvas>(&mut self, register: u8, value: u8, effect: i32, canvas: &mut C) {
        let mut colors = self.colors;
        let color = value & 0xFE | self.color_loss;
        match register {
            COLUP0 => colors.player[0] = color,
            COLUP1 => colors.player[1] = color,
            COLUPF => colors.playfield = color,
            _ => colors.background = color,
        }
        // Colours do not collide.
        if C::PIXELS && colors != self.colors {
            self.catch_up(effect, canvas);
        }
        self.colors = colors;
    }

    fn write_control<C: Canvas>(&mut self, value: u8, time: i32, canvas: &mut C) {
        if self.control == value {
            return;
        }
        self.catch_up(time, canvas);
        self.control = value;
        self.priority = Priority::from_control(value);
        self.objects.ball.width_log2 = value >> 4 & 3;
        self.dirty |= 1 << BALL;
        if time % LINE < REFLECTION_LATCH {
            self.objects.playfield.reflected = value & 1 != 0;
            self.dirty |= 1 << PLAYFIELD;
        }
    }

    fn write_reflection<C: Canvas>(&mut self, index: usize, value: u8, effect: i32, canvas: &mut C) {
        let reflected = value & 8 != 0;
        if self.objects.players[index].reflected != reflected {
            self.change(PLAYER_0 + 2 * index, effect, canvas);
            self.objects.players[index].reflected = reflected;
        }
    }

    fn write_playfield<C: Canvas>(&mut self, index: usize, value: u8, effect: i32, canvas: &mut C) {
        if self.objects.playfield.bits[index] != value {
            self.catch_up(effect, canvas);
            self.dirty |= 1 << PLAYFIELD;
            let playfield = &mut self.objects.playfield;
            // What was visible before can do no more than it could.
            self.settled &= playfield.is_visible();
            playfield.bits[index] = value;
        }
    }

    fn position_player<C: Canvas>(&mut self, index: usize, time: i32, canvas: &mut C) {
        let x = motion::player_position(time % LINE);
        let reset = self.objects.players[index].reset_to(x);
        let shown_on = if reset == Reset::Showing { SHOWN_ON } else { 0 };
        self.change(PLAYER_0 + 2 * index, time + shown_on, canvas);
        let player = &mut self.objects.players[index];
        player.x = x;
        player.first_copy_hidden = reset != Reset::Starting;
    }

    fn position_missile<C: Canvas>(&mut self, index: usize, time: i32, effect: i32, canvas: &mut C) {
        let x = motion::missile_position(index, time % LINE, time.saturating_sub(self.hmove_time));
        self.change(MISSILE_0 + 2 * index, effect, canvas);
        let missile = &mut self.objects.missiles[index];
        missile.x = x;
        missile.shape = Shape::Normal;
    }

    fn position_ball<C: Canvas>(&mut self, time: i32, canvas: &mut C) {
        let x = motion::ball_position(time % LINE, time.saturating_sub(self.hmove_time));
        self.change(BALL, time, canvas);
        self.objects.ball.x = x;
    }

    /// A write to one player's graphics also shifts the other player's, and for GRP1 the ball's enabling, into their delay.
    fn write_graphics<C: Canvas>(&mut self, index: usize, value: u8, effect: i32, canvas: &mut C) {
        let other = self.objects.players[1 - index];
        if self.objects.players[index].graphics != value {
            if self.objects.players[index].delayed {
                self.objects.players[index].graphics = value;
            } else {
                self.change(PLAYER_0 + 2 * index, effect, canvas);
                self.objects.players[index].graphics = value;
            }
        }
        if other.old_graphics != other.graphics {
            if other.delayed {
                self.change(PLAYER_0 + 2 * (1 - index), effect, canvas);
            }
            self.objects.players[1 - index].old_graphics = other.graphics;
        }
        let ball = self.objects.ball;
        if index == 1 && ball.old_enabled != ball.enabled {
            if ball.delayed {
                self.change(BALL, effect, canvas);
            }
            self.objects.ball.old_enabled = ball.enabled;
        }
    }

    fn enable_missile<C: Canvas>(&mut self, index: usize, value: u8, effect: i32, canvas: &mut C) {
        let enabled = value & 2 != 0;
        if self.objects.missiles[index].enabled != enabled {
            self.change(MISSILE_0 + 2 * index, effect, canvas);
            self.objects.missiles[index].enabled = enabled;
        }
    }

    fn enable_ball<C: Canvas>(&mut self, value: u8, effect: i32, canvas: &mut C) {
        let enabled = value & 2 != 0;
        if self.objects.ball.enabled != enabled {
            if !self.objects.ball.delayed {
                self.change(BALL, effect, canvas);
            }
            self.objects.ball.enabled = enabled;
        }
    }

    fn delay_player<C: Canvas>(&mut self, index: usize, value: u8, effect: i32, canvas: &mut C) {
        let delayed = value & 1 != 0;
        if self.objects.players[index].delayed != delayed {
            self.change(PLAYER_0 + 2 * index, effect, canvas);
            self.objects.players[index].delayed = delayed;
        }
    }

    fn delay_ball<C: Canvas>(&mut self, value: u8, effect: i32, canvas: &mut C) {
        let delayed = value & 1 != 0;
        if self.objects.ball.delayed != delayed {
            self.change(BALL, effect, canvas);
            self.objects.ball.delayed = delayed;
        }
    }

    fn lock_missile<C: Canvas>(&mut self, index: usize, value: u8, effect: i32, canvas: &mut C) {
        let locked = value & 2 != 0;
        if self.objects.missiles[index].locked == locked {
            return;
        }
        self.change(MISSILE_0 + 2 * index, effect, canvas);
        let player = &self.objects.players[index];
        let missile = &mut self.objects.missiles[index];
        if !locked {
            missile.x = moved(player.x, player.middle() as i8);
        }
        missile.locked = locked;
    }

    fn write_missile_motion<C: Canvas>(&mut self, motion: u8, time: i32, canvas: &mut C) {
        let missile = &mut self.objects.missiles[0];
        if missile.motion == 7 && motion == 6 && time.saturating_sub(self.hmove_time) == STAR_FIELD {
            self.catch_up(time, canvas);
            self.star_field = Some(0);
        }
        self.objects.missiles[0].motion = motion;
    }

    /// HMOVE: moves every object at once.
    fn start_motion<C: Canvas>(&mut self, time: i32, canvas: &mut C) {
        self.catch_up(time, canvas);
        let cycle = (time % LINE / 3) as u8;
        self.hmove_time = time;
        // Another HMOVE, in time for its motion alone, does not take the blank back.
        self.hmove_blank |= self.display.hmove_blanks && motion::blanks(cycle);
        self.star_field = None;
        let mut dirty = 0;
        // An object that stays as it is needs no new mask.
        let mut step = |layer: usize, x: &mut u8, nibble: u8, changes: bool| {
            let from = std::mem::replace(x, moved(*x, motion::shift(cycle, nibble)));
            dirty |= u8::from(changes || from != *x) << layer;
        };
        let objects = &mut self.objects;
        for (player, layer) in objects.players.iter_mut().zip([PLAYER_0, PLAYER_1]) {
            step(layer, &mut player.x, player.motion, player.first_copy_hidden);
            player.first_copy_hidden = false;
        }
        for (missile, layer) in objects.missiles.iter_mut().zip([MISSILE_0, MISSILE_1]) {
            step(layer, &mut missile.x, missile.motion, missile.shape != Shape::Normal);
            missile.shape = Shape::Normal;
        }
        step(BALL, &mut objects.ball.x, objects.ball.motion, false);
        self.dirty |= dirty;
        self.settled = false;
    }

    fn clear_motion(&mut self) {
        let objects = &mut self.objects;
        objects.players.iter_mut().for_each(|player| player.motion = 0);
        objects.missiles.iter_mut().for_each(|missile| missile.motion = 0);
        objects.ball.motion = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_missiles_are_drawn_eight_clocks_longer_where_they_were() {
        // Phoenix shows the difference: frame 127 of its trace `fire` 13, and frame 804 of `all` 5.
        assert_eq!([RESM0, RESM1].map(|register| effect(register, 144)), [152, 152]);
    }
}
