//! The program as a user meets it: what it writes, what it prints, and how it fails.
//!
//! Without the ROM of Pong, which `cargo xtask setup` provides, most tests are skipped.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::path::Path;
use std::process::Command;

use program::{
    SMALL, assert_same_run, checkpoints, coinop, fail, last_checkpoint, roms, rows_without_times, run, succeed, text,
    train,
};

#[test]
fn a_bench_measures_what_it_is_asked_for_and_compares() {
    let dir = tempfile::tempdir().unwrap();
    let quick = ["--seconds=0.01", "--repeats=2", "--env-threads=2", "--torch-threads=1"];
    let bench = |args: &[&str]| succeed(dir.path(), &[&["bench"][..], &quick, args].concat());
    let text = bench(&["--env=cartpole", "--json"]);
    fs::write(dir.path().join("before.json"), &text).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["settings"]["env"], "classic/cartpole");
    let measurements = report["measurements"].as_array().unwrap();
    let what: Vec<&str> = measurements.iter().map(|m| m["what"].as_str().unwrap()).collect();
    // CartPole has no emulator, and PPO no memory; 16 environments on one thread and on two; batches of 1, 8, 16, 32 and 128.
    let expected = [
        "env",
        "vec",
        "vec",
        "inference",
        "inference",
        "inference",
        "inference",
        "inference",
        "learner",
        "train",
    ];
    assert_eq!(what, expected);
    for one in measurements {
        let [low, median, high] = ["low", "median", "high"].map(|key| one[key].as_f64().unwrap());
        assert!(0.0 < low && low <= median && median <= high, "{one}");
    }
    let training = &measurements[9]["training"];
    let shares = training["parts"].as_array().unwrap().iter();
    let sum: f64 = shares.map(|part| part[1].as_f64().unwrap()).sum();
    assert!(
        (sum - 1.0).abs() < 1e-6 && training["floor"].as_f64().unwrap() > 0.0,
        "{training}"
    );

    let table = bench(&["env", "--env=cartpole", "--compare=before.json", "--output=bars.svg"]);
    assert!(
        table.contains("  ratio\n") && table.trim_end().ends_with('x'),
        "{table}"
    );
    assert!(
        fs::read_to_string(dir.path().join("bars.svg"))
            .unwrap()
            .contains("env: one environment")
    );
    let table = bench(&["replay", "train", "--env=cartpole", "--algo=double-dqn"]);
    assert!(
        table.contains("steps") && table.contains("transitions") && table.contains("learning"),
        "{table}"
    );
    assert!(bench(&["emulator", "--env=pong"]).contains("one core"));
}

