//! Networks: a shared body, an optional recurrent core, and small heads.
//!
//! ```text
//! body                                                              source
//! nature   conv 32 8x8/4 · conv 64 4x4/2 · conv 64 3x3/1 · 512      Mnih 2015
//! a3c      conv 16 8x8/4 · conv 32 4x4/2 · 256                      Mnih 2013; A3C (1602.01783) and PAAC's "nips" network
//! mlp      64 · 64                                                  for features instead of pixels
//! layers   those that are listed                                    for observations of your own
//!
//! core                                                              source
//! none     nothing: feed-forward
//! lstm     256 LSTM cells                                           A3C-LSTM
//!
//! heads
//! ActorCritic   logits [n, actions] and value [n]
//! QNetwork      action values [n, actions], in one piece or dueling
//! ```
//!
//! Every hidden layer is followed by a rectifier. Pixels are scaled to the range 0 to 1.
//!
//! Parameters are always `f32`. [`Precision`] sets the precision of the layers that process pixels.

mod actor_critic;
mod body;
mod core;
mod precision;
mod q_network;

use coinop_envs::Elem;
use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::init::Init;
use crate::limits::check;

pub use actor_critic::ActorCritic;
pub use body::Body;
pub(crate) use body::{joined, rows};
pub use core::{Core, RecurrentState};
pub use precision::Precision;
pub use q_network::{Head, QNetwork};

/// The architecture of a network, independent of the shape of observations and the number of actions.
///
/// ```
/// use coinop_agents::network::{BodyKind, NetworkConfig};
///
/// let config: NetworkConfig = toml::from_str(
///     r#"
///     body = { layers = { convolutions = [[16, 3, 1]], hidden = [128] } }
///     core = "none"
///     init = "orthogonal"
///     precision = "float32"
///     "#,
/// )?;
/// assert!(matches!(config.body, BodyKind::Layers { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The body.
    pub body: BodyKind,
    /// The recurrent core.
    pub core: Core,
    /// The initial weights.
    pub init: Init,
    /// The precision of computation.
    pub precision: Precision,
}

impl NetworkConfig {
    /// Checks the layers of the body.
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        let (convolutions, hidden) = self.body.layers();
        let is_size = |size: &i64| (1..=65_536).contains(size);
        let good = convolutions
            .iter()
            .all(|(filters, kernel, stride)| [filters, kernel, stride].into_iter().all(is_size));
        let reason = "each is three numbers from 1 to 65536: filters, kernel, stride";
        check(
            good,
            "network.body.layers.convolutions",
            format!("{convolutions:?}"),
            reason,
        )?;
        let good = !hidden.is_empty() && hidden.iter().all(is_size);
        let reason = "it must be at least one number, each from 1 to 65536";
        check(good, "network.body.layers.hidden", format!("{hidden:?}"), reason)
    }

    /// Checks that there is no recurrent core, which networks of action values do not support.
    pub(crate) fn check_feed_forward(&self) -> Result<(), AgentError> {
        let reason = "action values come from feed-forward networks: it must be none";
        check(self.core == Core::None, "network.core", "lstm", reason)
    }
}

/// The body of a network.
///
/// In a configuration, a name or your own layers: `body = { layers = { convolutions = [[16, 3, 1]], hidden = [128] }
/// }`.
///
/// ```
/// use coinop_agents::network::BodyKind;
///
/// let nature: BodyKind = serde_json::from_str("\"nature\"")?;
/// assert_eq!(nature, BodyKind::Nature);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BodyKind {
    /// The network of the Nature DQN paper (Mnih et al. 2015).
    Nature,
    /// The smaller network of A3C and PAAC.
    A3c,
    /// Two layers of 64 units, for features.
    Mlp,
    /// Your own layers.
    Layers {
        /// Convolutions without padding, in order: filters, kernel size, stride. With convolutions, observations must
        /// have the shape (channels, height, width); without, they are flattened.
        #[serde(default)]
        convolutions: Vec<(i64, i64, i64)>,
        /// The widths of the fully connected layers that follow; at least one.
        hidden: Vec<i64>,
    },
}

