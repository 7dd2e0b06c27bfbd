//! An environment as the command line names it: `pong`, or with options `pong@mode=1,difficulty=3`.

use std::str::FromStr;

use coinop_envs::registry::{self, EnvInfo, EnvOptions};
use toml::{Table, Value};

use super::keys::{KeyError, Setting, set};
use super::{optional, section};

/// The name of an environment, and what is chosen of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EnvName {
    pub(crate) name: String,
    /// Settings in the section `env`.
    pub(crate) options: Vec<Setting>,
}

impl FromStr for EnvName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let Some((name, options)) = text.split_once('@') else {
            return Ok(Self {
                name: text.to_owned(),
                options: Vec::new(),
            });
        };
        let options = options.split(',').map(|pair| Ok(Setting::from_str(pair)?.of("env")));
        Ok(Self {
            name: name.to_owned(),
            options: options.collect::<Result<_, KeyError>>()?,
        })
    }
}

impl EnvName {
    /// The environment, and its options where nothing else says any.
    pub(crate) fn resolve(&self) -> anyhow::Result<(EnvInfo, EnvOptions)> {
        let env = registry::find(&self.name)?;
        let defaults = Table::try_from(EnvOptions::default().of(env.family))?;
        let mut table = Table::from_iter([("env".to_owned(), Value::Table(defaults))]);
        for option in &self.options {
            set(&mut table, option, &optional(&env))?;
        }
        let options = section(&mut table, "env", |value| EnvOptions::read(env.family, value))?;
        Ok((env, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let name: Result<EnvName, _> = text.parse();
        match name {
            Ok(name) => name.resolve().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn options_follow_the_name() {
        let (env, options) = "Pong@mode=1,difficulty=3"
            .parse::<EnvName>()
            .unwrap()
            .resolve()
            .unwrap();
        assert_eq!(
            (env.short, options.atari.mode, options.atari.difficulty),
            ("pong", Some(1), 3)
        );
        let (_, options) = "pong".parse::<EnvName>().unwrap().resolve().unwrap();
        assert_eq!(options, EnvOptions::default());
    }

    #[test]
    fn what_is_no_option_is_named() {
        assert_eq!(
            error("pong@mode"),
            "`mode` is no setting: write KEY=VALUE, e.g. paac.gamma=0.98"
        );
        assert_eq!(
            error("pong@"),
            "`` is no setting: write KEY=VALUE, e.g. paac.gamma=0.98"
        );
        assert_eq!(
            error("pong@mood=1"),
            "there is no setting `env.mood`; did you mean `env.mode`?"
        );
        assert_eq!(error("cartpole@mode=1"), "there is no setting `env.mode`");
        assert_eq!(
            error("pong@difficulty=high"),
            "env.difficulty = \"high\": it must be a whole number from 0 to 9223372036854775807, e.g. 10M"
        );
    }
}