#[test]
fn a_run_leaves_a_folder_that_can_be_evaluated_and_drawn() {
    if !program::has_pong("a_run_leaves_a_folder_that_can_be_evaluated_and_drawn") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let frames = ["--frames=12k", "--set=metrics_frames=4k"];
    succeed(dir.path(), &[&["train", "pong", "--seed=3"], SMALL, &frames].concat());
    let run_dir = dir.path().join("runs/pong-ppo-1");
    // The last of the steps of 160 frames; there is no earlier checkpoint.
    assert_eq!(checkpoints(&run_dir), ["000000012000"]);
    for file in [
        "config.toml",
        "metrics.csv",
        "epsilons.csv",
        "log.txt",
        "checkpoints/000000012000/manifest.json",
    ] {
        assert!(fs::metadata(run_dir.join(file)).unwrap().len() > 0, "{file}");
    }
    let config: toml::Table = toml::from_str(&fs::read_to_string(run_dir.join("config.toml")).unwrap()).unwrap();
    assert_eq!(config["run"]["env"].as_str(), Some("atari/pong"));
    assert_eq!(config["run"]["frames"].as_integer(), Some(12_000));
    assert_eq!(config["run"]["seed"].as_integer(), Some(3));
    assert_eq!(config["ppo"]["num_envs"].as_integer(), Some(2));
    // A header, and a row each 4,000 frames.
    assert_eq!(rows_without_times(&run_dir.join("metrics.csv")).len(), 4);

    let printed = succeed(
        dir.path(),
        &["eval", "pong-ppo-1", "--episodes=3", "--torch-threads=1", "--json"],
    );
    assert_eq!(printed.lines().count(), 1);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["env"], "atari/pong");
    assert_eq!(report["algo"], "ppo");
    assert_eq!(report["protocol"], "sb3");
    assert_eq!(report["episodes"], 3);
    // An episode of Pong ends at 21 points of either side.
    let number = |key: &str| report[key].as_f64().unwrap();
    assert!(-21.0 <= number("min") && number("min") <= number("mean") && number("mean") <= number("max"));
    assert!(number("max") < 21.0 && number("std") >= 0.0 && number("frames") > 3.0 * 3_000.0);

    succeed(dir.path(), &["plot", "pong-ppo-1", "-o", "curve.svg"]);
    assert!(
        fs::read_to_string(dir.path().join("curve.svg"))
            .unwrap()
            .contains("pong-ppo-1")
    );
    // Episodes of 100 steps, as a setting of the environment cuts them off.
    let caps = [
        "eval",
        "pong-ppo-1",
        "--set=max_episode_frames=400",
        "--set=max_noops=0",
        "--json",
    ];
    let eval = |more: &[&str]| -> serde_json::Value {
        serde_json::from_str(&succeed(dir.path(), &[&caps[..], more].concat())).unwrap()
    };
    assert_eq!(eval(&["--episodes=3"])["frames"], 1_200);
    // 32 environments; each ends one episode within 400 frames.
    let report = eval(&["--frames=13k"]);
    assert_eq!((&report["episodes"], &report["frames"]), (&32.into(), &12_800.into()));
    let error = fail(coinop(dir.path()).args(["eval", "pong-ppo-1", "--set=gamma=0.5"]));
    assert_eq!(
        error,
        "error: gamma = 0.5: only settings of the environment can be changed here"
    );
    succeed(
        dir.path(),
        &["plot", "pong-ppo-1", "--human-normalized", "-o", "curve.png"],
    );
    let png = fs::read(dir.path().join("curve.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    // The letters take ink, which they only do if there is a font.
    assert!(png.len() > 15_000, "{}", png.len());
    let error = fail(coinop(dir.path()).args(["plot", "pong-ppo-1", "-o", "/dev/full.svg/x.svg"]));
    assert!(error.starts_with("error: can't write `/dev/full.svg/x.svg`"), "{error}");

    let flipped = last_checkpoint(&run_dir).join("tensors.safetensors");
    let mut bytes = fs::read(&flipped).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&flipped, bytes).unwrap();
    let error = fail(coinop(dir.path()).args(["eval", "pong-ppo-1"]));
    assert!(
        error.contains("tensors.safetensors` is damaged: CRC-32") && error.ends_with("use another checkpoint"),
        "{error}"
    );
}

#[test]
fn a_seed_gives_the_same_run_with_any_number_of_env_threads_and_another_seed_another_run() {
    if !program::has_pong("a_seed_gives_the_same_run_with_any_number_of_env_threads_and_another_seed_another_run") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let small = [
        "--frames=6k",
        "--set=metrics_frames=1k",
        "--set=epsilon={kind='uniform', low=0, high=0.1, resample_frames=500}",
    ];
    let with = |name: &str, args: &[&str]| train(dir.path(), name, &[&small, args].concat());
    let one = with("one", &["--seed=5", "--env-threads=1"]);
    let two = with("two", &["--seed=5", "--env-threads=2"]);
    let other = with("other", &["--seed=6", "--env-threads=1"]);
    assert_same_run(&one, &two);
    let metrics = |run: &Path| rows_without_times(&run.join("metrics.csv"));
    assert_ne!(metrics(&one), metrics(&other));
    for file in ["tensors.safetensors", "bytes.bin"] {
        let bytes = |run: &Path| fs::read(last_checkpoint(run).join(file)).unwrap();
        assert!(bytes(&one) != bytes(&other), "{file}");
    }
}

#[test]
fn the_config_of_a_run_repeats_it() {
    if !program::has_pong("the_config_of_a_run_repeats_it") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let first = train(
        dir.path(),
        "first",
        &["--frames=400", "--seed=9", "--set=gamma=0.9", "--preset=ppo"],
    );
    succeed(
        dir.path(),
        &["train", "pong", "--config=first/config.toml", "--run-dir=second"],
    );
    let bytes = |run: &str, file: &str| fs::read(dir.path().join(run).join(file)).unwrap();
    assert_eq!(bytes("first", "config.toml"), bytes("second", "config.toml"));
    assert!(
        fs::read_to_string(first.join("config.toml"))
            .unwrap()
            .contains("preset = \"ppo\"")
    );
    let weights = |run: &str| fs::read(last_checkpoint(&dir.path().join(run)).join("tensors.safetensors")).unwrap();
    assert!(weights("first") == weights("second"));
}

