//! The actors of synchronous trainers, which wait for each update.

use coinop_envs::VecEnv;

use crate::algorithm::RunSettings;
use crate::collect::{Collector, Plan, Player};
use crate::distributed::{JointlyLearned, Ranks};
use crate::explore::EpsilonConfig;
use crate::network::Observation;
use crate::schedule::Schedule;
use crate::times::{Stopwatch, Times};
use crate::under_way;
use crate::{CheckpointError, Metrics, Progress, Section, TrainError};

/// The actors of one rank of a synchronous trainer, what their environments learn, and how far the run has come.
pub(crate) struct SyncActors<O: Observation> {
    pub(crate) collector: Collector<O>,
    /// What the environments learn, if they were made by a factory.
    pub(crate) learned: JointlyLearned,
    pub(crate) ranks: Ranks,
    seed: u64,
    /// Agent steps of all ranks so far.
    steps: u64,
    /// The length of the run, which schedules span.
    run_frames: u64,
    watch: Stopwatch,
}

impl<O: Observation> SyncActors<O> {
    /// Creates the actors of a run, one per environment, whose rollouts have `rollout_steps` steps.
    pub(crate) fn new(
        rollout_steps: usize,
        epsilon: &EpsilonConfig,
        env: Box<dyn VecEnv<Obs = O> + Send>,
        run: &RunSettings,
        watch: &Stopwatch,
    ) -> Self {
        let (seed, ranks, n) = (run.seed, run.ranks.clone(), env.num_envs());
        let plan = Plan {
            rollout_steps,
            epsilon,
            own: ranks.own(n),
            all: ranks.size() * n,
            seed,
            env_seed: ranks.seed(seed),
        };
        Self {
            collector: Collector::new(plan, env, watch),
            learned: JointlyLearned::new(None, &ranks),
            ranks,
            seed,
            steps: 0,
            run_frames: run.frames,
            watch: watch.clone(),
        }
    }

    /// Frames of all ranks so far.
    fn frames(&self) -> u64 {
        self.steps.saturating_mul(self.collector.frames_per_step())
    }

    /// The current value of a schedule.
    pub(crate) fn now(&self, schedule: &Schedule) -> f64 {
        schedule.at(self.frames(), self.run_frames)
    }

    /// Fills the rollout. Its steps are counted once it is complete.
    pub(crate) fn collect(&mut self, player: &mut impl Player<O>) -> Result<(), TrainError> {
        let steps = (self.collector.num_envs() * self.ranks.size()) as u64;
        let frames_per_step = steps * self.collector.frames_per_step();
        let frames = self.frames();
        self.collector.collect(player, frames, frames_per_step)?;
        self.steps = self.steps.saturating_add(steps * self.collector.rollout.steps() as u64);
        Ok(())
    }

    /// Ends a step of the trainer, after the updates: tells all ranks what environments have learned.
    pub(crate) fn end(&mut self) -> Result<(), TrainError> {
        self.learned.join()?;
        self.collector.end();
        Ok(())
    }

    /// The progress of the run after `updates` updates.
    pub(crate) fn progress<'a>(&'a self, updates: u64, metrics: &'a Metrics) -> Progress<'a> {
        Progress {
            frames: self.frames(),
            steps: self.steps,
            updates,
            episodes: self.collector.episodes.finished(),
            metrics,
            epsilons: self.collector.epsilons(),
        }
    }

    /// Where the time went.
    pub(crate) fn times(&self) -> Times {
        self.watch.times(1).waiting(self.ranks.time_of_means())
    }

    /// Begins new episodes with new random streams; returns the seed of these.
    pub(crate) fn renew(&mut self) -> u64 {
        let seed = under_way::resumed_seed(self.seed, self.steps);
        self.collector.renew(seed, self.ranks.seed(seed));
        seed
    }

    /// Saves random streams, current episodes, what environments have learned, and the number of steps.
    pub(crate) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.collector.save(out)?;
        self.learned.save(out)?;
        out.put("steps", &self.steps)
    }

    /// Restores them; returns whether the episodes continue.
    pub(crate) fn load(&mut self, from: &Section) -> Result<bool, CheckpointError> {
        self.steps = from.count("steps")?;
        self.learned.load(from)?;
        let env_seed = self.ranks.seed(under_way::resumed_seed(self.seed, self.steps));
        self.collector.load(from, env_seed)
    }
}
