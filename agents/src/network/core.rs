//! The recurrent core between body and heads.
//!
//! ```text
//! body      x        [t · n, width]    t steps of n environments, step by step
//! core      h, c     [n, 256]          carried from step to step, 0 where an episode begins
//! heads     h        [t · n, 256]
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::layer::TorsoBuilder;
use super::onnx::{Graph, Name, int};
use crate::device::upload;
use crate::params::Params;
use crate::{AgentError, CheckpointError, Section};

/// The number of LSTM cells, as in Mnih 2016 (arXiv 1602.01783, section 5.1).
const CELLS: i64 = 256;

/// The section of a saved recurrent state.
const SECTION: &str = "recurrent_state";

/// The layer between body and heads.
///
/// ```
/// use coinop_agents::network::Core;
///
/// let core: Core = serde_json::from_str("\"lstm\"")?;
/// assert_eq!(core, Core::Lstm);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Core {
    /// No layer: the network is feed-forward.
    #[default]
    None,
    /// 256 LSTM cells (Hochreiter and Schmidhuber 1997) whose forget gates start with a bias of 1 (Gers 2000).
    Lstm,
    /// The same, whose gates also see the cells (Gers and Schmidhuber 2000, "Recurrent nets that time and count"). What
    /// they see has no weight at first.
    PeepholeLstm,
}

/// The recurrent state of the current episodes, one row per environment; empty for feed-forward networks.
///
/// ```
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::Device;
/// # use coinop_agents::init::Init;
/// # use coinop_agents::network::{BodyKind, Core, NetworkConfig, Precision};
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # use coinop_envs::Env;
/// # let config = NetworkConfig { body: BodyKind::Mlp, core: Core::Lstm, init: Init::Orthogonal, precision: Precision::Float32 };
/// # let spec = CartPole::v1().spec();
/// let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// let mut state = network.initial_state(2)?;
/// let obs = network.body().input(&[0.1f32; 8])?;
/// let (first, _) = network.forward(&obs, &[true, true], &mut state)?;
/// // The same observations again; the second one starts an episode, which resets the state.
/// let (second, _) = network.forward(&obs, &[false, true], &mut state)?;
/// assert_eq!(first.get(1), second.get(1));
/// assert_ne!(first.get(0), second.get(0));
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug, Default)]
pub struct RecurrentState(Option<LstmState>);

#[derive(Debug)]
struct LstmState {
    hidden: Tensor,
    cell: Tensor,
}

impl RecurrentState {
    /// Returns a copy.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn copy(&self) -> Result<Self, AgentError> {
        self.map(|tensor| tensor.f_detach_copy())
    }

    /// Copies some of the rows.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn rows(&self, numbers: &[i64]) -> Result<Self, AgentError> {
        self.map(|tensor| {
            let rows = upload(numbers, &[numbers.len() as i64], tensor.device())?;
            tensor.f_index_select(0, &rows)
        })
    }

    /// The rows of several states, one after the other.
    pub(crate) fn joined(states: &[Self]) -> Result<Self, AgentError> {
        let states: Vec<&LstmState> = states.iter().filter_map(|state| state.0.as_ref()).collect();
        if states.is_empty() {
            return Ok(Self::default());
        }
        let join = |part: fn(&LstmState) -> &Tensor| {
            let parts: Vec<&Tensor> = states.iter().map(|state| part(state)).collect();
            Tensor::f_cat(&parts, 0)
        };
        Ok(Self(Some(LstmState {
            hidden: join(|state| &state.hidden)?,
            cell: join(|state| &state.cell)?,
        })))
    }

    pub(crate) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let Some(state) = &self.0 else { return Ok(()) };
        let out = out.section_mut(SECTION);
        out.put_tensor("hidden", &state.hidden)?;
        out.put_tensor("cell", &state.cell)
    }

    pub(crate) fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let Some(state) = &mut self.0 else { return Ok(()) };
        let from = from.section(SECTION)?;
        from.load_tensor("hidden", &mut state.hidden)?;
        from.load_tensor("cell", &mut state.cell)
    }

    fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<Self, AgentError> {
        let map = |state: &LstmState| -> Result<LstmState, TchError> {
            let (hidden, cell) = (f(&state.hidden)?, f(&state.cell)?);
            Ok(LstmState { hidden, cell })
        };
        Ok(Self(self.0.as_ref().map(map).transpose()?))
    }
}

