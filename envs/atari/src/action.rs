//! What a player can do with one joystick: ALE's eighteen actions and their numbers.

/// One of ALE's eighteen actions; `action as u8` is ALE's number.
///
/// ```
/// use coinop_atari::Action;
/// assert_eq!(Action::UpFire as u8, 10);
/// assert_eq!(Action::from_number(10), Some(Action::UpFire));
/// assert_eq!(Action::from_number(18), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // The names say it all: a direction of the stick, with or without the button.
pub enum Action {
    Noop = 0,
    Fire,
    Up,
    Right,
    Left,
    Down,
    UpRight,
    UpLeft,
    DownRight,
    DownLeft,
    UpFire,
    RightFire,
    LeftFire,
    DownFire,
    UpRightFire,
    UpLeftFire,
    DownRightFire,
    DownLeftFire,
}

impl Action {
    /// All actions, in the order of their numbers.
    pub const ALL: [Action; 18] = [
        Action::Noop,
        Action::Fire,
        Action::Up,
        Action::Right,
        Action::Left,
        Action::Down,
        Action::UpRight,
        Action::UpLeft,
        Action::DownRight,
        Action::DownLeft,
        Action::UpFire,
        Action::RightFire,
        Action::LeftFire,
        Action::DownFire,
        Action::UpRightFire,
        Action::UpLeftFire,
        Action::DownRightFire,
        Action::DownLeftFire,
    ];

    /// The name of the action, as ALE writes it but in lower case.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 18] = [
            "noop",
            "fire",
            "up",
            "right",
            "left",
            "down",
            "upright",
            "upleft",
            "downright",
            "downleft",
            "upfire",
            "rightfire",
            "leftfire",
            "downfire",
            "uprightfire",
            "upleftfire",
            "downrightfire",
            "downleftfire",
        ];
        NAMES[self as usize]
    }

    /// The action with ALE's number `number`; `None` if it is above 17.
    pub fn from_number(number: u8) -> Option<Action> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether the stick is pushed up, alone or with something else; likewise the next four.
    pub(crate) fn up(self) -> bool {
        use Action::*;
        matches!(self, Up | UpRight | UpLeft | UpFire | UpRightFire | UpLeftFire)
    }

    pub(crate) fn down(self) -> bool {
        use Action::*;
        matches!(
            self,
            Down | DownRight | DownLeft | DownFire | DownRightFire | DownLeftFire
        )
    }

    pub(crate) fn left(self) -> bool {
        use Action::*;
        matches!(self, Left | UpLeft | DownLeft | LeftFire | UpLeftFire | DownLeftFire)
    }

    pub(crate) fn right(self) -> bool {
        use Action::*;
        matches!(
            self,
            Right | UpRight | DownRight | RightFire | UpRightFire | DownRightFire
        )
    }

    pub(crate) fn fire(self) -> bool {
        self == Action::Fire || self as u8 >= Action::UpFire as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ales() {
        // ale_py.Action: NOOP 0, FIRE 1, UP 2, RIGHT 3, LEFT 4, DOWN 5, …, DOWNLEFTFIRE 17.
        assert_eq!(Action::Noop as u8, 0);
        assert_eq!(Action::Left as u8, 4);
        assert_eq!(Action::DownLeft as u8, 9);
        assert_eq!(Action::DownLeftFire as u8, 17);
        for (number, action) in Action::ALL.iter().enumerate() {
            assert_eq!(*action as usize, number);
        }
    }

    #[test]
    fn each_direction_and_the_button_occur_where_the_names_say() {
        for action in Action::ALL {
            let name = format!("{action:?}");
            assert_eq!(action.name(), name.to_lowercase());
            assert_eq!(action.up(), name.contains("Up"), "{name}");
            assert_eq!(action.down(), name.contains("Down"), "{name}");
            assert_eq!(action.left(), name.contains("Left"), "{name}");
            assert_eq!(action.right(), name.contains("Right"), "{name}");
            assert_eq!(action.fire(), name.contains("Fire"), "{name}");
        }
    }
}
