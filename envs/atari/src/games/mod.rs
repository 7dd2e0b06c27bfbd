//! The games: for each, its ROM, its actions and modes, and how score, lives and the end are read out of its memory.
//!
//! A game is one [`Game`] constant in the file of its first letter. It is data, and a small `step` function that looks at the
//! console's 128 bytes of RAM after every frame:
//!
//! ```text
//! RAM after the frame ──┐
//!                       ├── step ──> Outcome { reward, terminal, lives }
//! State (the score of ──┘
//! the frame before, …)
//! ```
//!
//! The addresses are facts about each cartridge. To add a game: write its constant, and list it in [`GAMES`].

mod a;
mod b;
mod c;
mod d;
mod e;
mod f;
mod g;
mod h;
mod i;
mod j;
mod k;
mod l;
mod m;
mod n;
mod o;
mod p;
mod q;
mod r;
mod rules;
mod s;
mod t;
mod u;
mod v;
mod w;
mod y;
mod z;

pub(crate) use rules::{Menu, Outcome, Ram, State, bcd, blank_is_0};

use crate::action::Action::{self, *};
use crate::cartridge::Mapper;
use crate::error::AtariError;
use crate::names::nearest;

/// Everything that is particular to one game.
///
/// ```
/// use coinop_atari::find_game;
///
/// let game = find_game("pong")?;
/// assert_eq!((game.modes, game.difficulties), (&[0, 1][..], &[0, 1, 2, 3][..]));
/// assert!(game.has_paddles());
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Game {
    /// ALE's name, such as `space_invaders`.
    pub name: &'static str,
    /// MD5 of the ROM image, in hexadecimal.
    pub md5: &'static str,
    /// The actions that do something in this game, in ALE's order.
    pub minimal_actions: &'static [Action],
    /// The actions that are done when they are asked for; any other is none.
    pub legal_actions: &'static [Action],
    /// ALE's numbers of the game's modes.
    pub modes: &'static [u32],
    /// The mode that is played unless another is chosen.
    pub default_mode: u32,
    /// The positions of the two difficulty switches that are offered: bit 0 is the left switch, bit 1 the right.
    pub difficulties: &'static [u32],
    /// Whether the RESET switch is held for one frame more at the end of a reset.
    pub starts_with_reset: bool,
    /// What is pressed after that, and for how many frames.
    pub start_actions: &'static [(Action, u32)],
    /// What is plugged into the console.
    pub(crate) controllers: Controllers,
    pub(crate) display: DisplayProperties,
    pub(crate) mapper: Mapper,
    /// The state at the start of an episode.
    pub(crate) state: State,
    /// Runs after every frame.
    pub(crate) step: fn(&Ram<'_>, &mut State) -> Outcome,
    /// Selects a mode from the reset console; `None` where the game has only one and nothing is pressed.
    pub(crate) set_mode: Option<fn(&mut Menu<'_>, i32)>,
}

/// What is plugged into the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controllers {
    Joysticks,
    /// Joysticks whose ports have changed places: the player's is in the right one.
    SwappedJoysticks,
    /// Paddles; `swapped` where the two paddles of a port have changed places, so that the first player turns the second one.
    Paddles {
        swapped: bool,
        both_ports: bool,
        max_resistance: i32,
    },
}

/// What ALE knows about the picture of a cartridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DisplayProperties {
    /// First line of the frame that is shown.
    pub(crate) y_start: u32,
    /// Number of lines that are shown; PAL cartridges show [`PAL_HEIGHT`].
    pub(crate) height: u32,
    /// Whether a move of an object (HMOVE) blanks the first eight pixels of the line.
    pub(crate) hmove_blanks: bool,
}

/// Lines shown of a PAL picture.
pub(crate) const PAL_HEIGHT: u32 = 250;

/// The upper end of a paddle's resistance where a game does not set its own.
const PADDLE_MAX: i32 = 790_196;

const ALL_ACTIONS: &[Action] = &Action::ALL;
const WITHOUT_FIRE: &[Action] = &[Noop, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft];

impl Game {
    /// What most games have; a game's constant states what is different, and always its name, MD5, mapper and step.
    const DEFAULT: Game = Game {
        name: "",
        md5: "",
        minimal_actions: ALL_ACTIONS,
        legal_actions: ALL_ACTIONS,
        modes: &[0],
        default_mode: 0,
        difficulties: &[0],
        starts_with_reset: false,
        start_actions: &[],
        controllers: Controllers::Joysticks,
        display: DisplayProperties {
            y_start: 34,
            height: 210,
            hmove_blanks: true,
        },
        mapper: Mapper::Flat,
        state: State::NEW,
        step: |_, _| Outcome {
            reward: 0,
            terminal: false,
            lives: 0,
        },
        set_mode: None,
    };

    /// Whether the player turns paddles instead of pushing joysticks.
    pub fn has_paddles(&self) -> bool {
        matches!(self.controllers, Controllers::Paddles { .. })
    }
}

