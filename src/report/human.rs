//! Human-normalised scores.

use std::sync::LazyLock;

use serde::Deserialize;

/// Scores of random play and of a human tester: episodes of up to 30 minutes that begin with no-ops (Wang et al. 2016, arXiv
/// 1511.06581, table 2).
static SCORES: LazyLock<Vec<Scores>> = LazyLock::new(|| {
    let mut table = csv::Reader::from_reader(include_str!("human.csv").as_bytes());
    table.deserialize().map_while(Result::ok).collect()
});

#[derive(Deserialize)]
struct Scores {
    game: String,
    random: f64,
    human: f64,
}

/// `(score - random) / (human - random)`: 0 for random play, 1 for the human tester. `None` for environments other than those 57 games.
pub(crate) fn normalised(game: &str, score: f64) -> Option<f64> {
    let scores = SCORES.iter().find(|scores| scores.game == game)?;
    Some((score - scores.random) / (scores.human - scores.random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_game_of_ours() {
        assert_eq!(SCORES.len(), 57);
        for scores in SCORES.iter() {
            assert!(coinop_atari::find_game(&scores.game).is_ok(), "{}", scores.game);
        }
    }

    #[test]
    fn scores_lie_between_random_play_and_a_human() {
        // Pong: random -20.7, human 14.6. Breakout: 1.7 and 30.5.
        assert_eq!(normalised("pong", -20.7), Some(0.0));
        assert_eq!(normalised("pong", 14.6), Some(1.0));
        assert!((normalised("breakout", 401.2).unwrap() - 13.8715).abs() < 1e-4);
        assert_eq!(normalised("cartpole", 500.0), None);
    }
}