#[test]
fn a_wrong_command_is_one_line_that_names_the_way_out() {
    if !program::has_pong("a_wrong_command_is_one_line_that_names_the_way_out") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    file("settings.toml", "[ppo]\ngamma = 0.9\nlerning_rate = 0.1\n");
    file("broken.toml", "[ppo]\ngamma = \n");
    file("limits.toml", "[ppo]\ngamma = 1.5\n");
    file("preset.toml", "[run]\npreset = \"slow\"\n");
    file("types.toml", "[ppo.network]\nbody = \"natur\"\n");
    file("third.toml", "[ppo]\ngamma = 0.9\n= 1\n");
    file("actions", "0\nfire\n");
    file("one", "0\n");
    fs::create_dir(dir.path().join("taken")).unwrap();
    let cases: &[(&str, &str)] = &[
        (
            "train pnog",
            "error: there is no environment `pnog`; did you mean `pong`? `coinop envs` lists all",
        ),
        (
            "train pong --set ppo.lerning_rate=1",
            "error: there is no setting `ppo.lerning_rate`; did you mean `ppo.learning_rate`?",
        ),
        (
            "train pong --config settings.toml",
            "error: `settings.toml`: there is no setting `ppo.lerning_rate`; did you mean `ppo.learning_rate`?",
        ),
        (
            "train pong --config broken.toml",
            "error: `broken.toml` line 2 is not TOML: ",
        ),
        (
            "train pong --config none.toml",
            "error: can't read `none.toml`: No such file",
        ),
        (
            "train pong --set gamma=high",
            r#"error: ppo.gamma = "high": it must be a number"#,
        ),
        (
            "train pong --config limits.toml",
            "error: `limits.toml`: ppo.gamma = 1.5: it must be between 0 and 1",
        ),
        (
            "train pong --config types.toml",
            "error: `types.toml`: ppo.network.body = \"natur\": there is no such network; use nature, a3c, mlp, impala",
        ),
        (
            "train pong --config preset.toml",
            "error: `preset.toml`: ppo has no preset `slow` for atari/pong: choose one of fast, ppo, pong",
        ),
        (
            "train pong --set frames=18446744073709551615",
            "error: run.frames = \"18446744073709551615\": it must be a whole number from 0 to 9223372036854775807, e.g. 10M",
        ),
        (
            "train pong --config third.toml",
            "error: `third.toml` line 3 is not TOML: ",
        ),
        (
            "train pong --set optimizer.beta1=5",
            "error: ppo.optimizer.beta1 = 5: it must be at least 0 and below 1",
        ),
        (
            "train pong --set optimizer.epsilon=-1",
            "error: ppo.optimizer.epsilon = -1: it must be a number from 1e-30 to 1e30",
        ),
        (
            "train pong --set optimizer={kind='rms_prop',decay=2,epsilon=0.1,epsilon_inside_root=true,centered=false}",
            "error: ppo.optimizer.decay = 2: it must be at least 0 and below 1",
        ),
        (
            "train pong --set epsilon={kind='ladder',base=0.4,alpha=inf}",
            "error: ppo.epsilon.alpha = inf: it must be a number from 0 to 1e30",
        ),
        (
            "train pong --set clip_ratio=1e39",
            "error: ppo.clip_ratio = 1000000000000000000000000000000000000000: it must be a number above 0, at most 1e30",
        ),
        (
            "train pong --set num_envs=10000 --set rollout_steps=10000",
            "error: a rollout of 10000 steps in 10000 environments needs 10.6 TB of memory, and ",
        ),
        (
            "train pong --set preset=zzz",
            "error: run.preset can't be set: it is chosen by --preset NAME",
        ),
        (
            "train pong --set run.algo=a3c",
            "error: run.algo can't be set: it is chosen by --algo NAME",
        ),
        (
            "train pong --set lr=0.1",
            "error: there is no setting `lr`; did you mean `ppo.learning_rate`?",
        ),
        (
            "train pong --set network.body={layers={hidden=[65536,65536,65536]}}",
            "error: a network with ",
        ),
        (
            "train demon_attack@mode=3",
            "error: demon_attack is over as soon as it begins in this mode; choose another one",
        ),
        (
            "eval taken --torch-threads 99999999999",
            "error: `taken` is not a run folder",
        ),
        (
            "bench --env=cartpole -o /nonexistent/bars.svg",
            "error: can't write `/nonexistent/bars.svg`: ",
        ),
        (
            "train pong --frames -5",
            "error: invalid value '-5' for '--frames <FRAMES>': `-5` is below 0: a count is a whole number of at least 0",
        ),
        (
            "train pong --frames 18446744073709551615",
            "error: invalid value '18446744073709551615' for '--frames <FRAMES>': `18446744073709551615` is too large: a count is at most \
             9223372036854775807",
        ),
        (
            "train pong --set gamma=1.5",
            "error: ppo.gamma = 1.5: it must be between 0 and 1",
        ),
        (
            "train pong --set minibatches=3 --set num_envs=4",
            "error: ppo.minibatches = 3: it must divide num_envs",
        ),
        (
            "train pong --set network.body=natur",
            "error: ppo.network.body = \"natur\": there is no such network; use nature, a3c, mlp, impala",
        ),
        (
            "train pong --set mode=77",
            "error: pong has no mode 77: its modes are 0, 1",
        ),
        (
            "train pong --until 20M",
            "error: --until 20000000: it must be above 0, the frames already played, and at most 10000000, the frames of the run",
        ),
        (
            "train pong --preset slow",
            "error: ppo has no preset `slow` for atari/pong: choose one of fast, ppo, pong",
        ),
        (
            "train pong --algo pac",
            "error: invalid value 'pac' for '--algo <ALGO>'; [possible values: ppo, paac, double-dqn, pqn, impala, a3c, async-q, async-sarsa, async-nstep-q, distill]; tip: ",
        ),
        (
            "train pong --frames ten",
            "error: invalid value 'ten' for '--frames <FRAMES>': `ten` is not a valid count: ",
        ),
        ("train pong --frames 0", "error: run.frames = 0: it must be at least 1"),
        (
            "train pong --fames 10",
            "error: unexpected argument '--fames' found; tip: a similar argument exists: '--frames'",
        ),
        (
            "train pong --device gpu",
            "error: there is no device `gpu`: use `cpu`, `cuda` or `cuda:0`",
        ),
        (
            "train pong --run-dir taken",
            "error: the run folder `taken` exists already; name another one",
        ),
        (
            "train pong --name ../run",
            "error: --name ../run: letters, digits, `.`, `_` and `-` can be in it, ",
        ),
        ("train pong --run-dir one/run", "error: can't create the folder `one"),
        ("eval nothing", "error: there is no run folder `nothing`; "),
        (
            "eval taken",
            "error: `taken` is not a run folder: it has no config.toml",
        ),
        (
            "eval taken --protocol sb4",
            "error: invalid value 'sb4' for '--protocol <PROTOCOL>': there is no protocol `sb4`: ",
        ),
        (
            "plot taken -o curve.jpg",
            "error: `curve.jpg`: curves are drawn as SVG or PNG; give a name that ends in .svg or .png",
        ),
        (
            "atari trace pnog --actions one",
            "error: there is no environment `pnog`; did you mean `pong`?",
        ),
        (
            "atari trace pong --actions actions",
            "error: line 2 of the actions is `fire`: expected an action number from 0 to 17",
        ),
        (
            "atari trace pong --actions one --sticky 2",
            "error: repeat_action_probability is 2: it must be from 0 to 1",
        ),
        (
            "atari trace pong --actions one --frame-skip 0",
            "error: frame_skip is 0: an action lasts at least 1 frame",
        ),
    ];
    for (command, expected) in cases {
        let error = fail(coinop(dir.path()).args(command.split(' ')));
        assert!(error.starts_with(expected), "{command}: {error}");
    }
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            "actions",
            "broken.toml",
            "limits.toml",
            "one",
            "preset.toml",
            "settings.toml",
            "taken",
            "third.toml",
            "types.toml"
        ],
        "a run that cannot begin leaves nothing"
    );
}

