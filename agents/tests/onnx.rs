//! Networks that are written as ONNX, run by another engine.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

use coinop_agents::init::Init;
use coinop_agents::network::{
    ActorCritic, BodyKind, Core, Distribution, Head, NetworkConfig, Observation, Precision, QHead, QNetwork,
};
use coinop_agents::tch::Tensor;
use coinop_agents::{AgentError, Device};
use coinop_envs::normalize::Normalization;
use coinop_envs::rng::{Rng, stream};
use coinop_envs::{EnvSpec, Observations, Shape};
use rand::RngExt;
use rten::{ModelOptions, Value, ValueOrView};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

/// The largest difference to libtorch; both compute in 32 bits.
const CLOSE: f32 = 1e-5;

fn network(body: &str, core: Core) -> NetworkConfig {
    NetworkConfig {
        body: serde_json::from_str(body).unwrap(),
        core,
        init: Init::Orthogonal,
        precision: Precision::Float32,
    }
}

const PICTURES: [usize; 3] = [4, 84, 84];

fn pixels(n: usize, rng: &mut Rng) -> Vec<u8> {
    (0..n * PICTURES.iter().product::<usize>())
        .map(|_| rng.random())
        .collect()
}

/// Runs a model on named inputs, and returns the named outputs.
fn outputs(onnx: Vec<u8>, inputs: Vec<(&str, Value)>, names: &[&str]) -> Vec<Vec<f32>> {
    let model = ModelOptions::with_all_ops().load(onnx).unwrap();
    let input = |(name, value): (&str, Value)| (model.node_id(name).unwrap(), ValueOrView::from(value));
    let inputs = inputs.into_iter().map(input).collect();
    let outputs: Vec<_> = names.iter().map(|name| model.node_id(name).unwrap()).collect();
    let found = model.run(inputs, &outputs, None).unwrap();
    let numbers = |value: Value| {
        let tensor: rten_tensor::Tensor<f32> = value.try_into().unwrap();
        tensor.to_vec()
    };
    found.into_iter().map(numbers).collect()
}

fn assert_close(found: &[f32], expected: &Tensor, what: &str) {
    let expected = Vec::<f32>::try_from(expected.flatten(0, -1)).unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= CLOSE * b.abs().max(1.0), "{what}: {a} instead of {b}");
    }
}

/// Gives every parameter a value that it does not have at first, so that none is left out unseen.
fn stir(params: &Tensor, rng: &mut Rng) {
    let noise: Vec<f32> = (0..params.numel()).map(|_| rng.random_range(-0.02..0.02)).collect();
    coinop_agents::tch::no_grad(|| {
        let mut params = params.shallow_clone();
        let _ = params.f_add_(&Tensor::f_from_slice(&noise).unwrap()).unwrap();
    });
}

fn compare_actor_critic<O: Observation>(config: &NetworkConfig, spec: &EnvSpec, obs: &[O], input: Value, what: &str) {
    let n = obs.len() / spec.obs_shape.len();
    let mut rng = stream(3, "stir", 0);
    let mut network = ActorCritic::new(config, spec, &mut stream(1, "network", 0), Device::Cpu).unwrap();
    stir(&network.params().flat(), &mut rng);
    let batch = network.body().input(obs).unwrap();
    if O::OBSERVATIONS == Observations::Pixels {
        network.center(&batch).unwrap();
    }
    let about = [("game".to_owned(), "none".to_owned())];
    let onnx = network.to_onnx(O::OBSERVATIONS, None, &about).unwrap();
    let mut state = network.initial_state(n).unwrap();
    let (logits, values) = network.infer(&batch, &vec![true; n], &mut state).unwrap();
    let mut inputs = vec![("obs", input.clone())];
    let mut names = vec!["logits", "value"];
    if network.is_recurrent() {
        for name in ["hidden", "cell"] {
            inputs.push((name, Value::from(NdTensor::<f32, 2>::zeros([n, 256]))));
        }
        names.extend(["hidden_out", "cell_out"]);
    }
    let found = outputs(onnx.clone(), inputs, &names);
    assert_close(&found[0], &logits, what);
    assert_close(&found[1], &values, what);
    if network.is_recurrent() {
        // The next step, from the state after the first.
        let (logits, values) = network.infer(&batch, &vec![false; n], &mut state).unwrap();
        let state = |i: usize| Value::from(NdTensor::from_data([n, 256], found[i].clone()));
        let inputs = vec![("obs", input), ("hidden", state(2)), ("cell", state(3))];
        let found = outputs(onnx, inputs, &["logits", "value"]);
        assert_close(&found[0], &logits, what);
        assert_close(&found[1], &values, what);
    }
}

