//! The trainer of distillation: the student plays, the teacher answers, and an update follows.

use coinop_envs::rng::stream;
use coinop_envs::{EnvFactory, EnvSpec};
use tch::Device;

use super::teacher::Answers;
use super::{DistillBatch, DistillConfig, DistillLearner, DistillStats};
use crate::algorithm::{Algorithm, RunSettings};
use crate::collect::{self, Actors, Player, PolicyMemory, PolicyPlayer, check_center};
use crate::distributed::JointlyLearned;
use crate::network::{ActorCritic, Observation, joined};
use crate::rollout::Rollout;
use crate::sync_actors::SyncActors;
use crate::times::{Part, Stopwatch, Times};
use crate::{
    AgentError, Checkpoint, CheckpointError, Learner, Metrics, Progress, Resumption, Section, TrainError, Trainer,
};

/// The name of the metric that the trainer adds to those of [`DistillStats`].
const NAMES: [&str; 1] = ["learning_rate"];

/// Creates the student's network with initial weights of a seed.
pub(super) fn network(
    config: &DistillConfig,
    spec: &EnvSpec,
    seed: u64,
    device: Device,
) -> Result<ActorCritic, AgentError> {
    ActorCritic::new(&config.network, spec, &mut stream(seed, "network", 0), device)
}

/// The trainer of distillation. One [`step`](Trainer::step) is one rollout and its update. See
/// [`Teacher`](super::Teacher) for an example.
pub struct Distill<O: Observation> {
    config: DistillConfig,
    learner: DistillLearner,
    actors: SyncActors<O>,
    memory: PolicyMemory,
    teacher: Answers,
    watch: Stopwatch,
    metrics: Metrics,
}

/// The student while it plays, and the teacher who watches.
struct Pupil<'a> {
    student: PolicyPlayer<'a>,
    teacher: &'a mut Answers,
    watch: &'a Stopwatch,
}

impl<O: Observation> Player<O> for Pupil<'_> {
    fn begin(&mut self) -> Result<(), AgentError> {
        self.teacher.begin();
        Player::<O>::begin(&mut self.student)
    }

    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, by: Actors<'_>) -> Result<(), AgentError> {
        let Self { teacher, watch, .. } = self;
        watch.measure(Part::Inference, || teacher.ask(rollout.obs(t), rollout.is_first(t)))?;
        self.student.act(rollout, t, by)
    }

    /// Nothing is learned from what follows an episode.
    fn final_value(&mut self, _obs: &[O], _env: usize) -> Result<f32, AgentError> {
        Ok(0.0)
    }

    fn last_values(&mut self, rollout: &Rollout<O>) -> Result<Vec<f32>, AgentError> {
        self.student.last_values(rollout)
    }
}

impl<O: Observation> Distill<O> {
    /// Creates a trainer with a new student and new environments for a run. Environments that normalise begin with what
    /// those of the teacher had learned.
    ///
    /// # Errors
    ///
    /// If the run has no teacher, or it does not fit the environments; if a setting is invalid or does not fit them, or
    /// there is not enough memory.
    pub fn for_run(
        config: &DistillConfig,
        factory: &dyn EnvFactory<Obs = O>,
        run: &RunSettings,
    ) -> Result<Self, TrainError> {
        let RunSettings {
            seed,
            device,
            ref ranks,
            ..
        } = *run;
        config.validate()?;
        check_center::<O>(config.center_pixels)?;
        let Some(teacher) = &run.teacher else {
            return Err(AgentError::BadConfig {
                name: "teacher",
                value: format!("\"{}\"", config.teacher),
                reason: "it must be a run to learn from",
            }
            .into());
        };
        let (n, spec) = (config.num_envs, factory.spec());
        collect::require_memory::<O>(n, config.rollout_steps, 1, spec.obs_shape)?;
        let mut learned = JointlyLearned::new(factory.learned(), ranks);
        learned.take(&teacher.trainer())?;
        let env = factory.make_vec(ranks.own(n).start, n, run.env_threads)?;
        let network = network(config, &spec, seed, device)?;
        network.body().draw_masks_from(ranks.stream(seed, "dropout"));
        let watch = Stopwatch::default();
        let mut actors = SyncActors::new(config.rollout_steps, &config.epsilon, env, run, &watch);
        actors.learned = learned;
        Ok(Self {
            memory: PolicyMemory::new(&network, n)?,
            learner: DistillLearner::new(config, network)?.with(ranks.clone()),
            actors,
            teacher: Answers::new(teacher.policy::<O>(&spec, device)?, config.temperature),
            watch,
            metrics: Metrics::of(&[DistillStats::NAMES, &NAMES].concat()),
            config: config.clone(),
        })
    }

