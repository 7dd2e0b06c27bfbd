//! Networks beside their layers written out.

use coinop_envs::EnvSpec;
use coinop_envs::rng::stream;
use tch::{Device, Kind, Tensor, no_grad};

use super::*;
use crate::distributed::Ranks;

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
    BodyKind::layers_of(convolutions, hidden)
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
fn a_block_has_its_pixels_row_by_row_with_all_of_their_channels() {
    // Two channels of 4x4 pixels: the second one is the first plus 100.
    let pixels: Vec<u8> = (0..16).chain(100..116).collect();
    let mut network = network(layers(&[(8, 2, 2)], &[16]), &[2, 4, 4]).unwrap();
    assert_eq!(network.body_mut().use_blocks(), Some(2));
    let input = network.body().input(&pixels).unwrap();
    assert_eq!(input.size(), [1, 8, 2, 2]);
    let first_two = input.permute([0, 2, 3, 1]).reshape([-1]).narrow(0, 0, 16);
    assert_eq!(
        Vec::<u8>::try_from(first_two).unwrap(),
        [0, 100, 1, 101, 4, 104, 5, 105, 2, 102, 3, 103, 6, 106, 7, 107]
    );
}

#[test]
fn pictures_in_blocks_give_the_same_answers_and_gradients() {
    let mut normalized = layers(&[(8, 4, 2), (8, 3, 1)], &[16]);
    let BodyKind::Layers(list) = &mut normalized else {
        unreachable!()
    };
    list.norm = Norm::Batch;
    for (kind, shape, block) in [
        (BodyKind::A3c, [4, 84, 84], Some(4)),
        (BodyKind::Nature, [4, 84, 84], Some(4)),
        (normalized, [3, 12, 10], Some(2)),
        // A kernel or a picture that does not consist of whole blocks, and blocks of one pixel.
        (layers(&[(8, 5, 2)], &[16]), [3, 12, 10], None),
        (layers(&[(8, 4, 2)], &[16]), [3, 12, 11], None),
        (layers(&[(8, 3, 1)], &[16]), [3, 12, 10], None),
        (layers(&[], &[16]), [3, 12, 10], None),
        (BodyKind::Impala(Impala::default()), [4, 84, 84], None),
    ] {
        let make = || network(kind.clone(), &shape).unwrap();
        let (mut plain, mut blocked, mut restored) = (make(), make(), make());
        for network in [&mut blocked, &mut restored] {
            assert_eq!(network.body_mut().use_blocks(), block, "{kind:?} {shape:?}");
        }
        let len = Shape::new(&shape).len();
        let pixels: Vec<u8> = (0..3 * len).map(|i| (i * i % 251) as u8).collect();
        let scaled: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        let both = |a: &ActorCritic, b: &ActorCritic| {
            let close = |a: &Tensor, b: &Tensor| {
                let difference = largest_difference(a, b);
                assert!(difference < 1e-4, "{kind:?} {shape:?}: {difference}");
            };
            let inputs = [a, b].map(|network| network.body().input(&pixels).unwrap());
            let numbers = [a, b].map(|network| network.body().input(&scaled).unwrap());
            let loss = |network: &ActorCritic, obs: &Tensor| {
                let (logits, values) = answer(network, obs);
                let loss = logits.square().sum(Kind::Float) + values.square().sum(Kind::Float);
                (network.params().gradient(&loss).unwrap(), logits)
            };
            // What came from elsewhere is not in blocks.
            let size: Vec<i64> = [3].into_iter().chain(shape.map(|dim| dim as i64)).collect();
            let planes = [(); 2].map(|()| Tensor::from_slice(&pixels).view(size.as_slice()));
            for [of_a, of_b] in [&inputs, &numbers, &planes] {
                let ((a_gradient, a_logits), (b_gradient, b_logits)) = (loss(a, of_a), loss(b, of_b));
                close(&a_logits, &b_logits);
                close(&(&a_gradient / a_gradient.norm()), &(&b_gradient / a_gradient.norm()));
                let infer = |network: &ActorCritic, obs| network.infer(obs, &[], &mut RecurrentState::default());
                close(&infer(a, of_a).unwrap().0, &infer(b, of_b).unwrap().0);
            }
            let sums = [a, b].map(|network| network.body().sums(&pixels).unwrap());
            assert_eq!(sums[0], sums[1]);
            assert_eq!(a.body().center_values().unwrap(), b.body().center_values().unwrap());
        };
        both(&plain, &blocked);
        for network in [&mut plain, &mut blocked] {
            let obs = network.body().input(&pixels).unwrap();
            network.center(&obs).unwrap();
        }
        both(&plain, &blocked);
        // What is saved does not depend on it.
        let save = |network: &ActorCritic| {
            let mut section = crate::Section::default();
            crate::Checkpoint::save(network, &mut section).unwrap();
            section
        };
        let [of_plain, of_blocked] = [&plain, &blocked].map(save);
        assert_eq!(of_plain.tensor("center").unwrap(), of_blocked.tensor("center").unwrap());
        crate::Checkpoint::load(&mut restored, &of_plain).unwrap();
        both(&plain, &restored);
        restored.copy_from(&plain).unwrap();
        both(&plain, &restored);
    }
}

