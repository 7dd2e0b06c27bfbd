//! A snapshot is the whole machine, and so is a saved state.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

mod roms;

use coinop_atari::{Action, Atari, AtariSettings, Rom, find_game, games};
use proptest::prelude::*;
use rayon::prelude::*;

/// What can be seen of a machine after an action.
fn look(atari: &mut Atari, action: Action) -> (i32, u32, bool, u32, [u8; 128], Vec<u8>) {
    let reward = atari.act(action);
    let (lives, over, frame) = (atari.lives(), atari.is_terminal(), atari.episode_frame_number());
    (reward, lives, over, frame, *atari.ram(), atari.screen().to_vec())
}

#[test]
fn a_restored_machine_continues_as_the_one_that_was_saved() {
    if roms::are_missing() {
        return;
    }
    // Sticky actions, so that the generator counts too.
    let settings = AtariSettings {
        repeat_action_probability: 0.25,
        ..AtariSettings::default()
    };
    games().par_iter().for_each(|game| {
        let rom = Rom::find(game, None).unwrap();
        let mut atari = Atari::new(&rom, &settings).unwrap();
        atari.reset();
        let action = |frame: usize| Action::ALL[frame * 7 % 18];
        // Nobody has looked at these frames, so the last one is not drawn yet.
        (0..300).for_each(|frame| {
            atari.act(action(frame));
        });
        let (snapshot, state) = (atari.snapshot(), atari.save_state());
        let play = |atari: &mut Atari| (0..300).map(|frame| look(atari, action(frame))).collect::<Vec<_>>();
        let first = play(&mut atari);
        assert!(play(&mut atari) != first, "{}: time goes on", game.name);
        atari.restore(&snapshot);
        assert!(play(&mut atari) == first, "{}", game.name);
        // A machine that was somewhere else entirely.
        let mut other = Atari::new(&rom, &AtariSettings::default()).unwrap();
        other.restore(&snapshot);
        assert!(play(&mut other) == first, "{}", game.name);
        // The same by way of bytes, into a machine that has its settings and its ROM alone.
        let mut other = Atari::new(&rom, &settings).unwrap();
        other.load_state(&state).unwrap();
        assert!(other.save_state() == state, "{}", game.name);
        assert!(play(&mut other) == first, "{}", game.name);
    });
}

fn pong() -> Atari {
    let rom = Rom::find(find_game("pong").unwrap(), None).unwrap();
    let mut atari = Atari::new(&rom, &AtariSettings::default()).unwrap();
    atari.reset();
    (0..100).for_each(|frame| {
        atari.act(Action::ALL[frame % 18]);
    });
    atari
}

#[test]
fn a_state_that_does_not_fit_is_named_and_changes_nothing() {
    if roms::are_missing() {
        return;
    }
    let mut pong = pong();
    let state = pong.save_state();
    let breakout = Rom::find(find_game("breakout").unwrap(), None).unwrap();
    let error = Atari::new(&breakout, &AtariSettings::default())
        .unwrap()
        .load_state(&state)
        .unwrap_err();
    assert_eq!(error.to_string(), "not a saved state of breakout: it is one of pong");
    let mut newer = state.clone();
    newer[0] = 6;
    for (bytes, reason) in [
        (with_sum(newer), "it has format 6, and this program reads format 5"),
        (state[..state.len() - 1].to_vec(), "it is damaged"),
        (with_sum([state.as_slice(), &[0; 4]].concat()), "it is damaged"),
        (Vec::new(), "it is damaged"),
    ] {
        let error = pong.load_state(&bytes).unwrap_err().to_string();
        assert_eq!(error, format!("not a saved state of pong: {reason}"));
    }
    assert!(pong.save_state() == state);
}

/// The bytes with the right checksum in their last four.
fn with_sum(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len() - 4;
    let sum = crc32fast::hash(&bytes[..len]);
    bytes[len..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

proptest! {
    // Each plays 30 frames and looks at them.
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_an_error_or_a_machine_that_runs(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        head in any::<bool>(),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        if roms::are_missing() {
            return Ok(());
        }
        thread_local! {
            static PONG: (Atari, Vec<u8>) = {
                let pong = pong();
                let state = pong.save_state();
                (pong, state)
            };
        }
        let (mut atari, mut bytes) = PONG.with(Clone::clone);
        // Most bytes are pixels, which may have any value; the interesting ones are before and between the pictures.
        let pixels = 2 * atari.height() * Atari::WIDTH;
        let end = bytes.len();
        for (at, value) in changes {
            let at = if head { at.index(end - pixels) } else { end - 1 - at.index(6_000) };
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(4 + cut.index(end - 4));
        }
        if atari.load_state(&with_sum(bytes)).is_ok() {
            for frame in 0..30 {
                atari.act(Action::ALL[frame % 18]);
                if frame % 5 == 0 {
                    atari.screen();
                }
            }
            let state = atari.save_state();
            atari.load_state(&state).unwrap();
        }
    }
}

#[test]
fn watching_names_the_instructions_that_wrote_and_changes_nothing() {
    // $F000: LDA #$4E, STA COLUBK, INC $85, JMP $F000
    let mut image = [0xEA; 4096];
    image[..9].copy_from_slice(&[0xA9, 0x4E, 0x85, 0x09, 0xE6, 0x85, 0x4C, 0x00, 0xF0]);
    image[0xFFC..0xFFE].copy_from_slice(&[0x00, 0xF0]);
    let rom = Rom::unverified(find_game("pong").unwrap(), &image).unwrap();
    let mut atari = Atari::new(&rom, &AtariSettings::default()).unwrap();
    let mut unwatched = atari.clone();
    let (reward, written) = atari.act_watched(Action::Fire);
    assert_eq!(unwatched.act(Action::Fire), reward);
    assert!(atari.save_state() == unwatched.save_state());
    let kinds: Vec<(u16, u16, u8)> = written.iter().map(|w| (w.pc, w.address, w.instruction[0])).collect();
    // A frame that the program does not end, which makes the picture PAL, ends after 343 lines of 76 cycles; a round takes 13.
    assert_eq!(kinds.len(), 2 * (343 * 76 / 13));
    // It begins where the frame before ended.
    let first = kinds.iter().position(|kind| kind.1 == 0x09).unwrap();
    assert_eq!(kinds[first..first + 2], [(0xF002, 0x09, 0x85), (0xF004, 0x85, 0xE6)]);
    // LDA ends with cycle 2, STA with 5, INC with 10, JMP with 13.
    let cycles = [0, 1, 2].map(|at| written[first + at].cycle - written[first].cycle);
    assert_eq!(cycles, [0, 5, 13]);
}