    /// Fills the rollout, and asks the teacher about each step.
    fn collect(&mut self) -> Result<(), TrainError> {
        let updates = self.learner.updates();
        let mut pupil = Pupil {
            student: PolicyPlayer {
                network: self.learner.network(),
                memory: &mut self.memory,
                updates,
                watch: &self.watch,
            },
            teacher: &mut self.teacher,
            watch: &self.watch,
        };
        self.actors.collect(&mut pupil)
    }

    /// Copies the rollout and the teacher's answers to the network's device.
    fn batch(&self, learning_rate: f64) -> Result<DistillBatch, AgentError> {
        let (network, rollout) = (self.learner.network(), &self.actors.collector.rollout);
        let (body, len) = (network.body(), rollout.actions.len());
        let size = [len as i64, network.num_actions() as i64];
        // A teacher of another crate may have values only now and then.
        let has_values = self.teacher.values.len() == len;
        Ok(DistillBatch {
            obs: joined(&self.memory.seen)?,
            targets: body.numbers(&self.teacher.targets)?.f_view(size)?,
            values: has_values.then(|| body.numbers(&self.teacher.values)).transpose()?,
            is_first: rollout.all_is_first().to_vec(),
            state: self.memory.first_state.copy()?,
            learning_rate,
        })
    }
}

impl<O: Observation> Trainer for Distill<O> {
    fn resumption(&self) -> Resumption {
        match self.teacher.is_recurrent() {
            // What it remembers of the episodes is not saved.
            true => Resumption::NewEpisodes,
            false => {
                let is_exact = self.learner.network().body().device() == Device::Cpu;
                self.actors.collector.resumption(is_exact)
            }
        }
    }

    fn times(&self) -> Times {
        self.actors.times()
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        let weights = from.section("learner")?.section("network")?;
        Ok(self.learner.network_mut().load(weights)?)
    }

    fn renew(&mut self) -> Result<(), TrainError> {
        let seed = self.actors.renew();
        self.learner
            .network()
            .body()
            .draw_masks_from(self.actors.ranks.stream(seed, "dropout"));
        Ok(())
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        // Taken before the rollout's frames are counted, so that the first has all of it and the last still learns.
        let learning_rate = self.actors.now(&self.config.learning_rate);
        self.collect()?;
        self.metrics.clear();
        if self.config.center_pixels && !self.learner.network().is_centered() {
            let seen = joined(&self.memory.seen).map_err(AgentError::from)?;
            self.learner.network_mut().center_over(&seen, &self.actors.ranks)?;
        } else {
            let batch = self.watch.measure(Part::Copies, || self.batch(learning_rate))?;
            let stats = self.watch.measure(Part::Learning, || self.learner.learn(&batch))?;
            stats.record(&mut self.metrics);
            self.metrics.record("learning_rate", learning_rate);
        }
        self.actors.end()?;
        Ok(self.actors.progress(self.learner.updates(), &self.metrics))
    }
}

/// Saves weights, optimiser, random streams, counters, and current episodes.
impl<O: Observation> Checkpoint for Distill<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.save(out.section_mut("learner"))?;
        self.actors.save(out)?;
        self.memory.state.save(out)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.learner.load(from.section("learner")?)?;
        if self.actors.load(from)? {
            self.memory.state.load(from)?;
        }
        if self.teacher.is_recurrent() {
            self.actors.renew();
        }
        Ok(())
    }
}