#[test]
fn copied_weights_of_action_values_bring_the_means_of_pixels() {
    let make = || q_network(layers(&[(8, 3, 1)], &[16]), Head::Plain, &[3, 10, 8]);
    let (mut original, fresh) = (make(), make());
    let pixels: Vec<u8> = (0..480).map(|i| (i * i % 251) as u8).collect();
    let input = original.body().input(&pixels).unwrap();
    original.center_over(&input, &Ranks::default()).unwrap();
    original.params().set(|params| params[0] += 1.0).unwrap();
    let expected = original.infer(&input).unwrap();
    assert_ne!(fresh.infer(&input).unwrap(), expected);
    let weights = original.weights().unwrap();
    let numbers = weights.numbers().unwrap();
    assert_eq!(numbers.len(), original.params().numel() + 240);
    let [mut copied, mut told, mut received] = [(); 3].map(|()| make());
    copied.copy_from(&original).unwrap();
    told.read_weights(&weights).unwrap();
    assert!(received.read_numbers(&numbers).unwrap());
    for network in [&copied, &told, &received] {
        assert_eq!(network.infer(&input).unwrap(), expected);
    }
    // Without means, there are none afterwards; and numbers of another network change nothing.
    let mut written = weights;
    fresh.write_weights(&mut written).unwrap();
    told.read_weights(&written).unwrap();
    let plain = written.numbers().unwrap();
    assert!(received.read_numbers(&plain).unwrap());
    for wrong in [&plain[1..], &numbers[1..], &[]] {
        assert!(!received.read_numbers(wrong).unwrap());
    }
    for network in [&told, &received] {
        assert_eq!(network.infer(&input).unwrap(), fresh.infer(&input).unwrap());
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
        // The same from the sum over observations, in the order of observations.
        let sums = plain.body().sums(&pixels).unwrap();
        let means: Vec<f32> = sums.iter().map(|sum| sum / 2.0).collect();
        assert_eq!(
            means[len - 1],
            (f32::from(first[len - 1]) + f32::from(second[len - 1])) / 2.0
        );
        assert_eq!(plain.body().center_values().unwrap(), None);
        assert_eq!(centered.body().center_values().unwrap(), Some(means.clone()));
        let mut told = network(kind.clone(), shape).unwrap();
        told.set_center(Some(&means)).unwrap();
        assert_eq!(answer(&told, &input(first)), answer(&centered, &input(first)));
        told.set_center(None).unwrap();
        assert_eq!(answer(&told, &input(first)), answer(&plain, &input(first)));
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

fn registered(
    name: &str,
    make: impl Fn(&mut TorsoBuilder<'_>) -> Result<Torso, AgentError> + Send + Sync + 'static,
) -> BodyKind {
    register(name, make).unwrap();
    BodyKind::Registered(name.to_owned())
}

/// Pixels, or numbers, of `n` observations.
fn pixels(n: usize, shape: &[usize]) -> Vec<u8> {
    (0..n * Shape::new(shape).len()).map(|i| (i * i % 251) as u8).collect()
}

#[test]
fn the_residual_network_has_the_parameters_of_the_papers_program() {
    // Sections of 4, 16, 32 and 32 channels: conv c·9·o + o, and four of o·9·o + o each; 84 becomes 42, 21 and 11 pixels; then
    // 32·11·11 to 256, policy 6·257, value 257.
    let section =
        |inputs: usize, outputs: usize| inputs * 9 * outputs + outputs + 4 * (outputs * 9 * outputs + outputs);
    let expected = section(4, 16) + section(16, 32) + section(32, 32) + (32 * 11 * 11 + 1) * 256 + 7 * 257;
    let impala = BodyKind::Impala(Impala::default());
    assert_eq!(network(impala, &[4, 84, 84]).unwrap().params().numel(), expected);
}

#[test]
fn a_residual_block_adds_what_it_computes_to_its_input() {
    // One section, whose convolutions within the blocks are 0: what is left is the pooled first convolution.
    let impala = BodyKind::Impala(Impala {
        channels: vec![2],
        hidden: 3,
        ..Impala::default()
    });
    let network = network(impala, &[1, 6, 6]).unwrap();
    let params = network.params();
    for i in 2..10 {
        let _ = no_grad(|| params.leaf(i).shallow_clone().zero_());
    }
    let input = network.body().input(&pixels(2, &[1, 6, 6])).unwrap();
    let scaled = input.to_kind(Kind::Float) / 255.0;
    let pooled = scaled
        .conv2d(params.leaf(0), Some(params.leaf(1)), [1, 1], [1, 1], [1, 1], 1)
        .max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)
        .relu();
    let hidden = pooled
        .permute([0, 2, 3, 1])
        .flatten(1, -1)
        .linear(params.leaf(10), Some(params.leaf(11)))
        .relu();
    let features = network.body().forward(params, &input).unwrap();
    assert!(largest_difference(&features, &hidden) < 1e-5);
}

#[test]
fn a_skip_adds_the_input_of_a_layer_where_it_has_the_size_of_its_output() {
    let kind = BodyKind::Layers(Layers {
        hidden: vec![5, 4, 4],
        activation: Activation::Tanh,
        skip: true,
        ..Layers::default()
    });
    let network = network(kind, &[5]).unwrap();
    let leaf = |i: usize| network.params().leaf(i);
    let x = Tensor::from_slice(&[0.3f32, -1.0, 2.0, 0.0, 0.5]).view([1, 5]);
    let first = x.linear(leaf(0), Some(leaf(1))).tanh() + &x;
    let second = first.linear(leaf(2), Some(leaf(3))).tanh();
    let third = second.linear(leaf(4), Some(leaf(5))).tanh() + &second;
    let features = network.body().forward(network.params(), &x).unwrap();
    assert!(largest_difference(&features, &third) < 1e-6);
}

#[test]
fn a_layer_norm_is_over_the_outputs_of_each_sample_and_the_filters_of_each_pixel() {
    let normed = |hidden: &[i64], convolutions: &[(i64, i64, i64)]| {
        BodyKind::Layers(Layers {
            convolutions: convolutions.to_vec(),
            hidden: hidden.to_vec(),
            norm: Norm::Layer,
            ..Layers::default()
        })
    };
    let normalized = |x: &Tensor, dim: i64| {
        let mean = x.mean_dim(dim, true, Kind::Float);
        let variance = (x - &mean).square().mean_dim(dim, true, Kind::Float);
        (x - mean) / (variance + 1e-5).sqrt()
    };
    let features = network(normed(&[7], &[]), &[5]).unwrap();
    let x = Tensor::from_slice(&[0.3f32, -1.0, 2.0, 0.0, 0.5, 1.0, 0.0, 0.0, -2.0, 0.1]).view([2, 5]);
    let expected = normalized(&x.linear(features.params().leaf(0), Some(features.params().leaf(1))), 1).relu();
    let found = features.body().forward(features.params(), &x).unwrap();
    assert!(largest_difference(&found, &expected) < 1e-5);
    let pictures = network(normed(&[3], &[(4, 3, 1)]), &[2, 5, 6]).unwrap();
    let params = pictures.params();
    let input = pictures.body().input(&pixels(2, &[2, 5, 6])).unwrap();
    let scaled = input.to_kind(Kind::Float) / 255.0;
    let conv = scaled.conv2d(params.leaf(0), Some(params.leaf(1)), [1, 1], [0, 0], [1, 1], 1);
    let conv = normalized(&conv, 1).relu().permute([0, 2, 3, 1]).flatten(1, -1);
    let expected = normalized(&conv.linear(params.leaf(4), Some(params.leaf(5))), 1).relu();
    let found = pictures.body().forward(params, &input).unwrap();
    assert!(largest_difference(&found, &expected) < 1e-4);
}

#[test]
fn a_batch_norm_is_absorbed_into_weights_where_there_is_no_gradient() {
    let kind = BodyKind::Layers(Layers {
        convolutions: vec![(8, 3, 1), (4, 3, 2)],
        hidden: vec![16],
        norm: Norm::Batch,
        ..Layers::default()
    });
    let shape = [3, 12, 10];
    let network = network(kind.clone(), &shape).unwrap();
    let batch = network.body().input(&pixels(20, &shape)).unwrap();
    // With a gradient, the numbers of each filter have mean 0 and variance 1 over the batch; here the gain and the bias are
    // others, and the averages approach the statistics of the batch.
    let _ = no_grad(|| network.params().leaf(2).shallow_clone().uniform_(0.5, 1.5));
    let _ = no_grad(|| network.params().leaf(3).shallow_clone().uniform_(-1.0, 1.0));
    let mut answers = Vec::new();
    for _ in 0..200 {
        answers.push(answer(&network, &batch).0.detach());
        let (logits, _) = network.infer(&batch, &[], &mut RecurrentState::default()).unwrap();
        answers.push(logits);
    }
    // The first answer without a gradient is from averages that have seen one batch; the last one is that of the batch, but
    // for the variance, which libtorch estimates for the average from one number less.
    let [first, last] = [0, 399 - 1].map(|i| largest_difference(&answers[i], &answers[i + 1]));
    assert!(last < 0.05 * first && first > 0.0, "{first} {last}");
    // Layer by layer, with the averages.
    let leaf = |i: usize| network.params().leaf(i).detach();
    let norm = |x: Tensor, at: usize| {
        x.batch_norm(
            Some(leaf(at)),
            Some(leaf(at + 1)),
            Some(leaf(at + 2)),
            Some(leaf(at + 3)),
            false,
            0.1,
            1e-5,
            false,
        )
        .relu()
    };
    let x = batch.to_kind(Kind::Float) / 255.0;
    let x = norm(x.conv2d(&leaf(0), Some(leaf(1)), [1, 1], [0, 0], [1, 1], 1), 2);
    let x = norm(x.conv2d(&leaf(6), Some(leaf(7)), [2, 2], [0, 0], [1, 1], 1), 8);
    let x = norm(
        x.permute([0, 2, 3, 1]).flatten(1, -1).linear(&leaf(12), Some(leaf(13))),
        14,
    );
    let logits = x.linear(&leaf(18), Some(leaf(19)));
    assert!(largest_difference(&logits, &answers[399]) < 1e-5);
    // The averages are saved, copied to a target network, and have no gradient.
    let mut section = crate::Section::default();
    crate::Checkpoint::save(&network, &mut section).unwrap();
    assert_eq!(section.tensor("1_norm_mean").unwrap(), &leaf(4));
    let (logits, values) = answer(&network, &batch);
    let loss = logits.square().sum(Kind::Float) + values.square().sum(Kind::Float);
    let gradient = network.params().gradient(&loss).unwrap();
    let first = network.params().leaf(0).numel() as i64 + 8 + 8 + 8;
    assert_eq!(gradient.narrow(0, first, 16).abs().max().double_value(&[]), 0.0);
    let head = Head::Plain;
    let (online, mut target) = (q_network(kind.clone(), head, &shape), q_network(kind, head, &shape));
    let _ = online.forward(&batch).unwrap();
    assert_ne!(online.infer(&batch).unwrap(), target.infer(&batch).unwrap());
    target.copy_from(&online).unwrap();
    assert_eq!(online.infer(&batch).unwrap(), target.infer(&batch).unwrap());
}

#[test]
fn a_spectral_norm_divides_weights_by_the_largest_singular_values_that_power_iteration_finds() {
    let kind = BodyKind::Layers(Layers {
        hidden: vec![2],
        norm: Norm::Spectral,
        ..Layers::default()
    });
    let network = network(kind.clone(), &[3]).unwrap();
    let params = network.params();
    let named = |name: &str| params.named().find(|(known, _)| *known == name).unwrap().1;
    let set = |name: &str, values: &[f32]| {
        let values = Tensor::from_slice(values).view_as(named(name));
        no_grad(|| named(name).shallow_clone().copy_(&values));
    };
    set("1_hidden_weight", &[1.0, 2.0, -3.0, -1.0, 0.5, 1.0]);
    set("1_hidden_bias", &[0.0, 0.0]);
    set("1_norm_vector", &[0.6, 0.8]);
    let x = Tensor::from_slice(&[1.0f32, 0.0, 0.0]).view([1, 3]);
    let divisor = |features: Tensor| 1.0 / features.double_value(&[0, 0]);
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    // By hand: Wᵀu = (-.2, 1.6, -1), which W maps to (6, 0), so that u = (1, 0) and |Wᵀu| = sqrt(14). The others are those of
    // PyTorch's torch.nn.utils.parametrizations.spectral_norm.
    for expected in [14f64.sqrt(), 3.835_807, 3.836_867] {
        near(divisor(network.body().forward(params, &x).unwrap()), expected);
        // Without a gradient, no step is taken.
        near(divisor(network.body().infer(params, &x).unwrap()), expected);
    }
    // The gradient through the divisor is PyTorch's, too.
    let units = Tensor::eye(3, (Kind::Float, Device::Cpu));
    let features = network.body().forward(params, &units).unwrap();
    let factors = Tensor::arange_start(1, 7, (Kind::Float, Device::Cpu)).view([3, 2]);
    let gradient = params.gradient(&(features * factors).sum(Kind::Float)).unwrap();
    for (i, expected) in [-0.050_756, 0.309_918, 0.813_512, 0.074_814, 1.155_909, 1.368_316]
        .into_iter()
        .enumerate()
    {
        near(gradient.double_value(&[i as i64]), expected);
    }
    // Neither has the vector a gradient: 6 weights, 2 biases, then the vector.
    assert_eq!(gradient.narrow(0, 8, 2).abs().max().double_value(&[]), 0.0);
}

#[test]
fn a_spectral_norm_ends_at_the_singular_value_and_is_copied_and_saved_with_the_weights() {
    let kind = BodyKind::Impala(Impala {
        channels: vec![4],
        hidden: 6,
        norm: Norm::Spectral,
        max_pool: Some(3),
    });
    let shape = [3, 10, 8];
    let network = network(kind.clone(), &shape).unwrap();
    let params = network.params();
    let input = network.body().input(&pixels(2, &shape)).unwrap();
    for _ in 0..500 {
        let _ = answer(&network, &input);
    }
    let named = |name: &str| params.named().find(|(known, _)| *known == name).unwrap().1;
    // Of the five convolutions, the first one is outside of the residual blocks: it and the hidden layer are as they are.
    let conv = |number: usize, x: &Tensor| {
        let weight = named(&format!("{number}_conv_weight"));
        let weight = match number {
            1 => weight.shallow_clone(),
            _ => weight / weight.flatten(1, -1).svd(true, true).1.max(),
        };
        let bias = named(&format!("{number}_conv_bias"));
        x.conv2d(&weight, Some(bias), [1, 1], [1, 1], [1, 1], 1)
    };
    let x = conv(1, &(input.to_kind(Kind::Float) / 255.0)).max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
    let x = &x + conv(3, &conv(2, &x.relu()).relu());
    let x = &x + conv(5, &conv(4, &x.relu()).relu());
    let x = x
        .relu()
        .adaptive_max_pool2d([3, 3])
        .0
        .permute([0, 2, 3, 1])
        .flatten(1, -1);
    let expected = x.linear(named("6_hidden_weight"), Some(named("6_hidden_bias"))).relu();
    let found = network.body().infer(params, &input).unwrap();
    assert!(largest_difference(&found, &expected) < 1e-4);
    // Its vectors go wherever the weights go.
    let head = Head::Plain;
    let (online, mut target) = (q_network(kind.clone(), head, &shape), q_network(kind, head, &shape));
    for _ in 0..3 {
        let _ = online.forward(&input).unwrap();
    }
    assert_ne!(online.infer(&input).unwrap(), target.infer(&input).unwrap());
    target.copy_from(&online).unwrap();
    assert_eq!(online.infer(&input).unwrap(), target.infer(&input).unwrap());
}

#[test]
fn adaptive_pooling_takes_the_largest_pixels_of_regions_that_cover_the_picture() {
    // Without channels of its own to compute with, a section of one channel whose convolution copies the picture, and whose
    // blocks are 0: what is left is pooled twice. Each side of 9 becomes 5, and 5 becomes 2: pixels 0 to 2, and 2 to 4.
    let kind = BodyKind::Impala(Impala {
        channels: vec![1],
        hidden: 3,
        max_pool: Some(2),
        ..Impala::default()
    });
    let network = network(kind, &[1, 9, 9]).unwrap();
    let params = network.params();
    no_grad(|| {
        for i in 0..10 {
            let _ = params.leaf(i).shallow_clone().zero_();
        }
        let _ = params.leaf(0).get(0).get(0).get(1).get(1).fill_(255.0);
    });
    // One pixel is 7, in the column and the row that pooling makes 3: the last region has it.
    let mut picture = vec![1u8; 81];
    picture[9 * 6 + 6] = 7;
    let x = network.body().input(&picture).unwrap();
    let pooled = Tensor::from_slice(&[1.0f32, 1.0, 1.0, 7.0]).view([1, 4]);
    let expected = pooled.linear(params.leaf(10), Some(params.leaf(11))).relu();
    let found = network.body().forward(params, &x).unwrap();
    assert!(largest_difference(&found, &expected) < 1e-5);
}

#[test]
fn dropout_is_for_gradients_alone_keeps_the_mean_and_continues_from_a_checkpoint() {
    let kind = |dropout| {
        BodyKind::Layers(Layers {
            hidden: vec![4_000],
            dropout,
            ..Layers::default()
        })
    };
    let make = |dropout| network(kind(dropout), &[3]).unwrap();
    let (dropped, plain) = (make(Some(0.25)), make(None));
    // The initial weights do not depend on it.
    assert_eq!(dropped.params().flat(), plain.params().flat());
    let x = dropped.body().input(&[1.0f32, -2.0, 0.5]).unwrap();
    let features = |network: &ActorCritic| network.body().forward(network.params(), &x).unwrap().detach();
    let whole = features(&plain);
    assert_eq!(dropped.body().infer(dropped.params(), &x).unwrap(), whole);
    let first = features(&dropped);
    let positive = whole.gt(0.0);
    let zeros = first
        .eq(0.0)
        .logical_and(&positive)
        .to_kind(Kind::Float)
        .sum(Kind::Float)
        .double_value(&[]);
    let share = zeros / positive.to_kind(Kind::Float).sum(Kind::Float).double_value(&[]);
    // Of about 2,000 outputs above 0; the standard deviation is 0.01.
    assert!((share - 0.25).abs() < 0.05, "{share}");
    let kept = first.ne(0.0).to_kind(Kind::Float);
    assert!(largest_difference(&first, &(&whole * kept / 0.75)) < 1e-5);
    // Masks differ from pass to pass, and a restored network draws those that would have come next.
    let mut section = crate::Section::default();
    crate::Checkpoint::save(&dropped, &mut section).unwrap();
    let next = features(&dropped);
    assert_ne!(next, first);
    let mut restored = make(Some(0.25));
    crate::Checkpoint::load(&mut restored, &section).unwrap();
    assert_eq!(features(&restored), next);
    let error = network(kind(Some(1.0)), &[3]).unwrap_err().to_string();
    assert_eq!(
        error,
        "network.body.layers.dropout = 1: it must be at least 0 and less than 1"
    );
}

#[test]
fn what_workers_do_not_share_is_refused_for_them() {
    let error = |body: &str| {
        let kind: BodyKind =
            toml::from_str::<std::collections::BTreeMap<String, BodyKind>>(body).unwrap()["body"].clone();
        config(kind, Precision::Float32)
            .check_for_workers()
            .map_err(|error| error.to_string())
    };
    assert_eq!(error("body = { layers = { hidden = [9], norm = 'layer' } }"), Ok(()));
    for (body, expected) in [
        (
            "body = { layers = { hidden = [9], norm = 'batch' } }",
            "network.body.layers.norm = batch: each worker learns from one environment, which is not a batch: it must be none or layer",
        ),
        (
            "body = { impala = { norm = 'spectral' } }",
            "network.body.impala.norm = spectral: workers do not share their estimates of singular values: it must be none or layer",
        ),
        (
            "body = { layers = { hidden = [9], dropout = 0.5 } }",
            "network.body.layers.dropout = 0.5: workers have no dropout: it must be left out",
        ),
    ] {
        assert_eq!(error(body), Err(expected.to_owned()));
    }
}

#[test]
fn a_registered_torso_is_whatever_its_closure_computes() {
    // Two convolutions side by side, added to constants: nothing that is a list of layers.
    let kind = registered("side-by-side", |builder| {
        let [channels, height, width] = *builder.obs_shape().dims() else {
            unreachable!("the test shows pictures")
        };
        let convolution = Convolution::new(3, 1);
        let (left, right) = (
            builder.conv(2, channels as i64, convolution)?,
            builder.conv(2, channels as i64, convolution)?,
        );
        let bias = builder.buffer("bias", &Tensor::from_slice(&[1.0f32, -1.0]).view([2, 1, 1]))?;
        let features = 2 * convolution.outputs(height as i64) * convolution.outputs(width as i64);
        Ok(Torso::new(features, move |pass| {
            let both = pass.read(left)?.f_tanh()?.f_mul(&pass.read(right)?)?;
            both.f_add(&pass.buffer(bias)?)
        }))
    });
    let shape = [3, 5, 4];
    let network = network(kind.clone(), &shape).unwrap();
    let input = network.body().input(&pixels(2, &shape)).unwrap();
    let scaled = input.to_kind(Kind::Float) / 255.0;
    let conv = |at: usize| {
        let (weight, bias) = (network.params().leaf(at), network.params().leaf(at + 1));
        scaled.conv2d(weight, Some(bias), [1, 1], [0, 0], [1, 1], 1)
    };
    let bias = Tensor::from_slice(&[1.0f32, -1.0]).view([2, 1, 1]);
    let expected = (conv(0).tanh() * conv(2) + bias).permute([0, 2, 3, 1]).flatten(1, -1);
    let features = network.body().forward(network.params(), &input).unwrap();
    assert!(largest_difference(&features, &expected) < 1e-5);
    let (logits, _) = network.infer(&input, &[], &mut RecurrentState::default()).unwrap();
    assert_eq!(logits, answer(&network, &input).0);
    // Each stream of a dueling head has a layer as wide as the torso.
    assert_eq!(
        q_network(kind, Head::Dueling, &shape).forward(&input).unwrap().size(),
        [2, 6]
    );
    assert!(register("side-by-side", |_| unreachable!()).is_err());
    assert!(register("nature", |_| unreachable!()).is_err());
    let error = network_error("side");
    assert_eq!(
        error,
        "network.body = \"side\": there is no such network; use nature, a3c, mlp, impala, side-by-side"
    );
}

fn network_error(name: &str) -> String {
    let kind = BodyKind::Registered(name.to_owned());
    network(kind, &[1, 10, 10]).unwrap_err().to_string()
}

#[test]
fn a_body_is_written_as_it_is_read() {
    for text in [
        "\"nature\"",
        "\"impala\"",
        "\"something\"",
        r#"{"impala":{"channels":[8],"hidden":32,"norm":"layer"}}"#,
        r#"{"impala":{"channels":[8],"hidden":32,"norm":"spectral","max_pool":6}}"#,
        r#"{"layers":{"convolutions":[],"hidden":[9],"activation":"relu","norm":"none","skip":false,"dropout":0.1}}"#,
        r#"{"layers":{"convolutions":[[8,3,1]],"hidden":[9],"activation":"elu","norm":"none","skip":true}}"#,
    ] {
        let body: BodyKind = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&body).unwrap(), text);
    }
    assert!(serde_json::from_str::<BodyKind>(r#"{"layers":{"hidden":[9],"width":3}}"#).is_err());
}

#[test]
fn a_shape_that_a_network_cannot_read_is_an_error_with_the_reason() {
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
fn invalid_layers_are_refused() {
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
