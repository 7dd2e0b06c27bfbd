//! Numbers in tables.

use crate::statistics::{interval, mean};

/// A mean, and its 95 % interval if there are several values: `18.9 [17.5, 20.1]`.
pub(crate) fn mean_in_words(values: &[f64]) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    let interval = interval(&[values.to_vec()], |groups| mean(&groups[0]));
    match interval {
        Some((low, high)) => format!("{} [{}, {}]", number(mean(values)), number(low), number(high)),
        None => number(mean(values)),
    }
}

/// `1,641`, `18.9`, `-0.04`: as many digits as scores of this size need.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0..1.0 => 2,
        1.0..1_000.0 => 1,
        _ => return grouped(value.round()),
    };
    format!("{value:.digits$}")
}

pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

pub(crate) fn percent(values: &[f64]) -> String {
    if values.is_empty() {
        "-".to_owned()
    } else {
        format!("{:.0} %", 100.0 * mean(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_their_size_needs() {
        assert_eq!(
            [0.0, -0.036, 18.94, -21.0].map(number),
            ["0.00", "-0.04", "18.9", "-21.0"]
        );
        assert_eq!(
            [999.9, 1_641.4, -12_345.6, 1e6].map(number),
            ["999.9", "1,641", "-12,346", "1,000,000"]
        );
    }
}