#[test]
fn an_environment_of_features_is_trained_and_evaluated_and_has_no_protocol() {
    let dir = tempfile::tempdir().unwrap();
    // Without ROMs: nothing of it is Atari's.
    let cartpole = |args: &[&str]| {
        let output = coinop(dir.path())
            .env("COINOP_ROMS", "nothing")
            .args(args)
            .output()
            .unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| text(&bytes));
        assert!(output.status.success(), "{stderr}");
        (stdout, stderr)
    };
    let (_, stderr) = cartpole(&["train", "CartPole-v1", "--frames=3k", "--set=metrics_frames=1k"]);
    let first = "ppo on classic/cartpole, preset fast, seed 1, 3k frames, into runs/cartpole-ppo-1\n";
    assert!(stderr.starts_with(first), "{stderr}");
    let run_dir = dir.path().join("runs/cartpole-ppo-1");
    let config: toml::Table = toml::from_str(&fs::read_to_string(run_dir.join("config.toml")).unwrap()).unwrap();
    assert_eq!(config["run"]["env"].as_str(), Some("classic/cartpole"));
    let normalized: toml::Table = toml::from_str("normalize_observations = true\nnormalize_rewards = 0.98").unwrap();
    assert_eq!(config["env"].as_table(), Some(&normalized));
    assert_eq!(config["ppo"]["network"]["body"].as_str(), Some("mlp"));

    let (stdout, _) = cartpole(&["eval", "cartpole-ppo-1", "--episodes=5", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&report["env"], &report["episodes"], report.get("protocol")),
        (&"classic/cartpole".into(), &5.into(), None)
    );
    // A step pays 1 and is one frame; an episode has at most 500.
    let number = |key: &str| report[key].as_f64().unwrap();
    assert!(
        number("max") <= 500.0 && (number("mean") * 5.0 - number("frames")).abs() < 1e-6,
        "{report}"
    );
    assert_eq!(
        (
            &report["epsilon"],
            report.get("human_normalized"),
            report["interval"].as_array().map(Vec::len)
        ),
        (&0.0.into(), None, Some(2))
    );
    cartpole(&["plot", "cartpole-ppo-1", "-o", "curve.svg"]);
    // A second seed of the same settings makes a mean with a band.
    let second = "--name=cartpole-ppo-s";
    cartpole(&[
        "train",
        "CartPole-v1",
        "--frames=3k",
        "--set=metrics_frames=1k",
        "--seed=2",
        second,
    ]);
    let both = ["plot", "cartpole-ppo-1", "cartpole-ppo-s", "-o", "both.svg"];
    let (_, said) = cartpole(&[&both[..], &["--y=entropy", "--smooth=2"]].concat());
    assert_eq!(said, "1 curve drawn into both.svg\n");
    let svg = fs::read_to_string(dir.path().join("both.svg")).unwrap();
    for part in ["<polygon", "\ncartpole-ppo (2 runs)\n", "entropy, mean of 2 rows"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    let (_, said) = cartpole(&[&both[..], &["--each", "--quiet"]].concat());
    assert_eq!(said, "");
    let error = fail(coinop(dir.path()).args(["--quiet", "plot", "nowhere"]));
    assert!(error.starts_with("error: there is no run folder `nowhere`"), "{error}");
    let (_, said) = cartpole(&[&both[..], &["--each"]].concat());
    assert_eq!(said, "2 curves drawn into both.svg\n");
    let several = [
        "eval",
        "cartpole-ppo-1",
        "cartpole-ppo-s",
        "--episodes=3",
        "--epsilon=0.1",
        "-o",
        "episodes.csv",
    ];
    let (table, _) = cartpole(&several);
    let rows: Vec<&str> = table.lines().collect();
    assert!(
        rows.len() == 4 && rows[3].starts_with("| runs/cartpole-ppo-s | 4096 | "),
        "{table}"
    );
    let episodes = fs::read_to_string(dir.path().join("episodes.csv")).unwrap();
    let rows: Vec<&str> = episodes.lines().collect();
    assert_eq!((rows[0], rows.len()), ("run,checkpoint,episode,score,steps,frames", 7));
    assert!(rows[4].starts_with("runs/cartpole-ppo-s,4096,0,"), "{episodes}");
    let (table, _) = cartpole(&["table", "cartpole-ppo-1", "cartpole-ppo-s", "--json"]);
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    assert_eq!(
        (&table[0]["name"], &table[0]["seeds"], table.as_array().unwrap().len()),
        (&"cartpole-ppo (2 runs)".into(), &serde_json::json!([1, 2]), 1)
    );
    assert_eq!(table[0]["training"]["runs"].as_array().unwrap().len(), 2, "{table}");
    fs::create_dir_all(dir.path().join("runs/empty/inner")).unwrap();
    let (runs, _) = cartpole(&["runs", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    let names: Vec<&str> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cartpole-ppo-1", "cartpole-ppo-s"]);
    assert_eq!(
        (&runs[1]["state"], &runs[1]["seed"], &runs[1]["of_frames"]),
        (&"finished".into(), &2.into(), &3_000.into())
    );
    let (runs, _) = cartpole(&["runs"]);
    assert!(
        runs.lines().nth(2).unwrap().starts_with("cartpole-ppo-s  finished "),
        "{runs}"
    );
    let (checked, _) = cartpole(&["check", "cartpole"]);
    assert_eq!(
        checked,
        "classic/cartpole obeys the Env contract\n\
         observations  4 features, 1 stacked\n\
         actions       2\n\
         frames        1 per step\n\
         snapshots     yes: an interrupted run resumes within its episodes\n"
    );
    // Layers of one's own, which the checkpoint is then of.
    let layers = "network.body={layers={hidden=[8]}}";
    cartpole(&["train", "cartpole", "--frames=2k", "--set", layers]);
    cartpole(&["eval", "cartpole-ppo-2", "--episodes=1"]);
    // The weights of the first run are those of another algorithm's first checkpoint, but for a few updates.
    cartpole(&[
        "train",
        "cartpole",
        "--algo=paac",
        "--load=cartpole-ppo-1",
        "--frames=300",
    ]);
    let config = fs::read_to_string(dir.path().join("runs/cartpole-paac-1/config.toml")).unwrap();
    assert!(config.contains("load = \"cartpole-ppo-1\""), "{config}");

    for (command, expected) in [
        (
            "train cartpole --set network.body=a3c",
            "error: the network `a3c` cannot read observations of shape 4: it needs channels, height and width; `nature`, `a3c` and \
             `impala` read pictures like the Atari's, `mlp` reads features: choose with --set network.body=NAME, or describe layers with --set \
             \"network.body={layers={convolutions=[[16,3,1]],hidden=[128]}}\"",
        ),
        (
            "train cartpole --load cartpole-ppo-2",
            "error: can't start from the weights of `cartpole-ppo-2`: ",
        ),
        (
            "train cartpole --load nowhere",
            "error: there is no run folder `nowhere`; `coinop runs` shows those of this directory",
        ),
        (
            "train cartpole --set network.body={layers={hidden=[64,0]}}",
            "error: ppo.network.body.layers.hidden = [64, 0]: it must be at least one number, each from 1 to 65536",
        ),
        (
            "train cartpole --set network.body={layers={width=64}}",
            "error: unknown field `width`, expected one of `convolutions`, `hidden`, `activation`, `norm`, `skip`, `dropout` in `ppo.network.body.layers.width`",
        ),
        (
            "bench replay --env=cartpole",
            "error: ppo has no replay memory: add --algo double-dqn",
        ),
        (
            "bench emulator --env=cartpole",
            "error: classic/cartpole has no emulator: name a game of the Atari with --env",
        ),
        (
            "bench --env=cartpole --repeats=0",
            "error: --seconds 1 and --repeats 0: they must be between 0.001 and 3600, and between 1 and 1000",
        ),
        (
            "bench --env=cartpole --compare=absent.json",
            "error: can't read `absent.json`",
        ),
        (
            "check cartpol",
            "error: there is no environment `cartpol`; did you mean `cartpole`?",
        ),
        (
            "train cartpole --set protocol=sb3",
            "error: there is no setting `protocol`",
        ),
        ("train cartpole --set mode=3", "error: there is no setting `mode`"),
        (
            "train cartpole --preset ppo",
            "error: ppo has no preset `ppo` for classic/cartpole: choose one of fast",
        ),
        (
            "train cartpole --roms .",
            "error: --roms is for Atari games, which classic/cartpole is not: leave it out",
        ),
        (
            "eval cartpole-ppo-1 --protocol sb3",
            "error: --protocol is for Atari games, which classic/cartpole is not: leave it out",
        ),
        (
            "train CartPole-v0",
            "error: there is no environment `CartPole-v0`; did you mean `cartpole`? `coinop envs` lists all",
        ),
    ] {
        let error = fail(coinop(dir.path()).args(command.split(' ')));
        assert!(error.starts_with(expected), "{command}: {error}");
    }
}

#[test]
fn a_missing_and_a_wrong_rom_are_told_apart() {
    if !program::has_pong("a_missing_and_a_wrong_rom_are_told_apart") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let error = fail(coinop(dir.path()).args(["train", "pong", "--roms", "empty"]));
    let looked_for = dir.path().join("empty/pong.bin");
    let expected = format!(
        "error: no ROM of pong: looked for {}; put it there, or name another folder in COINOP_ROMS; `cargo xtask setup` provides \
         ROMs, --roms names another folder",
        looked_for.display()
    );
    assert_eq!(error, expected);
    fs::write(dir.path().join("pong.bin"), [0; 2048]).unwrap();
    let error = fail(coinop(dir.path()).args(["train", "pong", "--roms", "."]));
    // The MD5 of 2048 zeros, as md5sum prints it.
    assert!(
        error.contains("its MD5 is c99a74c555371a433d121f551d6c6398, expected 60e0ea3cbe0913d39803477945e9e5ec"),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_may_not_be_written_is_named() {
    if !program::has_pong("a_folder_that_may_not_be_written_is_named") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Nobody makes folders there, not even root.
    let args = [&["train", "pong", "--run-dir", "/sys/coinop"], SMALL].concat();
    let error = fail(coinop(dir.path()).args(args));
    assert!(
        error.starts_with("error: can't create the folder `/sys/coinop`: "),
        "{error}"
    );
    assert!(error.ends_with("; choose a place that you may write to"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_a_trace_and_a_run_with_one_line() {
    if !program::has_pong("a_full_disk_ends_a_trace_and_a_run_with_one_line") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one"), "0\n").unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = fail(
        coinop(dir.path())
            .args(["atari", "trace", "pong", "--actions", "one"])
            .stdout(full),
    );
    assert!(
        error.starts_with("error: can't write `standard output`: No space left on device"),
        "{error}"
    );
    assert!(
        error.ends_with("; free some space, or choose a place on another disk"),
        "{error}"
    );

    // A disk of 1 MB, in a mount namespace that ends with the program. The checkpoint has five times that.
    const MOUNT: &str = "mount -t tmpfs -o size=1m tmpfs .";
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args([
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_coinop"),
        ]);
        command.current_dir(dir.path()).env("COINOP_ROMS", roms());
        command
    };
    if !in_namespace(MOUNT).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped the run on a full disk: this system does not let the test mount one");
        return;
    }
    let script = format!("{MOUNT} && cd \"$PWD\" && exec \"$@\"");
    let large = ["--set=body=nature"];
    let error = fail(
        in_namespace(&script)
            .args(["train", "pong", "--frames=80"])
            .args(SMALL)
            .args(large),
    );
    assert!(error.contains("No space left on device"), "{error}");
    assert!(
        error.ends_with("; free some space, or choose a place on another disk"),
        "{error}"
    );
}

#[test]
fn a_name_of_gymnasium_trains_the_game_by_its_rules_and_says_so() {
    if !program::has_pong("a_name_of_gymnasium_trains_the_game_by_its_rules_and_says_so") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = run(
        dir.path(),
        &[
            "train",
            "ALE/Pong-v5",
            "--frames=400",
            "--set=num_envs=2",
            "--torch-threads=1",
        ],
    );
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.starts_with("ALE/Pong-v5 is pong@protocol=machado here: sticky actions with probability 0.25\n"),
        "{said}"
    );
    assert!(said.contains("ppo on atari/pong (protocol machado)"), "{said}");
    let checked = succeed(dir.path(), &["check", "PongNoFrameskip-v4"]);
    assert!(checked.starts_with("atari/pong obeys the Env contract"), "{checked}");
    let chosen = succeed(dir.path(), &["envs", "pong@mode=1"]);
    assert!(chosen.contains("chosen        mode 1, difficulty 0"), "{chosen}");
}

#[test]
fn a_mode_that_is_over_at_once_is_not_offered() {
    if !program::has_pong("a_mode_that_is_over_at_once_is_not_offered") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let printed = succeed(dir.path(), &["envs", "demon_attack"]);
    assert!(printed.contains("modes         1; 1 unless chosen\n"), "{printed}");
    assert!(
        printed.contains("not 3, 5, 7, which are over as soon as they begin"),
        "{printed}"
    );
    let hint = printed
        .lines()
        .find_map(|line| line.strip_prefix("choose them   "))
        .unwrap();
    fs::write(dir.path().join("one"), "0\n").unwrap();
    succeed(dir.path(), &["atari", "trace", hint, "--actions=one"]);
    succeed(dir.path(), &["check", hint]);
}

#[test]
fn the_checkpoint_that_played_is_named_and_curves_say_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let train = [
        "train",
        "cartpole",
        "--frames=3k",
        "--run-dir=run",
        "--set=metrics_frames=1k",
    ];
    succeed(dir.path(), &train);
    let eval = ["eval", "run", "--episodes=2", "--torch-threads=1"];
    let frames = last_checkpoint(&dir.path().join("run"))
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .trim_start_matches('0')
        .to_owned();
    let printed = succeed(dir.path(), &eval);
    assert!(
        printed.starts_with(&format!(
            "ppo on classic/cartpole, checkpoint after {frames} frames: mean score "
        )),
        "{printed}"
    );
    let report: serde_json::Value =
        serde_json::from_str(&succeed(dir.path(), &[&eval[..], &["--json"]].concat())).unwrap();
    assert_eq!(report["checkpoint"].to_string(), frames);
    let error = fail(coinop(dir.path()).args(["eval", "run", "--checkpoint=best"]));
    assert!(
        error.contains("because it is shorter than its run.eval_frames of 20000"),
        "{error}"
    );
    let error = fail(coinop(dir.path()).args(["eval", "run", "--torch-threads=99999999999"]));
    assert_eq!(error, "error: --torch-threads = 99999999999: it must be at most 1024");
    let output = run(dir.path(), &["plot", "run"]);
    assert_eq!(text(&output.stderr), "1 curve drawn into curve.svg\n");
}

#[test]
fn a_config_of_another_kind_of_environment_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), &["train", "cartpole", "--frames=300", "--run-dir=run"]);
    let args = [
        "train",
        "catch",
        "--config=run/config.toml",
        "--frames=300",
        "--run-dir=other",
    ];
    let said = text(&run(dir.path(), &args).stderr);
    let expected = "warning: `run/config.toml` is of classic/cartpole, whose observations are features: its network and its other settings may \
                    not suit the pixels of arcade/catch\n";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn the_names_that_set_up_checks_are_all() {
    use coinop::envs::registry::{Family, list};

    // Atari games are known by their ROMs, and gym-rs is not built in by default.
    let mut own: Vec<&str> = list()
        .into_iter()
        .filter(|env| ![Family::Atari, Family::GymRs].contains(&env.family))
        .map(|env| env.short)
        .collect();
    let mut known: Vec<&str> = include_str!("../xtask/src/names.txt").lines().collect();
    own.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, own);
}

