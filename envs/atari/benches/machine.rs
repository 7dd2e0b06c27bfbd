//! The speed of the machine: a frame with and without its screen, a reset, and a copy. Needs ROMs.

use coinop_atari::{Atari, AtariSettings, Rom, find_game};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What is fast and what is slow: few writes to the chips, and many.
const GAMES: [&str; 3] = ["pong", "breakout", "seaquest"];

fn machine(game: &str) -> Atari {
    let rom = Rom::find(find_game(game).expect("a game"), None).expect("its ROM");
    let mut atari = Atari::new(&rom, &AtariSettings::default()).expect("a machine");
    atari.reset();
    atari
}

/// Every minimal action in turn, over resets.
fn act(atari: &mut Atari, frame: &mut usize) {
    let actions = atari.game().minimal_actions;
    *frame += 1;
    atari.act(actions[*frame / 8 % actions.len()]);
    if atari.is_terminal() {
        atari.reset();
    }
}

fn frames(c: &mut Criterion) {
    for (name, look) in [("unseen", false), ("seen", true)] {
        let mut group = c.benchmark_group(format!("frame/{name}"));
        group.throughput(Throughput::Elements(1));
        for game in GAMES {
            let mut atari = machine(game);
            let mut screen = vec![0; atari.height() * Atari::WIDTH];
            let mut frame = 0;
            group.bench_function(game, |b| {
                b.iter(|| {
                    act(&mut atari, &mut frame);
                    if look {
                        atari.grayscale(&mut screen);
                    }
                });
            });
        }
        group.finish();
    }
}

fn reset(c: &mut Criterion) {
    let mut atari = machine("pong");
    c.bench_function("reset/pong", |b| b.iter(|| atari.reset()));
}

fn copies(c: &mut Criterion) {
    let mut atari = machine("pong");
    c.bench_function("snapshot/pong", |b| b.iter(|| atari.snapshot()));
    c.bench_function("save_state/pong", |b| b.iter(|| atari.save_state()));
    let state = atari.save_state();
    c.bench_function("load_state/pong", |b| {
        b.iter(|| atari.load_state(&state).expect("its own state"));
    });
}

criterion_group!(benches, frames, reset, copies);
criterion_main!(benches);