#[test]
fn every_network_for_pictures_computes_the_same() {
    let (spec, n) = (EnvSpec::new(Shape::new(&PICTURES), 6), 3);
    let obs = pixels(n, &mut stream(2, "obs", 0));
    let [c, h, w] = PICTURES;
    let input = || Value::from(NdTensor::from_data([n, c, h, w], obs.clone()));
    for (body, core) in [
        ("\"nature\"", Core::None),
        ("\"a3c\"", Core::Lstm),
        ("\"mlp\"", Core::None),
        (
            "{\"impala\": {\"channels\": [4, 8], \"hidden\": 16, \"norm\": \"layer\"}}",
            Core::None,
        ),
        (
            "{\"impala\": {\"channels\": [4], \"hidden\": 16, \"norm\": \"batch\"}}",
            Core::None,
        ),
        (
            "{\"impala\": {\"channels\": [4], \"hidden\": 16, \"norm\": \"spectral\", \"max_pool\": 4}}",
            Core::None,
        ),
        (
            "{\"layers\": {\"convolutions\": [[4, 8, 8], [4, 1, 1]], \"hidden\": [16, 16], \"skip\": true, \"norm\": \"layer\", \"activation\": \"gelu\"}}",
            Core::PeepholeLstm,
        ),
        (
            "{\"layers\": {\"convolutions\": [[4, 8, 8]], \"hidden\": [16], \"norm\": \"batch\", \"activation\": \"elu\"}}",
            Core::None,
        ),
    ] {
        compare_actor_critic(&network(body, core), &spec, &obs, input(), body);
    }
    for head in [Head::Plain, Head::SharedBias, Head::Dueling] {
        let config = network("\"a3c\"", Core::None);
        let network = QNetwork::new(&config, head, &spec, &mut stream(1, "network", 0), Device::Cpu).unwrap();
        stir(&network.params().flat(), &mut stream(3, "stir", 0));
        let values = network.infer(&network.body().input(&obs).unwrap()).unwrap();
        let onnx = network.to_onnx(Observations::Pixels, None, &[]).unwrap();
        let found = outputs(onnx, vec![("obs", input())], &["action_values"]);
        assert_close(&found[0], &values, &format!("{head:?}"));
    }
    let c51 = Distribution::C51 {
        atoms: 5,
        low: -1.0,
        high: 3.0,
    };
    let iqn = Distribution::Iqn {
        cosines: 8,
        samples: 1,
        target_samples: 1,
        policy_samples: 3,
    };
    for distribution in [c51, Distribution::Quantile { quantiles: 4 }, iqn] {
        for (head, noisy) in [(Head::Plain, None), (Head::Dueling, None), (Head::Plain, Some(0.5))] {
            let (config, mut rng) = (network("\"a3c\"", Core::None), stream(1, "network", 0));
            let head = QHead {
                head,
                distribution: Some(distribution),
                noisy,
            };
            let network = QNetwork::with_head(&config, head, &spec, &mut rng, Device::Cpu).unwrap();
            stir(&network.params().flat(), &mut stream(3, "stir", 0));
            let values = network.infer(&network.body().input(&obs).unwrap()).unwrap();
            let onnx = network.to_onnx(Observations::Pixels, None, &[]).unwrap();
            let found = outputs(onnx, vec![("obs", input())], &["action_values"]);
            assert_close(&found[0], &values, &format!("{head:?} {distribution:?}"));
        }
    }
}

#[test]
fn features_are_normalised_within_the_model() {
    let (spec, n) = (EnvSpec::new(Shape::new(&[3]), 2), 4);
    let mut rng = stream(2, "obs", 0);
    let obs: Vec<f32> = (0..n * 3).map(|_| rng.random_range(-9.0..9.0)).collect();
    let input = || Value::from(NdTensor::from_data([n, 3], obs.clone()));
    for activation in ["relu", "tanh", "silu"] {
        let body = format!("{{\"layers\": {{\"hidden\": [8, 8], \"activation\": \"{activation}\"}}}}");
        compare_actor_critic(&network(&body, Core::None), &spec, &obs, input(), activation);
    }
    let config = network("\"mlp\"", Core::None);
    let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu).unwrap();
    let by = Normalization {
        mean: vec![1.0, -2.0, 0.5],
        deviation: vec![0.1, 3.0, 2.0],
        clip: 10.0,
    };
    let onnx = network.to_onnx(Observations::Features, Some(&by), &[]).unwrap();
    let normalized = |(i, x): (usize, &f32)| ((x - by.mean[i % 3]) / by.deviation[i % 3]).clamp(-10.0, 10.0);
    let seen: Vec<f32> = obs.iter().enumerate().map(normalized).collect();
    let mut state = network.initial_state(n).unwrap();
    let batch = network.body().input(&seen).unwrap();
    let (logits, _) = network.infer(&batch, &[true; 4], &mut state).unwrap();
    let found = outputs(onnx, vec![("obs", input())], &["logits"]);
    assert_close(&found[0], &logits, "normalised");
}

#[test]
fn what_a_closure_computes_is_not_known() {
    use coinop_agents::network::{Torso, register};

    register("onnx-closure", |builder| {
        let layer = builder.linear(8, builder.obs_shape().len() as i64)?;
        Ok(Torso::new(8, move |pass| pass.read(layer)))
    })
    .unwrap();
    let config = NetworkConfig {
        body: BodyKind::Registered("onnx-closure".to_owned()),
        ..network("\"mlp\"", Core::None)
    };
    let spec = EnvSpec::new(Shape::new(&[3]), 2);
    let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu).unwrap();
    let error = network.to_onnx(Observations::Features, None, &[]).unwrap_err();
    assert!(
        matches!(
            error,
            AgentError::BadConfig {
                name: "network.body",
                ..
            }
        ),
        "{error}"
    );
}
