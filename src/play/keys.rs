//! The keyboard as a joystick.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind};

/// A terminal that does not tell when a key is released repeats it while it is held: a key is held for so long after its first
/// event, until it begins to repeat, and for so long after each of the others.
const FIRST: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_millis(90);

/// What a joystick can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Up,
    Down,
    Left,
    Right,
    Fire,
}

const PARTS: [(Part, &str); 5] = [
    (Part::Up, "up"),
    (Part::Down, "down"),
    (Part::Left, "left"),
    (Part::Right, "right"),
    (Part::Fire, "fire"),
];

impl Part {
    fn of(code: KeyCode) -> Option<Self> {
        Some(match code {
            KeyCode::Up | KeyCode::Char('w') => Part::Up,
            KeyCode::Down | KeyCode::Char('s') => Part::Down,
            KeyCode::Left | KeyCode::Char('a') => Part::Left,
            KeyCode::Right | KeyCode::Char('d') => Part::Right,
            KeyCode::Char(' ') => Part::Fire,
            _ => return None,
        })
    }

    fn opposite(self) -> Option<Self> {
        Some(match self {
            Part::Up => Part::Down,
            Part::Down => Part::Up,
            Part::Left => Part::Right,
            Part::Right => Part::Left,
            Part::Fire => return None,
        })
    }
}

/// The keys that are held.
#[derive(Debug)]
pub(crate) struct Joystick {
    /// What each action does, as a bit for each part; `None` if that is not said.
    actions: Vec<Option<u8>>,
    /// Until when each part is held.
    held: [Option<Instant>; 5],
    /// A number that was typed, for environments whose actions have no such names.
    typed: Option<(u32, Instant)>,
    releases: bool,
}

impl Joystick {
    /// For actions with these meanings. `releases`: whether the terminal tells when a key is released.
    pub(crate) fn new(meanings: &[String], num_actions: usize, releases: bool) -> Self {
        let bits = |meaning: &String| {
            let within = PARTS.iter().enumerate().filter(|(_, (_, word))| meaning.contains(word));
            let bits = within.fold(0u8, |bits, (i, _)| bits | 1 << i);
            (bits != 0 || ["noop", "nothing"].contains(&meaning.as_str())).then_some(bits)
        };
        let mut actions: Vec<Option<u8>> = meanings.iter().map(bits).collect();
        if actions.iter().flatten().all(|bits| *bits == 0) {
            // Torques, for example: left is the first of them, right the last, and nothing the one in the middle.
            actions = vec![None; num_actions];
            actions[(num_actions - 1) / 2] = Some(0);
            actions[0] = Some(1 << 2);
            actions[num_actions - 1] = Some(1 << 3);
        }
        Self {
            actions,
            held: [None; 5],
            typed: None,
            releases,
        }
    }

    pub(crate) fn event(&mut self, key: KeyEvent, now: Instant) {
        if let KeyCode::Char(digit) = key.code
            && let Some(number) = digit.to_digit(10)
        {
            self.typed = (key.kind != KeyEventKind::Release).then_some((number, now + FIRST));
        }
        let Some(part) = Part::of(key.code) else { return };
        let until = &mut self.held[part as usize];
        let again = until.is_some_and(|until| until > now);
        *until = match (key.kind, self.releases) {
            (KeyEventKind::Release, _) => None,
            (_, true) => Some(now + Duration::from_secs(3600)),
            (_, false) => Some(now + if again { AGAIN } else { FIRST }),
        };
        if let Some(opposite) = part.opposite()
            && key.kind != KeyEventKind::Release
        {
            self.held[opposite as usize] = None;
        }
    }

    /// The action that does the most of what is held, and nothing else; the first one, if they do equally much.
    pub(crate) fn action(&self, now: Instant) -> u32 {
        if let Some((number, until)) = self.typed
            && until > now
            && (number as usize) < self.actions.len()
        {
            return number;
        }
        let held = |until: &Option<Instant>| until.is_some_and(|until| until > now);
        let wanted = self.held.iter().enumerate().filter(|(_, until)| held(until));
        let wanted = wanted.fold(0u8, |bits, (i, _)| bits | 1 << i);
        let possible = self.actions.iter().enumerate();
        let possible = possible.filter_map(|(i, bits)| bits.filter(|bits| bits & !wanted == 0).map(|bits| (i, bits)));
        let best = possible.rev().max_by_key(|(_, bits)| bits.count_ones());
        best.map_or(0, |(i, _)| i as u32)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;

    fn joystick(meanings: &[&str], releases: bool) -> Joystick {
        let meanings: Vec<String> = meanings.iter().map(|&meaning| meaning.to_owned()).collect();
        Joystick::new(&meanings, meanings.len(), releases)
    }

    fn press(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn release(code: KeyCode) -> KeyEvent {
        KeyEvent::new_with_kind(code, KeyModifiers::NONE, KeyEventKind::Release)
    }

    const BREAKOUT: [&str; 4] = ["noop", "fire", "right", "left"];

    #[test]
    fn keys_are_held_until_they_are_released() {
        let (mut stick, now) = (joystick(&BREAKOUT, true), Instant::now());
        let later = now + Duration::from_secs(60);
        assert_eq!(stick.action(now), 0);
        stick.event(press(KeyCode::Left), now);
        assert_eq!(stick.action(later), 3);
        // The newer of two opposites.
        stick.event(press(KeyCode::Right), now);
        assert_eq!(stick.action(later), 2);
        stick.event(release(KeyCode::Right), later);
        assert_eq!(stick.action(later), 0);
    }

    #[test]
    fn without_releases_a_key_is_held_until_it_no_longer_repeats() {
        let (mut stick, now) = (joystick(&BREAKOUT, false), Instant::now());
        let at = |milliseconds| now + Duration::from_millis(milliseconds);
        stick.event(press(KeyCode::Char('a')), now);
        assert_eq!([0, 299, 300].map(|time| stick.action(at(time))), [3, 3, 0]);
        stick.event(press(KeyCode::Char('a')), at(250));
        assert_eq!([339, 340].map(|time| stick.action(at(time))), [3, 0]);
    }

    #[test]
    fn parts_that_no_action_has_together_are_left_out() {
        let mut stick = joystick(
            &[
                "noop", "fire", "up", "right", "left", "down", "upright", "upfire", "leftfire",
            ],
            true,
        );
        let now = Instant::now();
        let mut after = |code| {
            stick.event(press(code), now);
            stick.action(now)
        };
        // Up; up and right; these and fire are two of the three; left takes the place of right.
        let codes = [KeyCode::Up, KeyCode::Right, KeyCode::Char(' '), KeyCode::Left];
        assert_eq!(codes.map(&mut after), [2, 6, 6, 7]);
    }

    #[test]
    fn actions_without_such_names_are_typed() {
        let (mut stick, now) = (joystick(&["torque -1", "torque 0", "torque 1"], true), Instant::now());
        assert_eq!(stick.action(now), 1);
        stick.event(press(KeyCode::Left), now);
        assert_eq!(stick.action(now), 0);
        stick.event(press(KeyCode::Right), now);
        assert_eq!(stick.action(now), 2);
        stick.event(press(KeyCode::Char('1')), now);
        assert_eq!(stick.action(now), 1);
        // There is no action 7.
        stick.event(press(KeyCode::Char('7')), now);
        assert_eq!(stick.action(now), 2);
        // Of two actions none is in the middle.
        assert_eq!(Joystick::new(&[], 2, true).action(now), 0);
    }
}
