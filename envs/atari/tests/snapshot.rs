//! A snapshot is the whole machine.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_atari::{Action, Atari, Rom, Settings, games};

/// What can be seen of a machine after an action.
fn look(atari: &mut Atari, action: Action) -> (i32, u32, bool, u32, [u8; 128], Vec<u8>) {
    let reward = atari.act(action);
    let (lives, over, frame) = (atari.lives(), atari.is_terminal(), atari.episode_frame_number());
    (reward, lives, over, frame, *atari.ram(), atari.screen().to_vec())
}

#[test]
fn a_restored_machine_goes_on_as_the_one_that_was_saved() {
    // Sticky actions, so that the generator counts too.
    let settings = Settings {
        repeat_action_probability: 0.25,
        ..Settings::default()
    };
    for game in games() {
        let rom = Rom::find(game, None).unwrap();
        let mut atari = Atari::new(&rom, &settings).unwrap();
        atari.reset();
        let action = |frame: usize| Action::ALL[frame * 7 % 18];
        // Nobody has looked at these frames, so the last one is not drawn yet.
        (0..300).for_each(|frame| {
            atari.act(action(frame));
        });
        let snapshot = atari.snapshot();
        let play = |atari: &mut Atari| (0..300).map(|frame| look(atari, action(frame))).collect::<Vec<_>>();
        let first = play(&mut atari);
        assert!(play(&mut atari) != first, "{}: time goes on", game.name);
        atari.restore(&snapshot);
        assert!(play(&mut atari) == first, "{}", game.name);
        // A machine that was somewhere else entirely.
        let mut other = Atari::new(&rom, &Settings::default()).unwrap();
        other.restore(&snapshot);
        assert!(play(&mut other) == first, "{}", game.name);
    }
}
