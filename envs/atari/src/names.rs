//! Suggestions for misspelt names.

/// How alike two names are, from 0 to 1: 1 less the share of characters that must be inserted, removed, replaced or swapped.
///
/// ```
/// use coinop_atari::names::likeness;
///
/// assert!(likeness("pong", "pnog") > likeness("pong", "breakout"));
/// ```
#[must_use]
pub fn likeness(a: &str, b: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(a, b)
}

/// The known name that `name` is most like, if they are more alike than not.
///
/// ```
/// use coinop_atari::names::nearest;
///
/// assert_eq!(nearest("pnog", ["breakout", "pong"]), Some("pong"));
/// assert_eq!(nearest("x", ["breakout", "pong"]), None);
/// ```
///
/// ```
/// use coinop_atari::names::nearest;
///
/// assert_eq!(nearest("brakout", ["pong", "breakout"]), Some("breakout"));
/// assert_eq!(nearest("x", ["pong", "breakout"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let by_likeness = |a: &&str, b: &&str| likeness(a, name).total_cmp(&likeness(b, name));
    let best = known.into_iter().max_by(by_likeness)?;
    (likeness(best, name) > 0.5).then_some(best)
}
