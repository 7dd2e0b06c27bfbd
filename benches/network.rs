//! The speed of inference, gradients and optimisers, with as many threads of libtorch as there are cores, and of libtorch
//! alone in one thread.

use std::hint::black_box;

use coinop::agents::init::Init;
use coinop::agents::network::{ActorCritic, BodyKind, Core, Impala, NetworkConfig, Norm, Precision, RecurrentState};
use coinop::agents::optim::{AdamConfig, Optimizer, OptimizerConfig, RmsPropConfig};
use coinop::agents::tch::{self, Device, Kind, Tensor, no_grad};
use coinop::envs::rng::stream;
use coinop::envs::{EnvSpec, Shape};
use coinop::process_settings;
use criterion::{Criterion, Throughput, criterion_group};

const OBS_LEN: usize = 4 * 84 * 84;
fn networks() -> [(&'static str, BodyKind, Precision); 6] {
    [
        ("a3c/float32", BodyKind::A3c, Precision::Float32),
        ("a3c/bfloat16", BodyKind::A3c, Precision::Bfloat16),
        ("nature/float32", BodyKind::Nature, Precision::Float32),
        ("nature/bfloat16", BodyKind::Nature, Precision::Bfloat16),
        ("impala/float32", impala(Norm::None), Precision::Float32),
        ("impala/batch norm", impala(Norm::Batch), Precision::Float32),
    ]
}

fn impala(norm: Norm) -> BodyKind {
    BodyKind::Impala(Impala {
        norm,
        ..Impala::default()
    })
}

fn network(body: BodyKind, precision: Precision) -> ActorCritic {
    let config = NetworkConfig {
        body,
        core: Core::None,
        init: Init::Orthogonal,
        precision,
    };
    let spec = EnvSpec::new(Shape::new(&[4, 84, 84]), 6);
    ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu).expect("a network")
}

fn pixels(n: usize) -> Vec<u8> {
    (0..n * OBS_LEN).map(|i| (i.wrapping_mul(i) % 251) as u8).collect()
}

/// From 32 observations in an environment's order to logits and values.
fn infer(c: &mut Criterion) {
    let mut group = c.benchmark_group("infer");
    let pixels = pixels(32);
    group.throughput(Throughput::Elements(32));
    for (name, body, precision) in networks() {
        let network = network(body, precision);
        group.bench_function(name, |b| {
            b.iter(|| {
                let obs = network.body().input(&pixels).expect("a tensor");
                let answer = network.infer(&obs, &[], &mut RecurrentState::default());
                answer.expect("an answer").0.double_value(&[0, 0])
            });
        });
    }
    // Not absorbed: the batch normalisation is computed, as for a gradient.
    let network = network(impala(Norm::Batch), Precision::Float32);
    group.bench_function("impala/batch norm, not absorbed", |b| {
        b.iter(|| {
            let obs = network.body().input(&pixels).expect("a tensor");
            let answer = no_grad(|| network.forward(&obs, &[], &mut RecurrentState::default()));
            answer.expect("an answer").0.double_value(&[0, 0])
        });
    });
    group.finish();
}

/// The gradient of a loss of 256 observations.
fn gradient(c: &mut Criterion) {
    let mut group = c.benchmark_group("gradient");
    group.sample_size(20).throughput(Throughput::Elements(256));
    let pixels = pixels(256);
    for (name, body, precision) in networks() {
        let network = network(body, precision);
        let obs = network.body().input(&pixels).expect("a tensor");
        group.bench_function(name, |b| {
            b.iter(|| {
                let answer = network.forward(&obs, &[], &mut RecurrentState::default());
                let (logits, values) = answer.expect("an answer");
                let loss = logits.square().mean(Kind::Float) + values.square().mean(Kind::Float);
                let gradient = network.params().gradient(&loss).expect("a gradient");
                gradient.double_value(&[0])
            });
        });
    }
    group.finish();
}