/// The core's parameters: weight and bias of its inputs, then of its hidden state, and the weights of peepholes.
#[derive(Debug)]
pub(super) struct Lstm {
    at: usize,
    has_peepholes: bool,
}

impl Lstm {
    /// Builds the core of a network; returns it and the width of the heads' input.
    pub(super) fn build(
        core: Core,
        width: i64,
        builder: &mut TorsoBuilder<'_>,
    ) -> Result<(Option<Self>, i64), AgentError> {
        match core {
            Core::None => Ok((None, width)),
            Core::Lstm | Core::PeepholeLstm => {
                let at = builder.gates("lstm_input", 4 * CELLS, width)?;
                let hidden = builder.gates("lstm_hidden", 4 * CELLS, CELLS)?;
                // Of the gates, in libtorch's order input, forget, cell, output, the second. The two biases are added.
                builder.set_bias(at, CELLS, CELLS, 1.0)?;
                builder.set_bias(hidden, CELLS, CELLS, 0.0)?;
                let has_peepholes = core == Core::PeepholeLstm;
                if has_peepholes {
                    builder.zeros("lstm_peepholes", 3 * CELLS)?;
                }
                Ok((Some(Self { at, has_peepholes }), CELLS))
            }
        }
    }

    /// The initial state of `n` environments.
    pub(super) fn initial_state(core: Option<&Self>, n: usize, device: Device) -> Result<RecurrentState, AgentError> {
        let zeros = || Tensor::f_zeros([n as i64, CELLS], (Kind::Float, device));
        let state = |_: &Self| -> Result<LstmState, TchError> {
            let (hidden, cell) = (zeros()?, zeros()?);
            Ok(LstmState { hidden, cell })
        };
        Ok(RecurrentState(core.map(state).transpose()?))
    }

    /// Adds one step to a graph, with the state before and after it as inputs and outputs.
    pub(super) fn onnx(&self, graph: &mut Graph, params: &Params, features: &Name) -> Result<Name, TchError> {
        const WIDTH: usize = CELLS as usize;
        let [hidden, cell] = ["hidden", "cell"].map(|name| graph.input(name, false, &[WIDTH]));
        let [input_weight, input_bias, weight, bias] = [0, 1, 2, 3].map(|i| params.leaf(self.at + i));
        let bias = graph.constant(&input_bias.f_add(bias)?)?;
        let (input_weight, weight) = (graph.constant(input_weight)?, graph.constant(weight)?);
        let transposed = || vec![int("transB", 1)];
        let of_input = graph.node("Gemm", &[features, &input_weight, &bias], transposed());
        let of_hidden = graph.node("Gemm", &[&hidden, &weight], transposed());
        let gates = graph.node("Add", &[&of_input, &of_hidden], Vec::new());
        let lengths = graph.lengths(&[CELLS; 4]);
        let [input, forget, new, output] = graph.nodes_of("Split", &[&gates, &lengths], vec![int("axis", 1)]);
        let peepholes = self.has_peepholes.then(|| params.leaf(self.at + 4));
        let gate = |graph: &mut Graph, gate: &Name, cell: &Name, first: i64| -> Result<Name, TchError> {
            let seen = match peepholes {
                None => gate.clone(),
                Some(weights) => {
                    let weights = graph.constant(&weights.f_narrow(0, first, CELLS)?)?;
                    let seen = graph.node("Mul", &[cell, &weights], Vec::new());
                    graph.node("Add", &[gate, &seen], Vec::new())
                }
            };
            Ok(graph.node("Sigmoid", &[&seen], Vec::new()))
        };
        let input = gate(graph, &input, &cell, 0)?;
        let forget = gate(graph, &forget, &cell, CELLS)?;
        let new = graph.node("Tanh", &[&new], Vec::new());
        let (kept, new) = (
            graph.node("Mul", &[&forget, &cell], Vec::new()),
            graph.node("Mul", &[&input, &new], Vec::new()),
        );
        let cell = graph.node("Add", &[&kept, &new], Vec::new());
        let output = gate(graph, &output, &cell, 2 * CELLS)?;
        let shown = graph.node("Tanh", &[&cell], Vec::new());
        let hidden = graph.node("Mul", &[&output, &shown], Vec::new());
        graph.output("hidden_out", &hidden, &[WIDTH]);
        graph.output("cell_out", &cell, &[WIDTH]);
        Ok(hidden)
    }

