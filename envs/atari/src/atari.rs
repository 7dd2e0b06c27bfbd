//! The Atari as ALE presents it: a console, the rules of a game, and an agent that acts.

use serde::Deserialize;

use crate::action::Action;
use crate::console::{Console, SavedConsole};
use crate::controllers::{Controls, Ports};
use crate::cpu::Written;
use crate::error::AtariError;
use crate::games::{Game, Menu, Outcome, PAL_HEIGHT, Ram, State};
use crate::palette;
use crate::rom::Rom;
use crate::tia::Display;
use crate::twister::{self, Twister};

/// Frames without action at a reset, while the program starts.
const START_FRAMES: u32 = 60;
/// Frames for which the RESET switch is held.
const RESET_FRAMES: u32 = 4;

/// The format of saved states.
const STATE_VERSION: u8 = 5;

/// The contents of a saved state after its header.
#[derive(Deserialize)]
struct Saved(SavedConsole, [i32; 2], twister::Saved, (u8, State, Outcome, u32, u32));

/// The settings of an [`Atari`], with ALE's names.
///
/// ```
/// use coinop_atari::AtariSettings;
///
/// // As Machado et al. (2018) play: every fourth frame repeats the action before.
/// let settings = AtariSettings { repeat_action_probability: 0.25, ..AtariSettings::default() };
/// assert_eq!(settings.frame_skip, 1);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AtariSettings {
    /// Probability that a frame repeats the previous frame's action ("sticky actions"), from 0 to 1. ALE's default is
    /// 0.25, ours 0.
    pub repeat_action_probability: f32,
    /// Seeds the generator of sticky actions.
    pub random_seed: i32,
    /// Frames per [`Atari::act`], at least 1.
    pub frame_skip: u32,
    /// The game mode; `None` for the default.
    pub mode: Option<u32>,
    /// The game difficulty; every game has 0.
    pub difficulty: u32,
    /// Frames after which an episode is truncated; 0 for no limit.
    pub max_frames_per_episode: u32,
}

impl Default for AtariSettings {
    fn default() -> Self {
        Self {
            repeat_action_probability: 0.0,
            random_seed: 0,
            frame_skip: 1,
            mode: None,
            difficulty: 0,
            max_frames_per_episode: 0,
        }
    }
}

impl AtariSettings {
    fn check(&self, game: &'static Game) -> Result<(), AtariError> {
        if !(0.0..=1.0).contains(&self.repeat_action_probability) {
            return Err(AtariError::BadProbability(self.repeat_action_probability));
        }
        if self.frame_skip == 0 {
            return Err(AtariError::NoFrames);
        }
        if let Some(mode) = self.mode
            && !game.modes.contains(&mode)
        {
            return Err(AtariError::UnknownMode {
                game: game.name,
                mode,
                modes: game.modes,
            });
        }
        if self.difficulty != 0 && !game.difficulties.contains(&self.difficulty) {
            let (game, difficulty, difficulties) = (game.name, self.difficulty, game.difficulties);
            return Err(AtariError::UnknownDifficulty {
                game,
                difficulty,
                difficulties,
            });
        }
        Ok(())
    }
}

/// An Atari 2600 with a game. A clone is an exact copy and continues identically.
///
/// ```no_run
/// use coinop_atari::{Action, Atari, Rom, AtariSettings, find_game};
///
/// let rom = Rom::find(find_game("breakout")?, None)?;
/// let mut atari = Atari::new(&rom, &AtariSettings::default())?;
/// atari.reset();
/// let mut screen = vec![0; atari.height() * Atari::WIDTH];
/// atari.act(Action::Fire);
/// atari.grayscale(&mut screen);
/// // A copy continues identically.
/// let mut copy = atari.clone();
/// assert_eq!(copy.act(Action::Left), atari.act(Action::Left));
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
#[derive(Clone)]
pub struct Atari {
    game: &'static Game,
    console: Console,
    ports: Ports,
    settings: AtariSettings,
    display: Display,
    /// Decides on sticky actions. Each frame draws two numbers, one per player.
    random: Twister,
    /// The action that a sticky frame repeats.
    last_action: Action,
    mode: u32,
    difficulty: u32,
    state: State,
    outcome: Outcome,
    frame_number: u32,
    episode_frame_number: u32,
}

impl Atari {
    /// Width of the screen, in pixels.
    pub const WIDTH: usize = 160;

