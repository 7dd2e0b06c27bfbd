//! Agents that leave the program: ONNX, safetensors, and the card beside them.
//!
//! ```console
//! $ python3 -m pip install --target target/tensorboard onnxruntime==1.22.1
//! $ cargo test --test export -- --ignored
//! ```
//!
//! `agents/tests/onnx.rs` compares every kind of network with libtorch.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::path::Path;
use std::process::Command;

use coinop::agents::{AnyPolicy, Mode, Outputs};
use program::{coinop, fail, succeed, text};
use safetensors::SafeTensors;
use serde_json::Value;

/// Trains on cart-pole, where observations are normalised, in the folder `run`.
fn train(dir: &Path) {
    let args = [
        "train",
        "cartpole",
        "--frames=2k",
        "--run-dir=run",
        "--set=num_envs=8",
        "--set=rollout_steps=32",
        "--set=minibatches=4",
        "--quiet",
    ];
    succeed(dir, &args);
}

#[test]
fn an_agent_is_exported_with_a_card() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path());
    succeed(dir.path(), &["export", "run", "-o", "agent.safetensors"]);
    let card: Value = serde_json::from_str(&fs::read_to_string(dir.path().join("agent.json")).unwrap()).unwrap();
    assert_eq!(
        (&card["env"], &card["algo"], &card["frames"]),
        (&"classic/cartpole".into(), &"ppo".into(), &2_048.into())
    );
    assert_eq!(card["actions"], serde_json::json!(["left", "right"]));
    assert_eq!(card["observation"]["shape"], serde_json::json!([4]));
    assert_eq!(card["observation"]["normalization"]["clip"], 10.0);
    assert_eq!(card["settings"]["ppo"]["num_envs"], 8);
    let bytes = fs::read(dir.path().join("agent.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort();
    assert_eq!(
        names,
        [
            "1_hidden_bias",
            "1_hidden_weight",
            "2_hidden_bias",
            "2_hidden_weight",
            "3_policy_bias",
            "3_policy_weight",
            "4_value_bias",
            "4_value_weight"
        ]
    );
    assert_eq!(tensors.tensor("1_hidden_weight").unwrap().shape(), [64, 4]);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["algo"], "ppo");
    let error = fail(coinop(dir.path()).args(["export", "run", "-o", "agent.pt"]));
    assert_eq!(
        error,
        "error: `agent.pt`: give a name that ends in .onnx or .safetensors"
    );
}

/// Prints the logits and the value of observations of cart-pole.
const PYTHON: &str = "
import onnxruntime, numpy, sys
session = onnxruntime.InferenceSession('agent.onnx')
obs = numpy.array(sys.argv[1].split(), dtype=numpy.float32).reshape(-1, 4)
logits, value = session.run(['logits', 'value'], {'obs': obs})
print(session.get_modelmeta().custom_metadata_map['algo'])
print(*logits.flatten())
print(*value)
";

#[test]
#[ignore = "needs ONNX Runtime from PyPI, see the top of this file"]
fn onnx_runtime_computes_what_the_agent_does() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path());
    succeed(dir.path(), &["export", "run", "-o", "agent.onnx"]);
    let obs: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin() * 0.3).collect();
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tensorboard");
    let numbers: Vec<String> = obs.iter().map(f32::to_string).collect();
    let output = Command::new("python3")
        .args(["-c", PYTHON, &numbers.join(" ")])
        .env("PYTHONPATH", modules)
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let [algo, logits, values] = printed.lines().collect::<Vec<_>>()[..] else {
        panic!("{printed}");
    };
    let parse = |line: &str| -> Vec<f32> { line.split(' ').map(|number| number.parse().unwrap()).collect() };
    let (logits, values) = (parse(logits), parse(values));
    assert_eq!(algo, "ppo");

    // The agent's policy takes observations as its environments show them, that is normalised.
    let card: Value = serde_json::from_str(&fs::read_to_string(dir.path().join("agent.json")).unwrap()).unwrap();
    let normalization = &card["observation"]["normalization"];
    let number = |name: &str, i: usize| normalization[name][i % 4].as_f64().unwrap() as f32;
    let seen: Vec<f32> = obs
        .iter()
        .enumerate()
        .map(|(i, x)| ((x - number("mean", i)) / number("deviation", i)).clamp(-10.0, 10.0))
        .collect();
    let AnyPolicy::Features(mut policy) = coinop::load(dir.path().join("run")).unwrap().policy() else {
        panic!("cart-pole has features");
    };
    policy.act(&seen, &[true; 3], Mode::Greedy, &mut [0; 3]).unwrap();
    let Outputs::Probabilities(probabilities) = policy.outputs() else {
        panic!("PPO has probabilities");
    };
    for (i, (logits, expected)) in logits.chunks(2).zip(probabilities.chunks(2)).enumerate() {
        let odds = (logits[0] - logits[1]).exp();
        assert!(
            (odds / (1.0 + odds) - expected[0]).abs() < 1e-5,
            "{logits:?}, {expected:?}"
        );
        assert!((values[i] - policy.state_values().unwrap()[i]).abs() < 1e-4);
    }
}
