//! Counts as people write them: `10M`, `1.5k`, `1e6`, `200_000`.

/// The largest count that TOML's integers allow, because counts are written to configurations.
const MAX: u64 = i64::MAX as u64;
/// 2^53: larger integers are not always exact as `f64`.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a count. `k`, `M` and `G` (in either case) multiply by a thousand, a million and a billion.
///
/// # Errors
///
/// A description of the error, if the text is not an integer from 0 to [`MAX`].
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let digits = text.trim().replace('_', "");
    if digits.starts_with('-') {
        return Err(format!("`{text}` is below 0: a count is a whole number of at least 0"));
    }
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let count = digits.parse().ok().filter(|count| *count <= MAX);
        return count.ok_or_else(|| format!("`{text}` is too large: a count is at most {MAX}"));
    }
    let wrong = || format!("`{text}` is not a valid count: write a whole number, or one like 10M, 1.5k or 2e6");
    let (number, factor) = match digits.char_indices().last() {
        Some((at, 'k' | 'K')) => (&digits[..at], 1e3),
        Some((at, 'm' | 'M')) => (&digits[..at], 1e6),
        Some((at, 'g' | 'G')) => (&digits[..at], 1e9),
        _ => (&digits[..], 1.0),
    };
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite());
    let product = number.ok_or_else(wrong)? * factor;
    if product > MAX_EXACT {
        return Err(format!("`{text}` is too large: write it in digits, at most {MAX}"));
    }
    // The product's rounding error is far below a thousandth.
    let is_whole = (product - product.round()).abs() < 1e-3;
    if is_whole {
        Ok(product.round() as u64)
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

/// `1 thread`, `2 threads`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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
            ("1e6", 1_000_000),
            ("2.5E6", 2_500_000),
            ("9223372036854775807", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
    }

    #[test]
    fn an_invalid_count_is_refused() {
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
            "1e-3",
            "inf",
            "99999999999999999999",
        ] {
            assert!(parse_count(text).is_err(), "{text}");
        }
        let error = |text| parse_count(text).unwrap_err();
        assert_eq!(error("-5"), "`-5` is below 0: a count is a whole number of at least 0");
        assert_eq!(
            error("18446744073709551615"),
            "`18446744073709551615` is too large: a count is at most 9223372036854775807"
        );
        assert_eq!(
            error("1e18"),
            "`1e18` is too large: write it in digits, at most 9223372036854775807"
        );
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