    /// The hidden state `[t · n, 256]` after each of the features `[t · n, width]`.
    pub(super) fn forward(
        &self,
        params: &Params,
        features: &Tensor,
        is_first: &[bool],
        state: &mut RecurrentState,
    ) -> Result<Tensor, AgentError> {
        let RecurrentState(Some(state)) = state else {
            panic!("a recurrent network needs the state that it made itself");
        };
        let n = state.hidden.size()[0] as usize;
        assert_eq!(
            features.size()[0] as usize,
            is_first.len(),
            "as many beginnings as observations"
        );
        assert!(
            is_first.len().is_multiple_of(n),
            "steps of {n} environments, not {}",
            is_first.len()
        );
        let [input_weight, input_bias, weight, bias] = [0, 1, 2, 3].map(|i| params.leaf(self.at + i));
        // What the features say to the gates, in one product for all steps. The loop is ours: with libtorch's `lstm`, updates of
        // A3C from 20 steps took 2.7 times as long (`coinop bench learner --algo a3c --set core=lstm`).
        let gates = features
            .f_linear(input_weight, Some(input_bias.f_add(bias)?))?
            .f_view([-1, n as i64, 4 * CELLS])?
            .f_unbind(0)?;
        let weight = weight.f_tr()?;
        let peepholes = self.has_peepholes.then(|| params.leaf(self.at + 4));
        let mut out = Vec::with_capacity(gates.len());
        for (gates, is_first) in gates.iter().zip(is_first.chunks_exact(n)) {
            state.forget(is_first)?;
            state.step(&gates.f_addmm(&state.hidden, &weight)?, peepholes)?;
            out.push(state.hidden.shallow_clone());
        }
        Ok(Tensor::f_cat(&out, 0)?)
    }
}

impl LstmState {
    /// One step from gates `[n, 4 · 256]`, in libtorch's order: input, forget, cell and output, before their sigmoid
    /// or tanh. Peepholes `[3 · 256]` are the weights of the cells for input, forget and output; the output sees the
    /// new cells.
    fn step(&mut self, gates: &Tensor, peepholes: Option<&Tensor>) -> Result<(), TchError> {
        let parts = gates.f_split_with_sizes([2 * CELLS, CELLS, CELLS], 1)?;
        let seen = |cell: &Tensor, first: i64, len: i64| -> Result<Option<Tensor>, TchError> {
            peepholes
                .map(|weights| cell.f_mul(&weights.f_narrow(0, first, len)?))
                .transpose()
        };
        let plus = |gate: &Tensor, seen: Option<Tensor>| match seen {
            Some(seen) => gate.f_add(&seen),
            None => Ok(gate.shallow_clone()),
        };
        let twice = match peepholes {
            Some(_) => Tensor::f_cat(&[&self.cell, &self.cell], 1)?,
            None => self.cell.shallow_clone(),
        };
        let input_and_forget = plus(&parts[0], seen(&twice, 0, 2 * CELLS)?)?.f_sigmoid()?;
        let new = parts[1].f_tanh()?;
        let input = input_and_forget.f_narrow(1, 0, CELLS)?;
        let forget = input_and_forget.f_narrow(1, CELLS, CELLS)?;
        self.cell = forget.f_mul(&self.cell)?.f_addcmul(&input, &new)?;
        let output = plus(&parts[2], seen(&self.cell, 2 * CELLS, CELLS)?)?.f_sigmoid()?;
        self.hidden = output.f_mul(&self.cell.f_tanh()?)?;
        Ok(())
    }

