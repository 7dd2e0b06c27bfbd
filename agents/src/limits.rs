//! Allowed ranges of settings: the checks that the configurations of all algorithms use.

use std::fmt::Display;

use crate::AgentError;

/// Larger values would overflow libtorch's `f32`, or sums of it.
const LARGEST: f64 = 1e30;

/// Returns an error for the setting `name` with `value` unless `good`.
pub(crate) fn check(
    good: bool,
    name: &'static str,
    value: impl Display,
    reason: &'static str,
) -> Result<(), AgentError> {
    if good {
        return Ok(());
    }
    Err(AgentError::BadConfig {
        name,
        value: value.to_string(),
        reason,
    })
}

/// From 0 to 1, e.g. a discount.
pub(crate) fn unit(name: &'static str, value: f64) -> Result<(), AgentError> {
    check((0.0..=1.0).contains(&value), name, value, "it must be between 0 and 1")
}

/// From 0 to below 1: the decay of a moving average.
pub(crate) fn decay(name: &'static str, value: f64) -> Result<(), AgentError> {
    let reason = "it must be at least 0 and below 1";
    check((0.0..1.0).contains(&value), name, value, reason)
}

/// Above 0, e.g. a learning rate.
pub(crate) fn above_0(name: &'static str, value: f64) -> Result<(), AgentError> {
    let reason = "it must be a number above 0, at most 1e30";
    check(value > 0.0 && value <= LARGEST, name, value, reason)
}

/// A term that is added to a divisor that may be 0.
pub(crate) fn divisor(name: &'static str, value: f64) -> Result<(), AgentError> {
    let reason = "it must be a number from 1e-30 to 1e30";
    check((1e-30..=LARGEST).contains(&value), name, value, reason)
}

/// At least 0, e.g. the weight of a loss term.
pub(crate) fn at_least_0(name: &'static str, value: f64) -> Result<(), AgentError> {
    let reason = "it must be a number from 0 to 1e30";
    check((0.0..=LARGEST).contains(&value), name, value, reason)
}

/// From 1 to 10,000, e.g. a number of environments.
pub(crate) fn up_to_10_000(name: &'static str, value: usize) -> Result<(), AgentError> {
    let reason = "it must be between 1 and 10000";
    check((1..=10_000).contains(&value), name, value, reason)
}

/// Checks a setting that may be absent.
pub(crate) fn if_given(
    name: &'static str,
    value: Option<f64>,
    check: impl Fn(&'static str, f64) -> Result<(), AgentError>,
) -> Result<(), AgentError> {
    value.map_or(Ok(()), |value| check(name, value))
}
