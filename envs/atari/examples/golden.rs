//! Replays all recordings of ale-py 0.12.1 and prints a table: `cargo xtask golden [GAME...]`.

#![allow(
    clippy::unwrap_used,
    reason = "a record that cannot be read is a mistake in this repository"
)]

#[path = "../tests/records/mod.rs"]
mod records;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use coinop_atari::{Game, Rom, find_game, games};

/// What is known of a game once its records were played.
struct Row {
    name: &'static str,
    records: usize,
    frames: u64,
    differences: Vec<String>,
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Result<Vec<&Game>, _> = names.iter().map(|name| find_game(name)).collect();
    let chosen = match chosen {
        Ok(chosen) if chosen.is_empty() => games().iter().collect(),
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut rows = play_all(&chosen);
    rows.sort_by_key(|row| row.name);
    println!("| game | traces | frames compared | traces that differ |\n|---|---:|---:|---:|");
    for row in &rows {
        println!(
            "| {} | {} | {} | {} |",
            row.name,
            row.records,
            row.frames,
            row.differences.len()
        );
    }
    let frames: u64 = rows.iter().map(|row| row.frames).sum();
    let records: usize = rows.iter().map(|row| row.records).sum();
    let differences: Vec<&String> = rows.iter().flat_map(|row| &row.differences).collect();
    println!(
        "| **{} games** | {records} | {frames} | {} |",
        rows.len(),
        differences.len()
    );
    for difference in &differences {
        println!("\n{difference}");
    }
    if differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn play_all(games: &[&'static Game]) -> Vec<Row> {
    let (rows, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(game) = games.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = play(game);
                    rows.lock().unwrap().push(row);
                }
            });
        }
    });
    rows.into_inner().unwrap()
}

fn play(game: &'static Game) -> Row {
    let records = records::read(game);
    let mut row = Row {
        name: game.name,
        records: records.len(),
        frames: 0,
        differences: Vec::new(),
    };
    let rom = match Rom::find(game, None) {
        Ok(rom) => rom,
        Err(error) => {
            row.differences.push(error.to_string());
            return row;
        }
    };
    for record in &records {
        let played = record.play(game, &rom, usize::MAX);
        row.frames += played.frames;
        if let Some(acts) = played.difference {
            row.differences.push(format!(
                "{}: one of the acts {acts:?} of the stream {} differs with {:?}",
                game.name, record.stream, record.settings
            ));
        }
    }
    row
}
