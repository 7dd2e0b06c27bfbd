//! Counts as people write them: `10M`, `1.5k`, `200_000`.

/// Reads a count. `k`, `M` and `G` (in either case) multiply by a thousand, a million and a billion.
///
/// # Errors
///
/// What is wrong, when it is no whole number of at least 0.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no count: write a whole number, or one like 10M or 1.5k");
    let digits = text.trim().replace('_', "");
    if let Ok(count) = digits.parse() {
        return Ok(count);
    }
    let factor = match digits.chars().last() {
        Some('k' | 'K') => 1e3,
        Some('m' | 'M') => 1e6,
        Some('g' | 'G') => 1e9,
        _ => return Err(wrong()),
    };
    let number: f64 = digits[..digits.len() - 1].parse().map_err(|_| wrong())?;
    let count = (number * factor).round();
    // 2^53: above it not every whole number is an f64. The product's rounding error is far below a thousandth.
    let is_whole = (number * factor - count).abs() < 1e-3;
    if is_whole && (0.0..=9_007_199_254_740_992.0).contains(&count) {
        Ok(count as u64)
    } else {
        Err(wrong())
    }
}

/// Writes a count in short: `950`, `1.5k`, `12.35M`.
pub(crate) fn short(count: u64) -> String {
    let (number, unit) = match count {
        0..1_000 => return count.to_string(),
        1_000..1_000_000 => (count as f64 / 1e3, "k"),
        1_000_000..1_000_000_000 => (count as f64 / 1e6, "M"),
        _ => (count as f64 / 1e9, "G"),
    };
    let text = format!("{number:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units() {
        for (text, count) in [
            ("0", 0),
            ("7", 7),
            ("10M", 10_000_000),
            ("1.5k", 1_500),
            ("2g", 2_000_000_000),
            ("200_000", 200_000),
            (" 3K ", 3_000),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
    }

    #[test]
    fn what_is_no_count_is_refused() {
        for text in [
            "",
            "M",
            "-1",
            "-1k",
            "1.5",
            "1.0001k",
            "ten",
            "10 M x",
            "nanM",
            "1e30G",
            "99999999999999999999",
        ] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn short_counts_keep_three_figures_or_more() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_500, "1.5k"),
            (10_000_000, "10M"),
            (12_345_678, "12.35M"),
            (2_000_000_000, "2G"),
        ];
        for (count, text) in cases {
            assert_eq!(short(count), text);
        }
    }
}