    /// Zeroes the rows that start an episode.
    fn forget(&mut self, is_first: &[bool]) -> Result<(), TchError> {
        if is_first.contains(&true) {
            let keep: Vec<f32> = is_first
                .iter()
                .map(|&is_first| f32::from(u8::from(!is_first)))
                .collect();
            let keep = upload(&keep, &[keep.len() as i64, 1], self.hidden.device())?;
            self.hidden = self.hidden.f_mul(&keep)?;
            self.cell = self.cell.f_mul(&keep)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use coinop_envs::rng::stream;
    use coinop_envs::{EnvSpec, Shape};
    use tch::no_grad;

    use super::super::{ActorCritic, BodyKind, NetworkConfig, Precision};
    use super::*;
    use crate::init::Init;
    use crate::{Checkpoint, Section};

    fn network(init: Init) -> ActorCritic {
        with(Core::Lstm, init)
    }

    fn with(core: Core, init: Init) -> ActorCritic {
        let config = NetworkConfig {
            body: BodyKind::Mlp,
            core,
            init,
            precision: Precision::Float32,
        };
        let spec = EnvSpec::new(Shape::new(&[2]), 3);
        ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu).unwrap()
    }

    /// Five steps of three environments.
    fn obs() -> Tensor {
        let numbers: Vec<f32> = (0..30).map(|i| (i as f32 * 0.7).sin()).collect();
        Tensor::from_slice(&numbers).reshape([15, 2])
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn forget_gates_begin_with_a_bias_of_1_and_the_cells_are_256() {
        // mlp: 2·64 + 64 + 64·64 + 64; core: 1024·(64 + 1 + 256 + 1); heads: 3·257 + 257.
        assert_eq!(network(Init::Uniform).params().numel(), 4_352 + 329_728 + 1_028);
        for init in [Init::Uniform, Init::Orthogonal] {
            let mut section = Section::default();
            network(init).save(&mut section).unwrap();
            let forget = |name: &str| section.tensor(name).unwrap().narrow(0, 256, 256);
            let sum = forget("3_lstm_input_bias") + forget("4_lstm_hidden_bias");
            assert_eq!(Vec::<f32>::try_from(sum).unwrap(), [1.0; 256]);
        }
    }

    #[test]
    fn a_step_is_that_of_the_equations() {
        let network = network(Init::Uniform);
        let mut state = network.initial_state(3).unwrap();
        let first = obs().narrow(0, 0, 3);
        let _ = network.forward(&first, &[true; 3], &mut state).unwrap();
        let before = state.copy().unwrap().0.unwrap();
        let features = network.body().forward(network.params(), &first).unwrap();
        let _ = network.forward(&first, &[false; 3], &mut state).unwrap();
        let core = [4, 5, 6, 7].map(|i| network.params().leaf(i));
        let gates = features.matmul(&core[0].tr()) + core[1] + before.hidden.matmul(&core[2].tr()) + core[3];
        let [input, forget, new, output] = [0, 1, 2, 3].map(|gate| gates.narrow(1, 256 * gate, 256));
        let cell = forget.sigmoid() * &before.cell + input.sigmoid() * new.tanh();
        let hidden = output.sigmoid() * cell.tanh();
        let after = state.0.unwrap();
        assert!(largest_difference(&after.cell, &cell) < 1e-5);
        assert!(largest_difference(&after.hidden, &hidden) < 1e-5);
    }

    #[test]
    fn peepholes_begin_as_none_and_then_follow_their_equations() {
        let (plain, peephole) = (network(Init::Uniform), with(Core::PeepholeLstm, Init::Uniform));
        assert_eq!(peephole.params().numel(), plain.params().numel() + 3 * 256);
        let is_first = [true, true, true, false, false, false];
        let rows = obs().narrow(0, 0, 6);
        let run = |network: &ActorCritic| {
            let mut state = network.initial_state(3).unwrap();
            let _ = network.forward(&rows, &is_first, &mut state).unwrap();
            state.0.unwrap()
        };
        // The heads come after the core, so that all of its other weights are the same.
        assert_eq!(run(&plain).cell, run(&peephole).cell);
        let core = [4, 5, 6, 7, 8].map(|i| peephole.params().leaf(i));
        no_grad(|| {
            core[4]
                .shallow_clone()
                .copy_(&Tensor::linspace(-1.0, 1.0, 768, (Kind::Float, Device::Cpu)));
        });
        let mut state = peephole.initial_state(3).unwrap();
        let first = rows.narrow(0, 0, 3);
        let _ = peephole.forward(&first, &[true; 3], &mut state).unwrap();
        let before = state.copy().unwrap().0.unwrap();
        let features = peephole.body().forward(peephole.params(), &first).unwrap();
        let _ = peephole.forward(&first, &[false; 3], &mut state).unwrap();
        let gates = features.matmul(&core[0].tr()) + core[1] + before.hidden.matmul(&core[2].tr()) + core[3];
        let [input, forget, new, output] = [0, 1, 2, 3].map(|gate| gates.narrow(1, 256 * gate, 256));
        let [by_input, by_forget, by_output] = [0, 1, 2].map(|gate| core[4].narrow(0, 256 * gate, 256));
        let cell = (forget + &before.cell * by_forget).sigmoid() * &before.cell
            + (input + &before.cell * by_input).sigmoid() * new.tanh();
        let hidden = (output + &cell * by_output).sigmoid() * cell.tanh();
        let after = state.0.unwrap();
        assert!(largest_difference(&after.cell, &cell) < 1e-5);
        assert!(largest_difference(&after.hidden, &hidden) < 1e-5);
    }

    #[test]
    fn steps_at_once_are_those_one_after_another_and_an_episode_begins_with_nothing() {
        let network = network(Init::Orthogonal);
        // In the fourth step, the second environment begins an episode.
        let mut is_first = [false; 15];
        is_first[..3].fill(true);
        is_first[10] = true;
        let mut state = network.initial_state(3).unwrap();
        let (logits, values) = network.forward(&obs(), &is_first, &mut state).unwrap();
        let mut stepped = network.initial_state(3).unwrap();
        for t in 0..5 {
            let rows = obs().narrow(0, 3 * t, 3);
            let is_first = &is_first[3 * t as usize..][..3];
            let (some_logits, some_values) = network.forward(&rows, is_first, &mut stepped).unwrap();
            assert!(largest_difference(&some_logits, &logits.narrow(0, 3 * t, 3)) < 1e-6);
            assert!(largest_difference(&some_values, &values.narrow(0, 3 * t, 3)) < 1e-6);
        }
        let (state, stepped) = (state.0.unwrap(), stepped.0.unwrap());
        assert!(largest_difference(&state.hidden, &stepped.hidden) < 1e-6);
        assert!(largest_difference(&state.cell, &stepped.cell) < 1e-6);
        // Alone, from its beginning on.
        let mut alone = network.initial_state(1).unwrap();
        let own = obs().index_select(0, &Tensor::from_slice(&[10i64, 13]));
        let (own_logits, _) = network.forward(&own, &[true, false], &mut alone).unwrap();
        assert!(largest_difference(&own_logits.get(1), &logits.get(13)) < 1e-6);
        assert!(largest_difference(&alone.0.unwrap().cell.get(0), &state.cell.get(1)) < 1e-6);
    }

    #[test]
    fn rows_are_copies_and_a_feed_forward_network_has_none() {
        let network = network(Init::Orthogonal);
        let mut state = network.initial_state(3).unwrap();
        let _ = network.forward(&obs(), &[false; 15], &mut state).unwrap();
        let rows = state.rows(&[2, 0]).unwrap().0.unwrap();
        let before = state.0.as_ref().unwrap().cell.copy();
        assert_eq!(rows.cell.get(0), before.get(2));
        let _ = rows.cell.get(0).fill_(7.0);
        assert_eq!(state.0.unwrap().cell, before);
        assert!(RecurrentState::default().rows(&[1]).unwrap().0.is_none());
    }
}
