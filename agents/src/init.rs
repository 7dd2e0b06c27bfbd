//! Initial weights, drawn from our own random streams: libtorch's generator is global and differs between versions.

use coinop_envs::rng::Rng;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// The distribution of initial weights and biases.
///
/// ```
/// use coinop_agents::init::Init;
///
/// let init: Init = serde_json::from_str("\"orthogonal\"")?;
/// assert_eq!(init, Init::Orthogonal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Weights and biases uniform in ±1/sqrt(fan_in): Torch7's default, and so that of the DQN, A3C and PAAC papers.
    Uniform,
    /// Orthogonal weights (Saxe et al. 2013, arXiv 1312.6120) scaled by a gain, and zero biases.
    Orthogonal,
}

impl Init {
    /// Draws a weight of `shape` (outputs first) and its bias of `shape[0]`.
    pub(crate) fn draw(self, shape: &[i64], gain: f64, rng: &mut Rng) -> Result<(Tensor, Tensor), TchError> {
        let fan_in: i64 = shape[1..].iter().product();
        match self {
            Init::Uniform => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                Ok((uniform(shape, bound, rng)?, uniform(&shape[..1], bound, rng)?))
            }
            Init::Orthogonal => {
                let weight = orthogonal(shape[0], fan_in, rng)?.f_mul_scalar(gain)?;
                let bias = Tensor::f_zeros([shape[0]], (Kind::Float, tch::Device::Cpu))?;
                Ok((weight.f_reshape(shape)?, bias))
            }
        }
    }
}

fn uniform(shape: &[i64], bound: f64, rng: &mut Rng) -> Result<Tensor, TchError> {
    let numel: i64 = shape.iter().product();
    let values: Vec<f32> = (0..numel)
        .map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32)
        .collect();
    Tensor::f_from_slice(&values)?.f_reshape(shape)
}

/// Draws a `rows` x `columns` matrix whose rows (or columns, whichever are fewer) are orthonormal: the Q of a
/// Gaussian matrix, with signs that make the distribution uniform.
fn orthogonal(rows: i64, columns: i64, rng: &mut Rng) -> Result<Tensor, TchError> {
    let (tall, wide) = (rows.max(columns), rows.min(columns));
    let values: Vec<f64> = (0..tall * wide).map(|_| gaussian(rng)).collect();
    let gaussian = Tensor::f_from_slice(&values)?.f_reshape([tall, wide])?;
    let (q, r) = Tensor::f_linalg_qr(&gaussian, "reduced")?;
    let q = q.f_mul(&r.f_diagonal(0, 0, 1)?.f_sign()?)?.f_to_kind(Kind::Float)?;
    if rows < columns {
        q.f_transpose(0, 1)?.f_contiguous()
    } else {
        Ok(q)
    }
}

/// Draws a standard normal number (Box-Muller).
pub(crate) fn gaussian(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use coinop_envs::rng::stream;

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal() {
        for (rows, columns) in [(16, 256), (256, 16), (5, 5)] {
            let q = orthogonal(rows, columns, &mut stream(1, "init", 0)).unwrap();
            let gram = if rows <= columns {
                q.matmul(&q.tr())
            } else {
                q.tr().matmul(&q)
            };
            let error = (gram - Tensor::eye(rows.min(columns), (Kind::Float, tch::Device::Cpu)))
                .abs()
                .max();
            assert!(error.double_value(&[]) < 1e-5);
        }
    }

    #[test]
    fn uniform_weights_stay_within_one_over_the_root_of_fan_in_and_fill_the_range() {
        // fan_in = 4 * 8 * 8 = 256, so the bound is 1/16.
        let (weight, bias) = Init::Uniform
            .draw(&[16, 4, 8, 8], 1.0, &mut stream(1, "init", 0))
            .unwrap();
        let largest = weight.abs().max().double_value(&[]);
        assert!(largest <= 0.0625 && largest > 0.0620, "{largest}");
        assert!(bias.abs().max().double_value(&[]) <= 0.0625);
        // The standard deviation of a uniform distribution is its half-width over sqrt(3).
        let std = weight.std(true).double_value(&[]);
        assert!((std - 0.0625 / 3f64.sqrt()).abs() < 1e-3, "{std}");
    }
}
