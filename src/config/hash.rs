//! A hash of settings, equal for runs that differ only in their seed.

use toml::{Table, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::Config;

/// Settings of a run that do not decide what is learned.
const FREE: [&str; 10] = [
    "seed",
    "env_threads",
    "torch_threads",
    "device",
    "metrics_frames",
    "checkpoint_minutes",
    "keep_checkpoints",
    "milestone_frames",
    "eval_episodes",
    "video_frames",
];

impl Config {
    /// A hash of everything that decides what is learned, but the seed and the program: eight hexadecimal digits.
    pub(crate) fn hash(&self) -> anyhow::Result<String> {
        let mut table: Table = toml::from_str(&self.to_toml()?)?;
        if let Some(run) = table.get_mut("run").and_then(Value::as_table_mut) {
            run.retain(|name, _| !FREE.contains(&name));
        }
        if let Some(env) = table.get_mut("env").and_then(Value::as_table_mut) {
            env.remove("roms");
        }
        let hash = xxh3_64(toml::to_string(&table)?.as_bytes());
        Ok(format!("{:08x}", hash >> 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Request;

    #[test]
    fn what_decides_the_result_is_in_the_hash_and_nothing_else() {
        let of = |request: Request| Config::resolve(&request).unwrap().hash().unwrap();
        let request = |settings: &[&str]| Request {
            env: Some("pong".parse().unwrap()),
            settings: settings.iter().map(|setting| setting.parse().unwrap()).collect(),
            ..Request::default()
        };
        let plain = of(request(&[]));
        for same in [
            "run.seed=7",
            "run.env_threads=1",
            "run.torch_threads=1",
            "run.keep_checkpoints=9",
        ] {
            assert_eq!(of(request(&[same])), plain, "{same}");
        }
        for other in [
            "gamma=0.98",
            "run.frames=5000",
            "env.protocol=nature",
            "eval_frames=1000",
        ] {
            assert_ne!(of(request(&[other])), plain, "{other}");
        }
        assert_eq!(
            of(Request {
                roms: Some("/roms".into()),
                ..request(&[])
            }),
            plain
        );
    }
}