/// All games, sorted by name.
static GAMES: [Game; 104] = [
    a::ADVENTURE,
    a::AIR_RAID,
    a::ALIEN,
    a::AMIDAR,
    a::ASSAULT,
    a::ASTERIX,
    a::ASTEROIDS,
    a::ATLANTIS,
    a::ATLANTIS2,
    b::BACKGAMMON,
    b::BANK_HEIST,
    b::BASIC_MATH,
    b::BATTLE_ZONE,
    b::BEAM_RIDER,
    b::BERZERK,
    b::BLACKJACK,
    b::BOWLING,
    b::BOXING,
    b::BREAKOUT,
    c::CARNIVAL,
    c::CASINO,
    c::CENTIPEDE,
    c::CHOPPER_COMMAND,
    c::CRAZY_CLIMBER,
    c::CROSSBOW,
    d::DARKCHAMBERS,
    d::DEFENDER,
    d::DEMON_ATTACK,
    d::DONKEY_KONG,
    d::DOUBLE_DUNK,
    e::EARTHWORLD,
    e::ELEVATOR_ACTION,
    e::ENDURO,
    e::ENTOMBED,
    e::ET,
    f::FISHING_DERBY,
    f::FLAG_CAPTURE,
    f::FREEWAY,
    f::FROGGER,
    f::FROSTBITE,
    g::GALAXIAN,
    g::GOPHER,
    g::GRAVITAR,
    h::HANGMAN,
    h::HAUNTED_HOUSE,
    h::HERO,
    h::HUMAN_CANNONBALL,
    i::ICE_HOCKEY,
    j::JAMESBOND,
    j::JOURNEY_ESCAPE,
    k::KABOOM,
    k::KANGAROO,
    k::KEYSTONE_KAPERS,
    k::KING_KONG,
    k::KLAX,
    k::KOOLAID,
    k::KRULL,
    k::KUNG_FU_MASTER,
    l::LASER_GATES,
    l::LOST_LUGGAGE,
    m::MARIO_BROS,
    m::MINIATURE_GOLF,
    m::MONTEZUMA_REVENGE,
    m::MR_DO,
    m::MS_PACMAN,
    n::NAME_THIS_GAME,
    o::OTHELLO,
    p::PACMAN,
    p::PHOENIX,
    p::PITFALL,
    p::PITFALL2,
    p::PONG,
    p::POOYAN,
    p::PRIVATE_EYE,
    q::QBERT,
    r::RIVERRAID,
    r::ROAD_RUNNER,
    r::ROBOTANK,
    s::SEAQUEST,
    s::SIR_LANCELOT,
    s::SKIING,
    s::SOLARIS,
    s::SPACE_INVADERS,
    s::SPACE_WAR,
    s::STAR_GUNNER,
    s::SUPERMAN,
    s::SURROUND,
    t::TENNIS,
    t::TETRIS,
    t::TIC_TAC_TOE_3D,
    t::TIME_PILOT,
    t::TRONDEAD,
    t::TURMOIL,
    t::TUTANKHAM,
    u::UP_N_DOWN,
    v::VENTURE,
    v::VIDEO_CHECKERS,
    v::VIDEO_CHESS,
    v::VIDEO_CUBE,
    v::VIDEO_PINBALL,
    w::WIZARD_OF_WOR,
    w::WORD_ZAPPER,
    y::YARS_REVENGE,
    z::ZAXXON,
];

/// The supported games, sorted by name.
///
/// ```
/// use coinop_atari::games;
///
/// let combinations = games().iter().map(|game| game.modes.len() * game.difficulties.len());
/// assert_eq!((games().len(), combinations.sum::<usize>()), (104, 1090));
/// ```
pub fn games() -> &'static [Game] {
    &GAMES
}

/// The game with ALE's name `name`.
///
/// ```
/// use coinop_atari::find_game;
///
/// assert_eq!(find_game("pong")?.minimal_actions.len(), 6);
/// assert!(find_game("pnog").unwrap_err().to_string().contains("did you mean `pong`?"));
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
///
/// # Errors
/// [`AtariError::UnknownGame`], with the nearest name if there is one near.
///
/// ```
/// assert_eq!(coinop_atari::find_game("pong")?.minimal_actions.len(), 6);
/// let error = coinop_atari::find_game("breakot").unwrap_err();
/// assert!(error.to_string().contains("did you mean `breakout`?"));
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
pub fn find_game(name: &str) -> Result<&'static Game, AtariError> {
    if let Some(game) = GAMES.iter().find(|game| game.name == name) {
        return Ok(game);
    }
    Err(AtariError::UnknownGame {
        name: name.to_owned(),
        nearest: nearest(name, GAMES.iter().map(|game| game.name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_entry_is_whole() {
        assert!(GAMES.is_sorted_by_key(|game| game.name));
        for game in games() {
            assert_eq!(game.md5.len(), 32, "{}", game.name);
            assert!(game.modes.contains(&game.default_mode), "{}", game.name);
            let without_noop = ["backgammon", "video_checkers"].contains(&game.name);
            assert_eq!(game.minimal_actions[0] != Action::Noop, without_noop, "{}", game.name);
            let legal = |action| game.legal_actions.contains(action);
            assert!(game.minimal_actions.iter().all(legal), "{}", game.name);
            assert!(!game.difficulties.is_empty(), "{}", game.name);
        }
    }

    #[test]
    fn a_name_far_from_all_games_gets_no_suggestion() {
        assert_eq!(
            find_game("tetrahedron").unwrap_err().to_string(),
            "there is no Atari game `tetrahedron`"
        );
    }
}
