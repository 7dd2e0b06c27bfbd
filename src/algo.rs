//! The algorithms by name: the one place that knows which there are.

use clap::ValueEnum;
use coinop_agents::network::{ActorCritic, NetworkKind};
use coinop_agents::paac::{self, Paac};
use coinop_agents::{Device, Section, TrainError, Trainer};
use coinop_envs::{Shape, VecEnv};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// An algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Algo {
    /// Parallel advantage actor-critic (Clemente et al. 2017)
    #[default]
    Paac,
}

impl Algo {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algo::Paac => "paac",
        }
    }

    /// Its presets, each a name and a TOML text; the first is the default.
    pub(crate) fn presets(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Algo::Paac => &[
                ("fast", include_str!("../configs/paac-fast.toml")),
                ("paac", include_str!("../configs/paac.toml")),
            ],
        }
    }

    /// The number of environments that it trains with.
    pub(crate) fn num_envs(self, config: &Config) -> usize {
        match self {
            Algo::Paac => config.paac.num_envs,
        }
    }

    /// The setting that chooses the network, and what it chooses.
    pub(crate) fn network(self, config: &Config) -> (&'static str, NetworkKind) {
        match self {
            Algo::Paac => ("paac.network", config.paac.network),
        }
    }

    /// Checks that there is memory for a run on observations of this shape.
    pub(crate) fn check_memory(self, config: &Config, obs_shape: Shape) -> Result<(), TrainError> {
        match self {
            Algo::Paac => Paac::<u8>::check_memory(&config.paac, obs_shape),
        }
    }

    /// A trainer for a new run.
    pub(crate) fn trainer(
        self,
        config: &Config,
        env: Box<dyn VecEnv<Obs = u8>>,
        device: Device,
    ) -> Result<Box<dyn Trainer<Obs = u8>>, TrainError> {
        let run = &config.run;
        match self {
            Algo::Paac => Ok(Box::new(Paac::new(&config.paac, env, run.frames, run.seed, device)?)),
        }
    }

    /// The network of a checkpoint, to evaluate it in `env`.
    pub(crate) fn restore_network(
        self,
        config: &Config,
        env: &dyn VecEnv<Obs = u8>,
        from: &Section,
        device: Device,
    ) -> Result<ActorCritic, TrainError> {
        match self {
            Algo::Paac => paac::restore_network(&config.paac, env, from, device),
        }
    }
}
