//! Environment names on the command line: `pong`, or with options `pong@mode=1,difficulty=3`.

use std::fmt;
use std::str::FromStr;

use coinop_envs::registry::{self, EnvInfo, EnvOptions, Gymnasium};
use toml::{Table, Value};

use super::keys::{KeyError, Setting, set};
use super::preset::optional;
use super::{env_options, section};
use crate::output::say;

/// The name of an environment and its options.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EnvName {
    pub(crate) name: String,
    /// Settings in the section `env`.
    pub(crate) options: Vec<Setting>,
}

impl fmt::Display for EnvName {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.name)?;
        for (i, option) in self.options.iter().enumerate() {
            let before = if i == 0 { '@' } else { ',' };
            let option = option.to_string().replacen(" = ", "=", 1);
            write!(to, "{before}{}", option.trim_start_matches("env."))?;
        }
        Ok(())
    }
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
    /// Finds the environment and its options. A Gymnasium name such as `ALE/Pong-v5` also selects the closest rules,
    /// and reports that.
    pub(crate) fn find(&self) -> anyhow::Result<(EnvInfo, Vec<Setting>)> {
        let Some(Gymnasium { info, protocol, rules }) = registry::find_gymnasium(&self.name) else {
            return Ok((registry::find(&self.name)?, self.options.clone()));
        };
        let chosen = |setting: &Setting| setting.is("env.protocol");
        let mut options = self.options.clone();
        if !options.iter().any(chosen) {
            options.insert(0, Setting::from_str(&format!("env.protocol={protocol}"))?);
            say(&format!(
                "{} is {}@protocol={protocol} here: {rules}",
                self.name, info.short
            ));
        }
        Ok((info, options))
    }

    /// Finds the environment and resolves its options without any other configuration.
    pub(crate) fn resolve(&self) -> anyhow::Result<(EnvInfo, EnvOptions)> {
        let (env, chosen) = self.find()?;
        let defaults = Table::try_from(EnvOptions::default().of(env.family))?;
        let mut table = Table::from_iter([("env".to_owned(), Value::Table(defaults))]);
        for option in &chosen {
            set(&mut table, option, &optional(&env, None))?;
        }
        let options = env_options(env.family, section(&mut table, "env")?)?;
        Ok((env, options))
    }
}

#[cfg(test)]
mod tests {
    use coinop_envs::atari::Protocol;

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
    fn a_name_of_gymnasium_chooses_its_rules_unless_others_are_chosen() {
        let protocol = |text: &str| text.parse::<EnvName>().unwrap().resolve().unwrap().1.atari.protocol;
        assert_eq!(protocol("ALE/Pong-v5"), Protocol::Machado);
        assert_eq!(protocol("PongNoFrameskip-v4"), Protocol::Sb3);
        assert_eq!(protocol("ALE/Pong-v5@protocol=nature"), Protocol::Nature);
    }

    #[test]
    fn an_invalid_option_is_named() {
        assert_eq!(
            error("pong@mode"),
            "`mode` is not of the form KEY=VALUE, e.g. ppo.gamma=0.98"
        );
        assert_eq!(error("pong@"), "`` is not of the form KEY=VALUE, e.g. ppo.gamma=0.98");
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