/// An update of the 1,687,719 parameters of the Nature network.
fn optimizer(c: &mut Criterion) {
    let mut group = c.benchmark_group("optimizer");
    let rms_prop = |centered| {
        OptimizerConfig::RmsProp(RmsPropConfig {
            decay: 0.99,
            epsilon: 0.1,
            epsilon_inside_root: true,
            centered,
            initial_mean_square: 0.0,
        })
    };
    let adam = OptimizerConfig::Adam(AdamConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-5,
    });
    let all = [
        ("adam", adam),
        ("rms_prop", rms_prop(false)),
        ("rms_prop/centered", rms_prop(true)),
    ];
    for (name, config) in all {
        let mut params = network(BodyKind::Nature, Precision::Float32).params().flat();
        let gradient = params.full_like(0.01);
        let mut optimizer = Optimizer::new(config, &params).expect("an optimiser");
        group.throughput(Throughput::Elements(params.numel() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let update = optimizer.step(&mut params, &gradient, 1e-6);
                update.expect("an update");
            });
        });
    }
    group.finish();
}

/// What no worker of A3C on libtorch can be faster than, for rollouts of five steps with the A3C network: answers to the
/// observation of each step and to the next one, and the gradient of the loss, in one thread. Nothing else is computed: no
/// copies, random numbers, optimiser or environment.
fn worker_floor(c: &mut Criterion) {
    tch::set_num_threads(1);
    let mut group = c.benchmark_group("worker floor");
    group.throughput(Throughput::Elements(5));
    let shapes: [&[i64]; 10] = [
        &[16, 4, 8, 8],
        &[16],
        &[32, 16, 4, 4],
        &[32],
        &[256, 2_592],
        &[256],
        &[6, 256],
        &[6],
        &[1, 256],
        &[1],
    ];
    for (layout, channels_last) in [("channels last", true), ("channels first", false)] {
        let arranged = |tensor: Tensor| match tensor.dim() {
            4 if channels_last => tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
            _ => tensor,
        };
        let weights: Vec<Tensor> = shapes
            .iter()
            .map(|shape| arranged(Tensor::full(*shape, 0.01, (Kind::Float, Device::Cpu))).set_requires_grad(true))
            .collect();
        let forward = |x: &Tensor| {
            let w = &weights;
            let convolve = |x: &Tensor, i: usize, stride: i64| {
                x.conv2d(&w[i], Some(&w[i + 1]), [stride; 2], [0; 2], [1; 2], 1).relu()
            };
            let x = convolve(&convolve(x, 0, 4), 2, 2).flatten(1, -1);
            let x = x.linear(&w[4], Some(&w[5])).relu();
            let values = x.linear(&w[8], Some(&w[9])).flatten(0, -1);
            (x.linear(&w[6], Some(&w[7])), values)
        };
        let one = arranged(Tensor::full([1, 4, 84, 84], 0.5, (Kind::Float, Device::Cpu)));
        let five = arranged(Tensor::full([5, 4, 84, 84], 0.5, (Kind::Float, Device::Cpu)));
        let actions = Tensor::zeros([5, 1], (Kind::Int64, Device::Cpu));
        let returns = Tensor::ones([5], (Kind::Float, Device::Cpu));
        group.bench_function(layout, |b| {
            b.iter(|| {
                for _ in 0..6 {
                    let (logits, values) = no_grad(|| forward(&one));
                    let _ = black_box((logits.softmax(1, Kind::Float), values));
                }
                let (logits, values) = forward(&five);
                let log_probabilities = logits.log_softmax(1, Kind::Float);
                let errors = &returns - values;
                let chosen = log_probabilities.gather(1, &actions, false).flatten(0, -1);
                let entropy = -(log_probabilities.exp() * log_probabilities).sum(Kind::Float);
                let loss =
                    errors.square().sum(Kind::Float) - (chosen * errors.detach()).sum(Kind::Float) - entropy * 0.01;
                Tensor::run_backward(&[loss], &weights, false, false)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, infer, gradient, optimizer, worker_floor);

fn main() {
    process_settings::apply();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