impl BodyKind {
    fn name(&self) -> &'static str {
        match self {
            BodyKind::Nature => "nature",
            BodyKind::A3c => "a3c",
            BodyKind::Mlp => "mlp",
            BodyKind::Layers { .. } => "layers",
        }
    }

    /// Convolutions as (channels, kernel, stride), and the widths of the hidden layers after them.
    fn layers(&self) -> (&[(i64, i64, i64)], &[i64]) {
        match self {
            BodyKind::Nature => (&[(32, 8, 4), (64, 4, 2), (64, 3, 1)], &[512]),
            BodyKind::A3c => (&[(16, 8, 4), (32, 4, 2)], &[256]),
            BodyKind::Mlp => (&[], &[64, 64]),
            BodyKind::Layers { convolutions, hidden } => (convolutions, hidden),
        }
    }

    /// The width of the last hidden layer.
    fn last_width(&self) -> i64 {
        self.layers().1.last().copied().unwrap_or(1)
    }
}

/// An observation element that libtorch supports and that can be viewed as bytes.
///
/// ```
/// use coinop_agents::network::Observation;
///
/// fn is_observation<O: Observation>(_: O) {}
/// is_observation(255u8);
/// is_observation(0.5f32);
/// ```
pub trait Observation: Elem + tch::kind::Element + bytemuck::Pod {}

impl<T: Elem + tch::kind::Element + bytemuck::Pod> Observation for T {}

#[cfg(test)]
mod tests {
    use coinop_envs::rng::stream;
    use coinop_envs::{EnvSpec, Shape};
    use tch::{Device, Kind, Tensor};

    use super::*;

    fn config(kind: BodyKind, precision: Precision) -> NetworkConfig {
        NetworkConfig {
            body: kind,
            core: Core::None,
            init: Init::Uniform,
            precision,
        }
    }

    fn spec(shape: &[usize]) -> EnvSpec {
        EnvSpec::new(Shape::new(shape), 6)
    }

    fn actor_critic(kind: BodyKind, precision: Precision, shape: &[usize]) -> Result<ActorCritic, AgentError> {
        let rng = &mut stream(1, "init", 0);
        ActorCritic::new(&config(kind, precision), &spec(shape), rng, Device::Cpu)
    }

    fn network(kind: BodyKind, shape: &[usize]) -> Result<ActorCritic, AgentError> {
        actor_critic(kind, Precision::Float32, shape)
    }

    fn layers(convolutions: &[(i64, i64, i64)], hidden: &[i64]) -> BodyKind {
        BodyKind::Layers {
            convolutions: convolutions.to_vec(),
            hidden: hidden.to_vec(),
        }
    }

    fn q_network(kind: BodyKind, head: Head, shape: &[usize]) -> QNetwork {
        let rng = &mut stream(1, "init", 0);
        QNetwork::new(&config(kind, Precision::Float32), head, &spec(shape), rng, Device::Cpu).unwrap()
    }

    /// What a feed-forward network answers.
    fn answer(network: &ActorCritic, obs: &Tensor) -> (Tensor, Tensor) {
        network.forward(obs, &[], &mut RecurrentState::default()).unwrap()
    }

    #[test]
    fn networks_have_the_papers_numbers_of_parameters() {
        // nature: 8224 + 32832 + 36928 + 1606144 + 6·513 + 513; a3c: 4112 + 8224 + 663808 + 6·257 + 257.
        assert_eq!(
            network(BodyKind::Nature, &[4, 84, 84]).unwrap().params().numel(),
            1_687_719
        );
        assert_eq!(network(BodyKind::A3c, &[4, 84, 84]).unwrap().params().numel(), 677_943);
    }

    #[test]
    fn a_batch_gives_logits_and_values() {
        for (kind, shape) in [
            (BodyKind::Nature, &[4, 84, 84][..]),
            (BodyKind::A3c, &[4, 84, 84]),
            (BodyKind::Mlp, &[5]),
            (BodyKind::Mlp, &[2, 5]),
            (layers(&[(8, 3, 1)], &[32]), &[3, 10, 10]),
            (layers(&[], &[32, 16, 8]), &[3, 10, 10]),
        ] {
            let network = network(kind.clone(), shape).unwrap();
            let obs = network.body().input(&vec![7u8; 3 * Shape::new(shape).len()]).unwrap();
            let (logits, values) = answer(&network, &obs);
            assert_eq!((logits.size(), values.size()), (vec![3, 6], vec![3]));
            for head in [Head::Plain, Head::SharedBias, Head::Dueling] {
                assert_eq!(
                    q_network(kind.clone(), head, shape).forward(&obs).unwrap().size(),
                    [3, 6]
                );
            }
        }
    }