#[test]
fn a_trace_has_a_row_per_action() {
    if !program::has_pong("a_trace_has_a_row_per_action") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("actions"), "0\n1\n3\n").unwrap();
    let printed = succeed(
        dir.path(),
        &["atari", "trace", "pong", "--actions=actions", "--frame-skip=4"],
    );
    let rows: Vec<&str> = printed.lines().collect();
    assert_eq!(rows[0], "frame,action,reward,lives,terminal,ram_crc32,screen_crc32");
    let starts = ["4,0,0,0,0,", "8,1,0,0,0,", "12,3,0,0,0,"];
    assert!(
        rows.len() == 4 && rows[1..].iter().zip(starts).all(|(row, start)| row.starts_with(start)),
        "{printed}"
    );
}

#[test]
fn a_doctor_finds_what_is_there_and_fails_by_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let doctor = |args: &[&str]| run(dir.path(), &[&["doctor", "--json", "--roms=roms"], args].concat());
    let found = doctor(&[]);
    assert!(found.status.success(), "{}", text(&found.stderr));
    let found: serde_json::Value = serde_json::from_str(&text(&found.stdout)).unwrap();
    let state = |what: &str| {
        let of = found.as_array().unwrap().iter().find(|finding| finding["what"] == what);
        of.unwrap()["state"].clone()
    };
    for (what, expected) in [
        ("libtorch", "ok"),
        ("ROMs", "note"),
        ("network", "ok"),
        ("replay", "ok"),
    ] {
        assert_eq!(state(what), expected, "{found}");
    }
    fs::create_dir(dir.path().join("roms")).unwrap();
    fs::write(dir.path().join("roms/pong.bin"), [0; 2048]).unwrap();
    let failed = doctor(&[]);
    let error = text(&failed.stderr);
    assert!(
        !failed.status.success() && error.ends_with("the lines marked `bad` say how to mend it\n"),
        "{error}"
    );
}

