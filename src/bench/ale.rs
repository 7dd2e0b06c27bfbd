//! Measures ale-py for comparison, if a Python with it is installed.

use std::process::{Command, Stdio};

use super::{How, median};

/// The name of its measurement, before the version.
pub(crate) const NAME: &str = "ale-py";

/// The measuring program; see its first lines.
const PROGRAM: &str = include_str!("ale.py");

/// The results of ale-py.
pub(crate) struct Rates {
    pub(crate) version: String,
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// Frames per second of a game on one core; `None` if `python3` or ale-py is missing.
pub(crate) fn rates(game: &str, mode: Option<u32>, difficulty: u32, how: How) -> Option<Rates> {
    let mode = mode.map_or_else(|| "-".to_owned(), |mode| mode.to_string());
    let output = Command::new("python3")
        .args(["-c", PROGRAM, game, &how.seconds.to_string(), &how.repeats.to_string()])
        .args([mode, difficulty.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| parsed(&String::from_utf8_lossy(&output.stdout)))?
}

fn parsed(printed: &str) -> Option<Rates> {
    let mut words = printed.split_whitespace();
    let version = words.next()?.to_owned();
    let mut rates = words
        .map(|word| word.parse().ok())
        .collect::<Option<Vec<f64>>>()
        .filter(|rates| !rates.is_empty())?;
    rates.sort_by(f64::total_cmp);
    Some(Rates {
        version,
        low: rates[0],
        median: median(&rates),
        high: rates[rates.len() - 1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_and_rates_are_read_and_nothing_else() {
        let rates = parsed("0.12.1 30.5 10 20\n").unwrap();
        assert_eq!(
            (rates.version.as_str(), rates.low, rates.median, rates.high),
            ("0.12.1", 10.0, 20.0, 30.5)
        );
        for printed in ["", "0.12.1", "0.12.1 fast"] {
            assert!(parsed(printed).is_none(), "{printed:?}");
        }
    }
}