    #[test]
    fn q_networks_have_the_papers_numbers_of_parameters() {
        // nature: 8224 + 32832 + 36928 + 1606144 + 6·513; dueling has the hidden layer twice, and a value: + 1606144 + 513.
        let numel = |head| q_network(BodyKind::Nature, head, &[4, 84, 84]).params().numel();
        assert_eq!((numel(Head::Plain), numel(Head::Dueling)), (1_687_206, 3_293_863));
        assert_eq!(numel(Head::SharedBias), 1_687_206 - 5);
    }

    #[test]
    fn the_mean_of_dueling_action_values_is_the_value_of_the_state() {
        let network = q_network(BodyKind::Mlp, Head::Dueling, &[5]);
        let obs = network.body().input(&[0.3f32, -1.0, 2.0, 0.0, 0.5]).unwrap();
        let before = network.forward(&obs).unwrap();
        // A bias of the value moves every action by as much; one of an advantage moves its action by 5/6 and the others by -1/6.
        let named = |name: &str| {
            let mut section = crate::Section::default();
            crate::Checkpoint::save(&network, &mut section).unwrap();
            section.tensor(name).unwrap().copy()
        };
        let shifted = |name: &str| {
            let mut section = crate::Section::default();
            crate::Checkpoint::save(&network, &mut section).unwrap();
            let bias = named(name);
            let _ = bias.get(0).g_add_scalar_(1.0);
            section.put_tensor(name, &bias).unwrap();
            let mut other = q_network(BodyKind::Mlp, Head::Dueling, &[5]);
            crate::Checkpoint::load(&mut other, &section).unwrap();
            Vec::<f32>::try_from((other.forward(&obs).unwrap() - &before).flatten(0, -1)).unwrap()
        };
        let close = |a: &[f32], b: [f32; 6]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close(&shifted("3_value_bias"), [1.0; 6]));
        let sixth = 1.0 / 6.0;
        let expected = [5.0 * sixth, -sixth, -sixth, -sixth, -sixth, -sixth];
        assert!(close(&shifted("5_advantage_bias"), expected));
    }

    #[test]
    fn a_copied_network_is_another_one_with_the_same_weights() {
        let original = q_network(BodyKind::Mlp, Head::Plain, &[5]);
        let mut copy = q_network(BodyKind::Mlp, Head::Plain, &[5]);
        let _ = original.params().flat().g_add_scalar_(1.0);
        assert_ne!(copy.params().flat(), original.params().flat());
        copy.copy_from(&original).unwrap();
        assert_eq!(copy.params().flat(), original.params().flat());
        let _ = original.params().flat().g_add_scalar_(1.0);
        assert_ne!(copy.params().flat(), original.params().flat());
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn a_pixel_of_255_is_1() {
        let network = network(BodyKind::A3c, &[4, 84, 84]).unwrap();
        let pixels: Vec<u8> = (0..2 * 4 * 84 * 84).map(|i: u32| (i * i % 251) as u8).collect();
        let scaled: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        let (a, b) = (
            answer(&network, &network.body().input(&pixels).unwrap()),
            answer(&network, &network.body().input(&scaled).unwrap()),
        );
        assert!(largest_difference(&a.0, &b.0) < 1e-5 && largest_difference(&a.1, &b.1) < 1e-5);
    }

    #[test]
    fn the_order_of_pictures_in_memory_is_not_seen() {
        for (shape, convolutions) in [
            ([4, 12, 10], (8, 4, 2)),
            ([3, 12, 10], (8, 3, 1)),
            ([1, 12, 10], (8, 3, 1)),
        ] {
            let network = network(layers(&[convolutions], &[16]), &shape).unwrap();
            let pixels: Vec<u8> = (0..5 * Shape::new(&shape).len()).map(|i| (i * i % 251) as u8).collect();
            let planes = Tensor::from_slice(&pixels).view([5, shape[0] as i64, 12, 10]);
            let input = network.body().input(&pixels).unwrap();
            assert_eq!(input, planes);
            assert!(input.permute([0, 2, 3, 1]).is_contiguous());
            let (a, b) = (answer(&network, &input), answer(&network, &planes));
            assert!(largest_difference(&a.0, &b.0) < 1e-5 && largest_difference(&a.1, &b.1) < 1e-5);
            // And it stays in parts of them.
            let numbers = Tensor::from_slice(&[3i64, 0]);
            let some = rows(&joined(&[input.shallow_clone(), input]).unwrap(), &numbers).unwrap();
            assert_eq!(some, planes.index_select(0, &numbers));
            assert!(some.permute([0, 2, 3, 1]).is_contiguous());
        }
    }

    #[test]
    fn a_centered_network_sees_how_pixels_differ_from_their_means() {
        for (kind, shape) in [
            (BodyKind::A3c, &[4, 84, 84][..]),
            (layers(&[(8, 3, 1)], &[16]), &[3, 10, 8]),
            (BodyKind::Mlp, &[5]),
        ] {
            let (mut centered, plain) = (
                network(kind.clone(), shape).unwrap(),
                network(kind.clone(), shape).unwrap(),
            );
            let len = Shape::new(shape).len();
            let pixels: Vec<u8> = (0..2 * len).map(|i| (i * i % 251) as u8).collect();
            let input = |pixels: &[u8]| plain.body().input(pixels).unwrap();
            let (first, second) = pixels.split_at(len);
            centered.center(&input(&pixels)).unwrap();
            // The mean of two, and as far from it as the first.
            let differences: Vec<f32> = first
                .iter()
                .zip(second)
                .map(|(&a, &b)| (f32::from(a) - f32::from(b)) / 510.0)
                .collect();
            let expected = answer(&plain, &plain.body().input(&differences).unwrap());
            let close = |(logits, values): (Tensor, Tensor)| {
                largest_difference(&logits, &expected.0) < 1e-5 && largest_difference(&values, &expected.1) < 1e-5
            };
            assert!(close(answer(&centered, &input(first))));
            assert!(close(
                centered
                    .infer(&input(first), &[], &mut RecurrentState::default())
                    .unwrap()
            ));
            // Pixels may be numbers from 0 to 1.
            let scaled: Vec<f32> = first.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            let scaled = plain.body().input(&scaled).unwrap();
            let before = scaled.copy();
            assert!(close(answer(&centered, &scaled)));
            assert_eq!(scaled, before);
            // It is saved and restored with the parameters, and so is that there is nothing to subtract.
            let mut restored = network(kind.clone(), shape).unwrap();
            for original in [&centered, &plain] {
                let mut section = crate::Section::default();
                crate::Checkpoint::save(original, &mut section).unwrap();
                crate::Checkpoint::load(&mut restored, &section).unwrap();
                assert_eq!(restored.is_centered(), original.is_centered());
                assert_eq!(answer(&restored, &input(first)), answer(original, &input(first)));
            }
        }
    }

    #[test]
    fn without_a_gradient_a_network_answers_the_same_whatever_happened_to_its_parameters() {
        for precision in [Precision::Float32, Precision::Bfloat16] {
            let mut network = actor_critic(BodyKind::A3c, precision, &[4, 84, 84]).unwrap();
            let input = network.body().input(&vec![77u8; 4 * 84 * 84]).unwrap();
            let infer = |network: &ActorCritic, input: &Tensor| {
                let answer = network.infer(input, &[], &mut RecurrentState::default());
                answer.unwrap()
            };
            let mut answers = Vec::new();
            for change in 0..4 {
                match change {
                    0 => {}
                    1 => drop(tch::no_grad(|| network.params().flat().g_mul_scalar_(1.5))),
                    2 => {
                        let mut flat = network.params().flat();
                        let gradient = flat.ones_like();
                        let config = crate::optim::AdamConfig {
                            beta1: 0.9,
                            beta2: 0.999,
                            epsilon: 1e-5,
                        };
                        let mut adam = crate::optim::Adam::new(config, &flat).unwrap();
                        adam.step(&mut flat, &gradient, 0.01).unwrap();
                    }
                    _ => {
                        let mut section = crate::Section::default();
                        let other = actor_critic(BodyKind::A3c, precision, &[4, 84, 84]).unwrap();
                        crate::Checkpoint::save(&other, &mut section).unwrap();
                        crate::Checkpoint::load(&mut network, &section).unwrap();
                    }
                }
                // Pixels, and the same as numbers from 0 to 1, which meet other weights.
                for input in [&input, &(&input / 255.0)] {
                    let (logits, values) = infer(&network, input);
                    assert!(!logits.requires_grad() && !values.requires_grad());
                    assert_eq!((logits, values), answer(&network, input));
                }
                answers.push(infer(&network, &input));
            }
            assert!(answers.windows(2).all(|pair| pair[0] != pair[1]));
            assert_eq!(answers[0], answers[3]);
        }
    }

    #[test]
    fn action_values_without_a_gradient_are_the_same_whatever_happened_to_the_parameters() {
        let network = |seed| {
            let config = config(BodyKind::A3c, Precision::Float32);
            let rng = &mut stream(seed, "init", 0);
            QNetwork::new(&config, Head::Dueling, &spec(&[4, 84, 84]), rng, Device::Cpu).unwrap()
        };
        let (mut target, online) = (network(1), network(2));
        let input = target.body().input(&vec![77u8; 4 * 84 * 84]).unwrap();
        let before = target.infer(&input).unwrap();
        assert_eq!(before, target.forward(&input).unwrap());
        target.copy_from(&online).unwrap();
        assert_eq!(target.infer(&input).unwrap(), online.forward(&input).unwrap());
        assert_ne!(target.infer(&input).unwrap(), before);
        target.params().take(&vec![0.0; target.params().numel()]).unwrap();
        assert_eq!(target.infer(&input).unwrap(), before.zeros_like());
    }

    #[test]
    fn bfloat16_answers_nearly_the_same_with_nearly_the_same_gradient_in_f32() {
        let at = |precision| {
            let network = actor_critic(BodyKind::A3c, precision, &[4, 84, 84]).unwrap();
            let pixels: Vec<u8> = (0..4 * 84 * 84).map(|i: u32| (i * i % 251) as u8).collect();
            let (logits, values) = answer(&network, &network.body().input(&pixels).unwrap());
            let loss = logits.square().sum(Kind::Float) + values.square().sum(Kind::Float);
            let gradient = network.params().gradient(&loss).unwrap();
            (logits, gradient)
        };
        let (exact, rough) = (at(Precision::Float32), at(Precision::Bfloat16));
        assert_eq!((rough.0.kind(), rough.1.kind()), (Kind::Float, Kind::Float));
        // A number of bfloat16 has 8 bits, so that each is off by up to 0.4 %.
        let off = largest_difference(&exact.0, &rough.0);
        assert!(off > 0.0 && off < 0.01 * exact.0.abs().max().double_value(&[]), "{off}");
        let cosine = Tensor::cosine_similarity(&exact.1, &rough.1, 0, 1e-12).double_value(&[]);
        assert!(cosine > 0.999, "{cosine}");
    }

    #[test]
    fn a_shape_that_a_network_can_not_read_is_an_error_with_the_reason() {
        let error = network(BodyKind::A3c, &[7]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the network `a3c` cannot read observations of shape 7: it needs channels, height and width"
        );
        assert!(network(BodyKind::Nature, &[4, 20, 20]).is_err());
        let deep = layers(&[(8, 3, 1), (8, 9, 1)], &[32]);
        let error = network(deep, &[1, 10, 10]).unwrap_err().to_string();
        assert!(
            error.starts_with("the network `layers` cannot read observations of shape 1x10x10"),
            "{error}"
        );
    }

    #[test]
    fn layers_that_can_not_be_are_refused() {
        let error = |kind| network(kind, &[1, 10, 10]).unwrap_err().to_string();
        assert_eq!(
            error(layers(&[(8, 3, 0)], &[32])),
            "network.body.layers.convolutions = [(8, 3, 0)]: each is three numbers from 1 to 65536: filters, kernel, stride"
        );
        assert_eq!(
            error(layers(&[(8, 3, 1)], &[])),
            "network.body.layers.hidden = []: it must be at least one number, each from 1 to 65536"
        );
    }

    #[test]
    fn the_same_stream_gives_the_same_weights() {
        let shape = [4, 84, 84];
        let (a, b) = (
            network(BodyKind::A3c, &shape).unwrap(),
            network(BodyKind::A3c, &shape).unwrap(),
        );
        assert_eq!(a.params().flat(), b.params().flat());
    }
}
