//! Initial weights, drawn from our own stream: libtorch's generator is global and differs between versions.

use coinop_envs::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How weights and biases start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Weights and biases uniform in ±1/sqrt(fan_in): Torch7's default, and so that of the DQN, A3C and PAAC papers.
    Uniform,
    /// Orthogonal weights (Saxe et al. 2013, arXiv 1312.6120) scaled by a gain, and zero biases.
    Orthogonal,
}

impl Init {
    /// Values for a weight of `shape` (outputs first) and its bias of `shape[0]`.
    pub(crate) fn draw(self, shape: &[i64], gain: f64, rng: &mut Rng) -> (Tensor, Tensor) {
        let fan_in: i64 = shape[1..].iter().product();
        match self {
            Init::Uniform => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                (uniform(shape, bound, rng), uniform(&shape[..1], bound, rng))
            }
            Init::Orthogonal => {
                let weight = orthogonal(shape[0], fan_in, rng) * gain;
                (
                    weight.reshape(shape),
                    Tensor::zeros([shape[0]], (Kind::Float, tch::Device::Cpu)),
                )
            }
        }
    }
}

fn uniform(shape: &[i64], bound: f64, rng: &mut Rng) -> Tensor {
    let numel: i64 = shape.iter().product();
    let values: Vec<f32> = (0..numel)
        .map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32)
        .collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// A `rows` x `columns` matrix whose rows (or columns, whichever are fewer) are orthonormal: the Q of a Gaussian matrix,
/// with signs such that the distribution is uniform.
fn orthogonal(rows: i64, columns: i64, rng: &mut Rng) -> Tensor {
    let (tall, wide) = (rows.max(columns), rows.min(columns));
    let values: Vec<f64> = (0..tall * wide).map(|_| gaussian(rng)).collect();
    let (q, r) = Tensor::linalg_qr(&Tensor::from_slice(&values).reshape([tall, wide]), "reduced");
    let q = (q * r.diagonal(0, 0, 1).sign()).to_kind(Kind::Float);
    if rows < columns {
        q.transpose(0, 1).contiguous()
    } else {
        q
    }
}

/// A standard normal number, by Box and Muller.
fn gaussian(rng: &mut Rng) -> f64 {
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
            let q = orthogonal(rows, columns, &mut stream(1, "init", 0));
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
        let (weight, bias) = Init::Uniform.draw(&[16, 4, 8, 8], 1.0, &mut stream(1, "init", 0));
        let largest = weight.abs().max().double_value(&[]);
        assert!(largest <= 0.0625 && largest > 0.0620, "{largest}");
        assert!(bias.abs().max().double_value(&[]) <= 0.0625);
        // The standard deviation of a uniform distribution is its half-width over sqrt(3).
        let std = weight.std(true).double_value(&[]);
        assert!((std - 0.0625 / 3f64.sqrt()).abs() < 1e-3, "{std}");
    }
}