#[test]
fn shells_and_manuals_know_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    for (shell, start) in [
        ("bash", "_coinop() {"),
        ("zsh", "#compdef coinop"),
        ("fish", "# Print an optspec"),
    ] {
        let script = succeed(dir.path(), &["completions", shell]);
        assert!(
            script.starts_with(start) && script.contains("verify-resume"),
            "{script}"
        );
    }
    succeed(dir.path(), &["man", "pages"]);
    let page = fs::read_to_string(dir.path().join("pages/coinop-train.1")).unwrap();
    assert!(
        page.contains("coinop\\-train") && page.contains("Train an agent"),
        "{page}"
    );
    assert!(dir.path().join("pages/coinop-suite-run.1").exists());
}

#[test]
fn settings_are_listed_with_their_meanings_and_the_values_of_presets() {
    let dir = tempfile::tempdir().unwrap();
    let printed = succeed(dir.path(), &["settings", "pong", "clip_ratio"]);
    assert_eq!(
        printed,
        "ppo on atari/pong, preset fast: change a setting with --set NAME=VALUE\n\nppo.clip_ratio = 0.1    (pong: 0.2)\n    The clip range \
         `1 ± clip_ratio` of the probability ratio (equation 7), which bounds the effect\n    of several updates per rollout.\n"
    );
    let args = ["settings", "cartpole", "eval_frames", "--algo=double-dqn", "--json"];
    let report: serde_json::Value = serde_json::from_str(&succeed(dir.path(), &args)).unwrap();
    assert_eq!(report["settings"][0]["name"], "run.eval_frames");
    assert_eq!(
        report["settings"][0]["about"],
        "Frames between evaluations during training; 0 for none."
    );
    let error = fail(coinop(dir.path()).args(["settings", "catch", "nothing", "else"]));
    assert_eq!(
        error,
        "error: no setting of ppo on arcade/catch contains `nothing` and `else`"
    );
}

#[test]
fn the_environments_are_listed() {
    if !program::has_pong("the_environments_are_listed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let printed = succeed(dir.path(), &["envs"]);
    assert!(
        printed
            .lines()
            .any(|line| line.split_whitespace().eq(["pong", "6", "pixels", "atari/pong"])),
        "{printed}"
    );
    let listed: serde_json::Value = serde_json::from_str(&succeed(dir.path(), &["envs", "--json"])).unwrap();
    let pong: serde_json::Value = serde_json::from_str(&succeed(dir.path(), &["envs", "pong", "--json"])).unwrap();
    assert!(listed.as_array().unwrap().contains(&pong), "{listed}");
    assert_eq!(
        (&pong["full_name"], &pong["actions"][2], &pong["modes"]),
        (&"atari/pong".into(), &"right".into(), &serde_json::json!([0, 1]))
    );
}
