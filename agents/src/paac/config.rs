//! The settings of PAAC.

use serde::{Deserialize, Serialize};

/// The settings of PAAC. [`Default`] is the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaacConfig {
    /// Environments stepped together, `n_e`.
    pub num_envs: usize,
    /// Agent steps per environment and update, `t_max`.
    pub rollout_steps: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// Mixes n-step returns as in generalised advantage estimation (arXiv 1506.02438); 1 is the paper's plain return.
    pub gae_lambda: f64,
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the squared error of the value.
    pub value_weight: f64,
    /// The gradient's global norm is clipped to this.
    pub max_grad_norm: f64,
}
