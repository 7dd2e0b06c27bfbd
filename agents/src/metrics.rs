//! Named training metrics.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::AgentError;

/// Named metrics, each the mean of its recorded values.
///
/// A trainer records once per update; readers can add up the rows of several steps and still get means over updates.
///
/// ```
/// use coinop_agents::Metrics;
///
/// let mut sum = Metrics::default();
/// for losses in [&[1.0, 2.0][..], &[6.0]] {
///     let mut step = Metrics::default();
///     losses.iter().for_each(|loss| step.record("loss", *loss));
///     sum.add(&step);
/// }
/// assert_eq!(sum.mean("loss"), Some(3.0));
/// assert_eq!(sum.mean("entropy"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cell {
    name: Cow<'static, str>,
    /// Stored as bits, because JSON has no NaN.
    #[serde(with = "bits")]
    sum: f64,
    count: u64,
}

mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

/// Defines the statistics of an update: a struct of numbers, their names in order, and how they are recorded.
macro_rules! statistics {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident { $($(#[$of_field:meta])* $field:ident,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default)]
        $visibility struct $name {
            $($(#[$of_field])* pub $field: f64,)*
        }

        impl $name {
            /// The names, in order.
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            /// From the numbers, in order.
            pub(crate) fn of(numbers: [f64; Self::NAMES.len()]) -> Self {
                let [$($field),*] = numbers;
                Self { $($field),* }
            }

            pub(crate) fn record(&self, metrics: &mut $crate::Metrics) {
                $(metrics.record(stringify!($field), self.$field);)*
            }
        }
    };
}
pub(crate) use statistics;

/// Returns an error if an update diverged, which these numbers of it say; `updates` came before it.
pub(crate) fn check_finite(numbers: &[(&'static str, f64)], updates: u64) -> Result<(), AgentError> {
    let diverged = numbers.iter().find(|(_, value)| !value.is_finite());
    diverged.map_or(Ok(()), |&(what, value)| {
        Err(AgentError::NotFinite { what, value, updates })
    })
}

/// The statistics of one update, which a GPU may still be computing.
#[derive(Debug)]
pub(crate) struct Unread(Tensor);

impl Unread {
    /// Statistics from scalars, in order.
    pub(crate) fn of(scalars: &[Tensor]) -> Result<Self, AgentError> {
        Ok(Self(Tensor::f_stack(scalars, 0)?.f_detach()?))
    }

    /// A copy of their own.
    pub(crate) fn copy(&self) -> Result<Self, AgentError> {
        Ok(Self(self.0.f_detach_copy()?))
    }

    /// Whether they can be read without waiting.
    pub(crate) fn is_there(&self) -> bool {
        self.0.device() == Device::Cpu
    }

    /// Reads the numbers of several updates, waiting for a GPU only once.
    pub(crate) fn read<const N: usize>(updates: &[Self]) -> Result<Vec<[f64; N]>, AgentError> {
        let rows: Vec<&Tensor> = updates.iter().map(|Self(row)| row).collect();
        let rows = Tensor::f_stack(&rows, 0)?
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Double)?;
        let mut out = vec![[0.0; N]; updates.len()];
        rows.f_copy_data(out.as_flattened_mut(), updates.len() * N)?;
        Ok(out)
    }
}

impl Metrics {
    /// Creates a row with these names, in this order, and without values.
    #[must_use]
    pub fn of(names: &[&'static str]) -> Self {
        let cell = |name: &&'static str| Cell {
            name: Cow::Borrowed(*name),
            sum: 0.0,
            count: 0,
        };
        Self {
            cells: names.iter().map(cell).collect(),
        }
    }

    /// Records a value. New names are appended. Non-finite values are skipped, because one would spoil the mean: for
    /// instance, the explained variance of a rollout is undefined if all returns are equal.
    pub fn record(&mut self, name: &'static str, value: f64) {
        let (sum, count) = if value.is_finite() { (value, 1) } else { (0.0, 0) };
        self.add_to(&Cow::Borrowed(name), sum, count);
    }

    /// Adds the values of another row.
    pub fn add(&mut self, other: &Metrics) {
        for cell in &other.cells {
            self.add_to(&cell.name, cell.sum, cell.count);
        }
    }

    #[expect(clippy::ptr_arg, reason = "a static name is taken over without a copy")]
    fn add_to(&mut self, name: &Cow<'static, str>, sum: f64, count: u64) {
        match self.cells.iter_mut().find(|cell| cell.name == *name) {
            Some(cell) => {
                cell.sum += sum;
                cell.count += count;
            }
            None => self.cells.push(Cell {
                name: name.clone(),
                sum,
                count,
            }),
        }
    }

    /// Discards the values and keeps the names.
    pub fn clear(&mut self) {
        for cell in &mut self.cells {
            (cell.sum, cell.count) = (0.0, 0);
        }
    }

    /// Returns the mean of the recorded values, or `None` if there are none.
    #[must_use]
    pub fn mean(&self, name: &str) -> Option<f64> {
        self.means().find(|(other, _)| *other == name)?.1
    }

    /// Iterates over all names and means, in the order in which the names were first recorded.
    pub fn means(&self) -> impl Iterator<Item = (&str, Option<f64>)> {
        self.cells
            .iter()
            .map(|cell| (&*cell.name, (cell.count > 0).then(|| cell.sum / cell.count as f64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let mut row = Metrics::of(&["loss", "entropy"]);
        row.record("loss", 0.1 + 0.2);
        let read: Metrics = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(read, row);
    }

    #[test]
    fn a_value_that_is_not_finite_does_not_spoil_the_others() {
        let mut row = Metrics::default();
        for value in [f64::NAN, 2.0, f64::INFINITY, 4.0, f64::NEG_INFINITY] {
            row.record("explained_variance", value);
        }
        assert_eq!(row.mean("explained_variance"), Some(3.0));
        row.clear();
        row.record("explained_variance", f64::NAN);
        assert_eq!(row.mean("explained_variance"), None);
    }

    #[test]
    fn a_cleared_row_keeps_its_names_in_their_order() {
        let mut row = Metrics::of(&["loss", "entropy"]);
        row.record("entropy", 1.0);
        row.record("later", 2.0);
        row.clear();
        row.record("loss", 4.0);
        assert_eq!(
            row.means().collect::<Vec<_>>(),
            [("loss", Some(4.0)), ("entropy", None), ("later", None)]
        );
    }
}