    /// Inserts the cartridge and switches the console on, like ALE's `loadROM`: this includes 60 frames to detect
    /// PAL, and one reset in the default mode. The mode and difficulty of `settings` are selected after that; call
    /// [`Atari::reset`] to start with them. Takes as long as about 130 frames.
    ///
    /// # Errors
    /// [`AtariError::BadProbability`], [`AtariError::NoFrames`], [`AtariError::UnknownMode`], [`AtariError::UnknownDifficulty`].
    pub fn new(rom: &Rom, settings: &AtariSettings) -> Result<Atari, AtariError> {
        let game = rom.game();
        settings.check(game)?;
        let (console, display) = switch_on(game, rom);
        let mut atari = Atari {
            game,
            console,
            ports: Ports::new(game.controllers),
            settings: settings.clone(),
            display,
            random: Twister::new(settings.random_seed as u32),
            last_action: Action::Noop,
            mode: game.default_mode,
            difficulty: 0,
            state: game.state,
            outcome: Outcome {
                reward: 0,
                terminal: false,
                lives: 0,
            },
            frame_number: 0,
            episode_frame_number: 0,
        };
        atari.reset();
        atari.mode = settings.mode.unwrap_or(game.default_mode);
        atari.difficulty = settings.difficulty;
        Ok(atari)
    }

