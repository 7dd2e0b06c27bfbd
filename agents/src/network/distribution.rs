//! Distributions of returns, in place of their means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use crate::AgentError;
use crate::limits::{check, up_to_10_000};

/// How a network of action values represents the distribution of an action's return. The action's value is its mean.
///
/// ```
/// use coinop_agents::network::Distribution;
///
/// let c51: Distribution = toml::from_str("kind = 'c51'\natoms = 51\nlow = -10.0\nhigh = 10.0")?;
/// assert_eq!(c51.outputs(), 51);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Probabilities of `atoms` returns, evenly spaced from `low` to `high` (Bellemare et al. 2017, arXiv 1707.06887).
    /// The network's outputs are their logits.
    C51 {
        /// The number of returns.
        atoms: usize,
        /// The smallest return.
        low: f64,
        /// The largest return.
        high: f64,
    },
    /// The quantiles of the return at `(2i - 1) / 2N` for `i` from 1 to `N` (QR-DQN, Dabney et al. 2017, arXiv
    /// 1710.10044).
    Quantile {
        /// The number of quantiles, `N`.
        quantiles: usize,
    },
    /// The quantile at any fraction, which is an input of the network (IQN, Dabney et al. 2018, arXiv 1806.06923). Values
    /// are means of the quantiles at `(2i - 1) / 2K`, where the paper draws `K` fractions.
    Iqn {
        /// The cosines that a fraction is embedded by, `n`.
        cosines: usize,
        /// The fractions drawn for each transition, `N`.
        samples: usize,
        /// The fractions drawn for each target, `N'`.
        target_samples: usize,
        /// The fractions of a value, `K`.
        policy_samples: usize,
    },
}

impl Distribution {
    /// The network's outputs for each action, with IQN those that make a value.
    #[must_use]
    pub fn outputs(self) -> usize {
        match self {
            Self::C51 { atoms, .. } => atoms,
            Self::Quantile { quantiles } => quantiles,
            Self::Iqn { policy_samples, .. } => policy_samples,
        }
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(self) -> Result<(), AgentError> {
        match self {
            Self::C51 { atoms, low, high } => {
                up_to_10_000("distribution.atoms", atoms)?;
                check(atoms > 1, "distribution.atoms", atoms, "it must be at least 2")?;
                let are_bounds = low < high && (high - low).is_finite();
                check(
                    are_bounds,
                    "distribution.low",
                    low,
                    "it must be below distribution.high",
                )
            }
            Self::Quantile { quantiles } => up_to_10_000("distribution.quantiles", quantiles),
            Self::Iqn {
                cosines,
                samples,
                target_samples,
                policy_samples,
            } => {
                up_to_10_000("distribution.cosines", cosines)?;
                up_to_10_000("distribution.samples", samples)?;
                up_to_10_000("distribution.target_samples", target_samples)?;
                up_to_10_000("distribution.policy_samples", policy_samples)
            }
        }
    }

    /// The returns of the atoms `[atoms]`; of quantiles there are none.
    pub(crate) fn support(self, device: Device) -> Result<Option<Tensor>, TchError> {
        match self {
            Self::C51 { atoms, low, high } => {
                Tensor::f_linspace(low, high, atoms as i64, (Kind::Float, device)).map(Some)
            }
            Self::Quantile { .. } | Self::Iqn { .. } => Ok(None),
        }
    }
}

/// The fractions `(2i - 1) / 2n` `[1, n]` for `i` from 1 to `n`.
pub(crate) fn midpoints(n: usize, device: Device) -> Result<Tensor, TchError> {
    Tensor::f_arange(n as i64, (Kind::Float, device))?
        .f_add_scalar(0.5)?
        .f_div_scalar(n as f64)?
        .f_unsqueeze(0)
}