    /// The game.
    pub fn game(&self) -> &'static Game {
        self.game
    }

    /// Starts an episode, like ALE's `reset_game`: a system reset (RAM is kept), 60 frames without action, the RESET
    /// switch, the selection of the mode, the RESET switch again, and the game's start actions. All of it is
    /// emulated, because resetting a game again can lead to another state than the first time.
    pub fn reset(&mut self) {
        self.episode_frame_number = 0;
        self.ports.centre_paddles();
        self.console.reset();
        for _ in 0..START_FRAMES {
            self.emulate(Action::Noop);
        }
        self.soft_reset();
        self.state = self.game.state;
        self.outcome.terminal = false;
        if let Some(set_mode) = self.game.set_mode {
            let mode = self.mode;
            set_mode(&mut Menu::new(self), mode as i32);
        }
        self.soft_reset();
        if self.game.starts_with_reset {
            self.press_reset();
        }
        for &(action, frames) in self.game.start_actions {
            for _ in 0..frames {
                self.emulate(action);
            }
        }
    }

    /// Performs `action` for [`AtariSettings::frame_skip`] frames and returns the sum of their rewards. After the end of
    /// the episode nothing is emulated and the reward is 0. Actions that the game does not allow
    /// ([`Game::legal_actions`]) act as no action.
    pub fn act(&mut self, action: Action) -> i32 {
        let legal = self.game.legal_actions.contains(&action);
        let action = if legal { action } else { Action::Noop };
        let repeat = f64::from(self.settings.repeat_action_probability);
        let mut reward = 0;
        for _ in 0..self.settings.frame_skip {
            if self.random_unit() >= repeat {
                self.last_action = action;
            }
            self.random_unit(); // The second player's, who never does anything.
            if self.is_terminal() || self.is_truncated() {
                continue;
            }
            self.emulate(self.last_action);
            self.frame_number += 1;
            self.episode_frame_number += 1;
            reward += self.outcome.reward;
        }
        reward
    }

    /// Does the same as [`Atari::act`], much more slowly, and returns the writes of the last frame's instructions in
    /// order.
    pub fn act_watched(&mut self, action: Action) -> (i32, Vec<Written>) {
        self.console.written = Some(Vec::new());
        let reward = self.act(action);
        (reward, self.console.written.take().unwrap_or_default())
    }

    /// Whether the game is over.
    pub fn is_terminal(&self) -> bool {
        self.outcome.terminal
    }

    /// Whether the episode has reached [`AtariSettings::max_frames_per_episode`].
    pub fn is_truncated(&self) -> bool {
        let max = self.settings.max_frames_per_episode;
        max > 0 && self.episode_frame_number >= max
    }

    /// Lives left, as ALE counts them; 0 in games without lives.
    pub fn lives(&self) -> u32 {
        self.outcome.lives.try_into().unwrap_or(0)
    }

    /// Frames played since the console was switched on. Resets do not count, except for presses of SELECT.
    pub fn frame_number(&self) -> u32 {
        self.frame_number
    }

    /// Frames played since the last reset.
    pub fn episode_frame_number(&self) -> u32 {
        self.episode_frame_number
    }

    /// The console's memory.
    pub fn ram(&self) -> &[u8; 128] {
        self.console.ram()
    }

    /// Palette indices of the last complete frame: [`Atari::height`] lines of [`Atari::WIDTH`] pixels. They are drawn
    /// on demand, so frames that are not observed cost less.
    pub fn screen(&mut self) -> &[u8] {
        self.console.screen()
    }

    /// The number of lines of the screen: 210 for most games, 250 for PAL.
    pub fn height(&self) -> usize {
        self.display.height as usize
    }

    /// Writes the screen in gray to `out`, which must have [`Atari::height`] times [`Atari::WIDTH`] bytes.
    ///
    /// # Panics
    /// If `out` has the wrong length.
    pub fn grayscale(&mut self, out: &mut [u8]) {
        let palette = self.gray_palette();
        let screen = self.screen();
        assert_eq!(
            out.len(),
            screen.len(),
            "grayscale: {} bytes for a screen of {} pixels",
            out.len(),
            screen.len()
        );
        let (lines, _) = screen.as_chunks::<{ Atari::WIDTH }>();
        let (out, _) = out.as_chunks_mut::<{ Atari::WIDTH }>();
        for (at, line) in lines.iter().enumerate() {
            // Most games draw many lines alike, and comparing them is faster than looking up each of their pixels.
            if at > 0 && *line == lines[at - 1] {
                out[at] = out[at - 1];
            } else {
                shades(palette, line, &mut out[at]);
            }
        }
    }

    /// Writes the screen in RGB to `out`, 3 bytes per pixel.
    ///
    /// # Panics
    /// If `out` has the wrong length.
    pub fn rgb(&mut self, out: &mut [u8]) {
        let palette = palette::rgb(self.display.pal);
        let screen = self.screen();
        assert_eq!(
            out.len(),
            3 * screen.len(),
            "rgb: {} bytes for a screen of {} pixels",
            out.len(),
            screen.len()
        );
        for (rgb, &index) in out.as_chunks_mut::<3>().0.iter_mut().zip(screen) {
            *rgb = palette[usize::from(index)];
        }
    }

    /// The gray value of each palette index.
    pub fn gray_palette(&self) -> &'static [u8; 256] {
        palette::gray(self.display.pal)
    }

    /// Reseeds the generator of sticky actions.
    pub fn seed(&mut self, random_seed: i32) {
        self.random.reseed(random_seed as u32);
    }

    /// Saves the state of the machine, some 100 KB, for [`Atari::load_state`], also in another process. Settings and
    /// ROM are not included.
    pub fn save_state(&self) -> Vec<u8> {
        let header = (STATE_VERSION, self.game.name, self.display.pal);
        let episode = (
            self.last_action as u8,
            &self.state,
            &self.outcome,
            self.frame_number,
            self.episode_frame_number,
        );
        let whole = (
            header,
            self.console.saved(),
            self.ports.paddles(),
            self.random.saved(),
            episode,
        );
        let Ok(mut bytes) = postcard::to_allocvec(&whole) else {
            unreachable!("numbers and bytes of known length can be written to memory")
        };
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Restores a state that [`Atari::save_state`] returned for the same game.
    ///
    /// # Errors
    /// [`AtariError::BadState`] if the bytes are damaged, or belong to another game or version or to something else.
    /// The machine is then unchanged.
    pub fn load_state(&mut self, bytes: &[u8]) -> Result<(), AtariError> {
        self.try_load_state(bytes).map_err(|reason| AtariError::BadState {
            game: self.game.name,
            reason,
        })
    }

    fn try_load_state(&mut self, bytes: &[u8]) -> Result<(), String> {
        let damaged = || "it is damaged".to_owned();
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32fast::hash(bytes) != u32::from_le_bytes(*sum) {
            return Err(damaged());
        }
        let (header, rest) = postcard::take_from_bytes::<(u8, &str, bool)>(bytes).map_err(|_| damaged())?;
        let (version, game, pal) = header;
        if version != STATE_VERSION {
            return Err(format!(
                "it has format {version}, and this program reads format {STATE_VERSION}"
            ));
        }
        if (game, pal) != (self.game.name, self.display.pal) {
            return Err(format!("it is one of {game}"));
        }
        let (saved, rest) = postcard::take_from_bytes::<Saved>(rest).map_err(|_| damaged())?;
        if !rest.is_empty() {
            return Err(damaged());
        }
        let Saved(console, paddles, random, episode) = saved;
        let (action, state, outcome, frame_number, episode_frame_number) = episode;
        let impossible = |part: &str| format!("its {part} can't be so");
        let last_action = Action::from_number(action).ok_or_else(|| impossible("last action"))?;
        let frames = 0..=u32::MAX / 2;
        if !(state.is_sane() && frames.contains(&frame_number) && frames.contains(&episode_frame_number)) {
            return Err(impossible("score or count of frames"));
        }
        let mut ports = self.ports.clone();
        ports.restore(paddles).map_err(impossible)?;
        let random = Twister::restored(&random).map_err(impossible)?;
        self.console.restore(console).map_err(impossible)?;
        (self.ports, self.random, self.last_action) = (ports, random, last_action);
        (self.state, self.outcome) = (state, outcome);
        (self.frame_number, self.episode_frame_number) = (frame_number, episode_frame_number);
        Ok(())
    }

    /// Copies the complete state, to return to later.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(Box::new(self.clone()))
    }

    /// Returns to a snapshot.
    ///
    /// # Panics
    /// If the snapshot belongs to another game.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        let (ours, theirs) = (self.game.name, snapshot.0.game.name);
        assert_eq!(ours, theirs, "a snapshot of {theirs} cannot be restored into {ours}");
        self.clone_from(&snapshot.0);
    }
}

/// The state of an [`Atari`], from [`Atari::snapshot`].
///
/// ```
/// use coinop_atari::{Action, Atari, Rom, AtariSettings, find_game};
///
/// let rom = Rom::find(find_game("pong")?, None)?;
/// let mut atari = Atari::new(&rom, &AtariSettings::default())?;
/// atari.reset();
/// let snapshot = atari.snapshot();
/// atari.act(Action::Right);
/// atari.restore(&snapshot);
/// assert_eq!(atari.episode_frame_number(), 0);
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
#[derive(Clone)]
pub struct Snapshot(Box<Atari>);

/// What a reset is made of; the games' menus use it too.
impl Atari {
    pub(crate) fn ram_view(&self) -> Ram<'_> {
        Ram::new(self.console.ram(), self.console.cartridge_ram())
    }

    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// Holds SELECT for some frames, during which the game's rules do not run; then one frame without action.
    pub(crate) fn press_select(&mut self, frames: u32) {
        let controls = Controls {
            select: true,
            ..self.controls(Action::Noop)
        };
        for _ in 0..frames {
            self.console.run_frame(&self.ports, &controls);
        }
        self.emulate(Action::Noop);
        self.frame_number += 1;
        self.episode_frame_number += 1;
    }

    /// Holds RESET for some frames.
    pub(crate) fn soft_reset(&mut self) {
        for _ in 0..RESET_FRAMES {
            self.press_reset();
        }
        self.last_action = Action::Noop;
    }

    /// One frame with RESET held.
    fn press_reset(&mut self) {
        let controls = Controls {
            reset: true,
            ..self.controls(Action::Noop)
        };
        self.run_frame(&controls);
    }

    /// One frame with an action.
    fn emulate(&mut self, action: Action) {
        self.ports.turn_paddle(action);
        self.run_frame(&self.controls(action));
    }

    /// One frame, and what the game's rules say of it.
    fn run_frame(&mut self, controls: &Controls) {
        self.console.run_frame(&self.ports, controls);
        let ram = Ram::new(self.console.ram(), self.console.cartridge_ram());
        self.outcome = (self.game.step)(&ram, &mut self.state);
    }

    fn controls(&self, action: Action) -> Controls {
        Controls {
            action,
            reset: false,
            select: false,
            difficulty: self.difficulty,
        }
    }

    /// A number from 0 to 1, without 1.
    fn random_unit(&mut self) -> f64 {
        f64::from(self.random_u32()) / 4_294_967_296.0
    }

    pub(crate) fn random_u32(&mut self) -> u32 {
        self.random.next_u32()
    }
}

/// Looks up the shades of a line's pixels.
fn shades(palette: &[u8; 256], line: &[u8; Atari::WIDTH], out: &mut [u8; Atari::WIDTH]) {
    // Eight pixels at a time, which are mostly like the eight before them.
    let (mut before, mut shades) = ([0; 8], [palette[0]; 8]);
    for (indices, out) in line.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0) {
        if *indices != before {
            before = *indices;
            shades = before.map(|index| palette[usize::from(index)]);
        }
        *out = shades;
    }
}

/// Switches the console on, finds out whether the picture is PAL, and returns it reset, with the format of its picture.
fn switch_on(game: &Game, rom: &Rom) -> (Console, Display) {
    let properties = game.display;
    let ntsc = Display {
        y_start: properties.y_start,
        height: properties.height,
        hmove_blanks: properties.hmove_blanks,
        pal: false,
    };
    let mut console = Console::new(rom.program(), ntsc);
    console.reset();
    if !is_pal(&mut console, game) {
        console.reset();
        return (console, ntsc);
    }
    let pal = Display {
        height: PAL_HEIGHT,
        pal: true,
        ..ntsc
    };
    console.set_display(pal);
    console.reset();
    (console, pal)
}

/// Runs 60 frames; the picture is PAL if at least 15 of the last 30 have more than 285 lines.
fn is_pal(console: &mut Console, game: &Game) -> bool {
    let ports = Ports::new(game.controllers);
    let controls = Controls {
        action: Action::Noop,
        reset: false,
        select: false,
        difficulty: 0,
    };
    let mut long_frames = 0;
    for frame in 0..60 {
        console.run_frame(&ports, &controls);
        if frame >= 30 && console.scanlines() > 285 {
            long_frames += 1;
        }
    }
    long_frames >= 15
}
