//! Loss terms: pure functions of tensors whose first dimension `n` is the sample.
//!
//! A tensor of the wrong shape would often be broadcast to a plausible wrong result, so every function starts by
//! asserting the shapes.

use tch::{Kind, TchError, Tensor, no_grad};

/// Asserts that all tensors are one-dimensional with the same number of samples.
#[track_caller]
fn assert_samples(tensors: &[&Tensor]) {
    let first = tensors[0].size();
    assert_eq!(first.len(), 1, "expected samples of the shape [n], found {first:?}");
    for tensor in tensors {
        assert_eq!(tensor.size(), first, "all tensors must have the same number of samples");
    }
}

/// Asserts the shape `[n, actions]`, and that `per_sample` are `[n]`.
#[track_caller]
fn assert_rows(rows: &Tensor, per_sample: &[&Tensor]) {
    let size = rows.size();
    assert_eq!(size.len(), 2, "expected the shape [n, actions], found {size:?}");
    for tensor in per_sample {
        assert_eq!(tensor.size(), size[..1], "expected one number per row");
    }
}

/// The policy gradient loss `-mean(A log pi(a|s))` (Mnih 2016, arXiv 1602.01783, section 4; Clemente 2017, arXiv
/// 1705.04862, section 4) of the actions' log-probabilities `[n]` and advantages `[n]`.
///
/// ```
/// use coinop_agents::losses::policy_gradient_loss;
/// use coinop_agents::tch::Tensor;
///
/// let loss = policy_gradient_loss(&Tensor::from_slice(&[-1.0f32, -2.0]), &Tensor::from_slice(&[1.0f32, -1.0]))?;
/// assert_eq!(loss.double_value(&[]), -0.5);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn policy_gradient_loss(log_probabilities: &Tensor, advantages: &Tensor) -> Result<Tensor, TchError> {
    assert_samples(&[log_probabilities, advantages]);
    log_probabilities.f_mul(advantages)?.f_mean(Kind::Float)?.f_neg()
}

/// The clipped policy loss `-mean(min(r A, clip(r, 1 - c, 1 + c) A))` (Schulman 2017, arXiv 1707.06347, equation 7),
/// where `r` is the ratio of an action's current probability to the probability with which it was chosen. All tensors
/// are `[n]`.
///
/// ```
/// use coinop_agents::losses::clipped_policy_loss;
/// use coinop_agents::tch::Tensor;
///
/// // An action has become twice as probable: beyond the clip of 0.2, its advantage counts no further.
/// let (new, old) = (Tensor::from_slice(&[0.8f32.ln()]), Tensor::from_slice(&[0.4f32.ln()]));
/// let loss = clipped_policy_loss(&new, &old, &Tensor::from_slice(&[10.0f32]), 0.2)?;
/// assert!((loss.double_value(&[]) + 12.0).abs() < 1e-5);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn clipped_policy_loss(
    log_probabilities: &Tensor,
    old_log_probabilities: &Tensor,
    advantages: &Tensor,
    clip_ratio: f64,
) -> Result<Tensor, TchError> {
    assert_samples(&[log_probabilities, old_log_probabilities, advantages]);
    let ratio = log_probabilities.f_sub(old_log_probabilities)?.f_exp()?;
    let clipped = ratio.f_clamp(1.0 - clip_ratio, 1.0 + clip_ratio)?;
    let gain = ratio.f_mul(advantages)?.f_minimum(&clipped.f_mul(advantages)?)?;
    gain.f_mean(Kind::Float)?.f_neg()
}

/// The value loss `mean((R - V(s))²)` of returns `[n]` and values `[n]` (Mnih 2016, arXiv 1602.01783, algorithm S3).
///
/// ```
/// use coinop_agents::losses::value_loss;
/// use coinop_agents::tch::Tensor;
///
/// let loss = value_loss(&Tensor::from_slice(&[1.0f32, 0.0]), &Tensor::from_slice(&[2.0f32, 3.0]))?;
/// assert_eq!(loss.double_value(&[]), (1.0 + 9.0) / 2.0);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn value_loss(values: &Tensor, returns: &Tensor) -> Result<Tensor, TchError> {
    assert_samples(&[values, returns]);
    returns.f_sub(values)?.f_square()?.f_mean(Kind::Float)
}

/// The value loss with PPO's clip, `mean(max((R - V)², (R - V_old - clip(V - V_old, ±c))²))`, of values `[n]`, the
/// values `[n]` that were estimated when the rollout was played, and returns `[n]`. It is not in the paper, but in the
/// authors' program (openai/baselines, ppo2).
///
/// ```
/// use coinop_agents::losses::clipped_value_loss;
/// use coinop_agents::tch::Tensor;
///
/// // The value has moved by 1 towards the return; the clip lets 0.2 of that count.
/// let [value, old, returned] = [1.0f32, 0.0, 3.0].map(|value| Tensor::from_slice(&[value]));
/// let loss = clipped_value_loss(&value, &old, &returned, 0.2)?;
/// assert!((loss.double_value(&[]) - (3.0f64 - 0.2).powi(2)).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn clipped_value_loss(
    values: &Tensor,
    old_values: &Tensor,
    returns: &Tensor,
    value_clip: f64,
) -> Result<Tensor, TchError> {
    assert_samples(&[values, old_values, returns]);
    let moved = values.f_sub(old_values)?.f_clamp(-value_clip, value_clip)?;
    let clipped = returns.f_sub(&old_values.f_add(&moved)?)?.f_square()?;
    returns
        .f_sub(values)?
        .f_square()?
        .f_maximum(&clipped)?
        .f_mean(Kind::Float)
}

/// The values `[n]` of the next observations, `Q'(s', argmax_a Q(s', a))`, from the target network's action values
/// `[n, actions]` and those that select the actions. Selecting with the online network is Double-DQN (van Hasselt
/// 2015, arXiv 1509.06461, equation 4); selecting with the target network itself is DQN.
///
/// ```
/// use coinop_agents::losses::next_value;
/// use coinop_agents::tch::Tensor;
///
/// // The online network prefers the second action, and the target network says what that is worth.
/// let target = Tensor::from_slice(&[5.0f32, 1.0]).unsqueeze(0);
/// let online = Tensor::from_slice(&[0.0f32, 2.0]).unsqueeze(0);
/// assert_eq!(next_value(&target, &online)?.double_value(&[0]), 1.0);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn next_value(target_values: &Tensor, selecting_values: &Tensor) -> Result<Tensor, TchError> {
    assert_eq!(
        target_values.size(),
        selecting_values.size(),
        "action values of the same observations"
    );
    let best = selecting_values.f_argmax(1, false)?;
    assert_rows(target_values, &[&best]);
    action_value(target_values, &best)
}

/// Gathers the values `[n]` of actions `[n]` from action values `[n, actions]`.
///
/// ```
/// use coinop_agents::losses::action_value;
/// use coinop_agents::tch::Tensor;
///
/// let values = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0]).reshape([2, 2]);
/// let chosen = action_value(&values, &Tensor::from_slice(&[1i64, 0]))?;
/// assert_eq!(Vec::<f32>::try_from(chosen)?, [2.0, 3.0]);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn action_value(values: &Tensor, actions: &Tensor) -> Result<Tensor, TchError> {
    assert_rows(values, &[actions]);
    values.f_gather(1, &actions.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)
}

/// The TD loss `mean(w L(y - Q(s, a)))` of values, targets and importance weights, all `[n]`. `L` is the Huber loss:
/// half the square within `±error_clip` and linear beyond (Mnih 2015, "error clipping"); without an `error_clip`,
/// half the square everywhere. A weight multiplies its sample's gradient (Schaul 2015, arXiv 1511.05952, section 3.4), so
/// it is outside the square.
///
/// ```
/// use coinop_agents::losses::td_loss;
/// use coinop_agents::tch::Tensor;
///
/// let (values, targets) = (Tensor::from_slice(&[1.0f32, 0.0]), Tensor::from_slice(&[1.5f32, 3.0]));
/// let loss = td_loss(&values, &targets, &Tensor::from_slice(&[1.0f32, 1.0]), Some(1.0))?;
/// // Half of 0.5 squared, and 3 - 0.5 beyond the clip, on average.
/// assert_eq!(loss.double_value(&[]), (0.125 + 2.5) / 2.0);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn td_loss(
    values: &Tensor,
    targets: &Tensor,
    weights: &Tensor,
    error_clip: Option<f64>,
) -> Result<Tensor, TchError> {
    assert_samples(&[values, targets, weights]);
    let losses = match error_clip {
        Some(error_clip) => values.f_huber_loss(targets, tch::Reduction::None, error_clip)?,
        None => values.f_sub(targets)?.f_square()?.f_mul_scalar(0.5)?,
    };
    losses.f_mul(weights)?.f_mean(Kind::Float)
}

/// The outputs `[n, k]` of actions `[n]`, from those of all actions `[n, actions, k]`.
///
/// ```
/// use coinop_agents::losses::action_distribution;
/// use coinop_agents::tch::Tensor;
///
/// let all = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0]).reshape([1, 2, 2]);
/// let chosen = action_distribution(&all, &Tensor::from_slice(&[1i64]))?;
/// assert_eq!(chosen, Tensor::from_slice2(&[[3.0f32, 4.0]]));
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because an action does not exist.
///
/// # Panics
///
/// If a shape is wrong.
pub fn action_distribution(distributions: &Tensor, actions: &Tensor) -> Result<Tensor, TchError> {
    let size = distributions.size();
    assert_eq!(size.len(), 3, "distributions are [n, actions, k], not {size:?}");
    assert_eq!(actions.size(), size[..1], "as many actions as rows");
    let index = actions.f_view([-1, 1, 1])?.f_expand([size[0], 1, size[2]], false)?;
    distributions.f_gather(1, &index, false)?.f_squeeze_dim(1)
}

/// Projects the distribution of `R + g Z` onto the atoms of `Z` (Bellemare et al. 2017, arXiv 1707.06887, equation 7):
/// probabilities `[n, atoms]` of the next return, rewards `R` `[n]`, discounts `g` `[n]`, and the evenly spaced returns
/// of the atoms `[atoms]` give probabilities `[n, atoms]`.
///
/// ```
/// use coinop_agents::losses::project_distribution;
/// use coinop_agents::tch::Tensor;
///
/// let atoms = Tensor::from_slice(&[0.0f32, 1.0, 2.0]);
/// // The next return is 2 for certain: 0.25 + 0.5 · 2 lies between the second atom and the third.
/// let next = Tensor::from_slice2(&[[0.0f32, 0.0, 1.0]]);
/// let out = project_distribution(&next, &Tensor::from_slice(&[0.25f32]), &Tensor::from_slice(&[0.5f32]), &atoms)?;
/// assert_eq!(out, Tensor::from_slice2(&[[0.0f32, 0.75, 0.25]]));
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong, or there is only one atom.
pub fn project_distribution(
    probabilities: &Tensor,
    rewards: &Tensor,
    discounts: &Tensor,
    atoms: &Tensor,
) -> Result<Tensor, TchError> {
    assert_rows(probabilities, &[rewards, discounts]);
    let k = atoms.size()[0];
    assert_eq!(probabilities.size()[1], k, "a probability for each atom");
    assert!(k > 1, "a distribution needs at least two atoms");
    let (low, high) = (atoms.f_narrow(0, 0, 1)?, atoms.f_narrow(0, k - 1, 1)?);
    let spacing = high.f_sub(&low)?.f_div_scalar((k - 1) as f64)?;
    let moved = atoms
        .f_mul(&discounts.f_unsqueeze(1)?)?
        .f_add(&rewards.f_unsqueeze(1)?)?;
    let moved = moved.f_clamp_tensor(Some(&low), Some(&high))?;
    // [n, to, from]: the share of each moved atom that falls to each atom.
    let distance = moved
        .f_unsqueeze(1)?
        .f_sub(&atoms.f_view([1, -1, 1])?)?
        .f_div(&spacing)?;
    let share = distance.f_abs()?.f_neg()?.f_add_scalar(1.0)?.f_clamp_min(0.0)?;
    share.f_matmul(&probabilities.f_unsqueeze(2)?)?.f_squeeze_dim(2)
}

/// The cross-entropy `-sum_i m_i log p_i` `[n]` of predicted distributions, given as logits `[n, atoms]`, from target
/// probabilities `m` `[n, atoms]` (Bellemare et al. 2017, arXiv 1707.06887, algorithm 1).
///
/// ```
/// use coinop_agents::losses::categorical_loss;
/// use coinop_agents::tch::Tensor;
///
/// let even = Tensor::from_slice2(&[[0.0f32, 0.0]]);
/// let loss = categorical_loss(&even, &Tensor::from_slice2(&[[1.0f32, 0.0]]))?;
/// assert!((loss.double_value(&[0]) - 2f64.ln()).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn categorical_loss(logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    assert_rows(logits, &[]);
    assert_eq!(logits.size(), targets.size(), "as many atoms in both distributions");
    logits
        .f_log_softmax(1, Kind::Float)?
        .f_mul(targets)?
        .f_sum_dim_intlist(1i64, false, Kind::Float)?
        .f_neg()
}

/// The quantile Huber loss `[n]` of quantiles `theta` `[n, N]` at fractions `tau` `[n, N]`, or `[1, N]` for all alike, for
/// samples of the target `[n, M]` (Dabney et al. 2017, arXiv 1710.10044, equations 9 and 10):
///
/// ```text
/// sum_i mean_j |tau_i - 1{u_ij < 0}| L(u_ij) / kappa,    u_ij = target_j - theta_i
/// ```
///
/// where `L` is the Huber loss with the threshold `kappa`; without one, it is `|u_ij|`, and nothing is divided.
///
/// ```
/// use coinop_agents::losses::quantile_loss;
/// use coinop_agents::tch::Tensor;
///
/// // The only quantile is the median; the target lies 3 above it: 0.5 (3 - 0.5).
/// let [quantile, half, target] = [1.0f32, 0.5, 4.0].map(|number| Tensor::from_slice2(&[[number]]));
/// let loss = quantile_loss(&quantile, &half, &target, Some(1.0))?;
/// assert_eq!(loss.double_value(&[0]), 1.25);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn quantile_loss(
    quantiles: &Tensor,
    fractions: &Tensor,
    targets: &Tensor,
    kappa: Option<f64>,
) -> Result<Tensor, TchError> {
    assert_rows(quantiles, &[]);
    assert_rows(targets, &[]);
    let [n, count] = [quantiles.size()[0], quantiles.size()[1]];
    assert_eq!(targets.size()[0], n, "as many samples of targets as of quantiles");
    let fits = fractions.size() == [n, count] || fractions.size() == [1, count];
    assert!(fits, "a fraction for each quantile");
    let errors = targets.f_unsqueeze(1)?.f_sub(&quantiles.f_unsqueeze(2)?)?;
    let distances = match kappa {
        Some(kappa) => errors
            .f_huber_loss(&errors.f_zeros_like()?, tch::Reduction::None, kappa)?
            .f_div_scalar(kappa)?,
        None => errors.f_abs()?,
    };
    let is_below = errors.f_lt(0.0)?.f_to_kind(Kind::Float)?;
    let weights = fractions.f_unsqueeze(2)?.f_sub(&is_below)?.f_abs()?;
    weights
        .f_mul(&distances)?
        .f_mean_dim(2i64, false, Kind::Float)?
        .f_sum_dim_intlist(1i64, false, Kind::Float)
}

/// The bonus of Munchausen reinforcement learning `[n]` (Vieillard et al. 2020, arXiv 2007.14430):
/// `alpha max(tau log pi(a|s), low)`, where `pi` is the softmax of the action values `[n, actions]` divided by the
/// temperature `tau`, for actions `[n]`.
///
/// ```
/// use coinop_agents::losses::munchausen_bonus;
/// use coinop_agents::tch::Tensor;
///
/// let values = Tensor::from_slice2(&[[1.0f32, 1.0]]);
/// let bonus = munchausen_bonus(&values, &Tensor::from_slice(&[0i64]), 0.5, 2.0, -9.0)?;
/// assert!((bonus.double_value(&[0]) - 0.5 * 2.0 * 0.5f64.ln()).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn munchausen_bonus(
    values: &Tensor,
    actions: &Tensor,
    alpha: f64,
    temperature: f64,
    low: f64,
) -> Result<Tensor, TchError> {
    assert_rows(values, &[actions]);
    let log_policy = values.f_div_scalar(temperature)?.f_log_softmax(1, Kind::Float)?;
    action_value(&log_policy, actions)?
        .f_mul_scalar(temperature)?
        .f_clamp(low, 0.0)?
        .f_mul_scalar(alpha)
}

/// The soft value of the outputs `[n, actions, k]` of all actions, `sum_a pi(a) (z_a - tau log pi(a))` `[n, k]`, where
/// `pi` is the softmax of the action values `[n, actions]` divided by the temperature `tau` (Vieillard et al. 2020,
/// arXiv 2007.14430). With `k` 1, the outputs are the values.
///
/// ```
/// use coinop_agents::losses::soft_value;
/// use coinop_agents::tch::Tensor;
///
/// // Two actions worth 1: the entropy of an even choice is ln 2.
/// let values = Tensor::from_slice2(&[[1.0f32, 1.0]]);
/// let soft = soft_value(&values.unsqueeze(2), &values, 0.5)?;
/// assert!((soft.double_value(&[0, 0]) - (1.0 + 0.5 * 2f64.ln())).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn soft_value(outputs: &Tensor, values: &Tensor, temperature: f64) -> Result<Tensor, TchError> {
    assert_rows(values, &[]);
    assert_eq!(
        outputs.size()[..2],
        values.size(),
        "outputs and a value for each action"
    );
    let log_policy = values
        .f_div_scalar(temperature)?
        .f_log_softmax(1, Kind::Float)?
        .f_unsqueeze(2)?;
    let soft = outputs.f_sub(&log_policy.f_mul_scalar(temperature)?)?;
    soft.f_mul(&log_policy.f_exp()?)?
        .f_sum_dim_intlist(1i64, false, Kind::Float)
}

/// Two diagnostics of how far a policy has moved since it chose the actions, without gradient, from tensors `[n]`:
/// `mean(r - 1 - log r)` in nats, an unbiased and never negative estimate of the Kullback-Leibler divergence
/// (Schulman 2020, <http://joschu.net/blog/kl-approx.html>, k3), and the fraction of ratios `r` beyond `1 ±
/// clip_ratio`.
///
/// ```
/// use coinop_agents::losses::policy_change;
/// use coinop_agents::tch::Tensor;
///
/// let old = Tensor::from_slice(&[0.5f32.ln(), 0.5f32.ln()]);
/// let new = Tensor::from_slice(&[0.9f32.ln(), 0.5f32.ln()]);
/// let (change, beyond) = policy_change(&new, &old, 0.2)?;
/// assert!(change.double_value(&[]) > 0.0);
/// assert_eq!(beyond.double_value(&[]), 0.5, "half of the actions are beyond the clip");
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn policy_change(
    log_probabilities: &Tensor,
    old_log_probabilities: &Tensor,
    clip_ratio: f64,
) -> Result<(Tensor, Tensor), TchError> {
    assert_samples(&[log_probabilities, old_log_probabilities]);
    no_grad(|| {
        let log_ratio = log_probabilities.f_sub(old_log_probabilities)?;
        let change = log_ratio.f_expm1()?;
        let beyond = change.f_abs()?.f_gt(clip_ratio)?.f_mean(Kind::Float)?;
        Ok((change.f_sub(&log_ratio)?.f_mean(Kind::Float)?, beyond))
    })
}

/// The distillation loss `mean(sum_a q ln(q / pi))`, the Kullback-Leibler divergence of a policy with `logits`
/// `[n, actions]` from the probabilities `targets` `[n, actions]` of a teacher (Rusu et al. 2015, arXiv 1511.06295,
/// where `q` is a softmax of action values over a temperature).
///
/// ```
/// use coinop_agents::losses::distillation_loss;
/// use coinop_agents::tch::Tensor;
///
/// // A student that knows nothing: ln 2 minus the entropy of the teacher.
/// let loss = distillation_loss(&Tensor::from_slice2(&[[0.0f32, 0.0]]), &Tensor::from_slice2(&[[0.75f32, 0.25]]))?;
/// assert!((loss.double_value(&[]) - (2f64.ln() - 0.562_335)).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn distillation_loss(logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    assert_rows(logits, &[]);
    assert_eq!(logits.size(), targets.size(), "as many probabilities as logits");
    // Where q is 0, so is its part.
    let of_teacher = targets.f_xlogy(targets)?;
    let of_student = targets.f_mul(&logits.f_log_softmax(1, Kind::Float)?)?;
    of_teacher
        .f_sub(&of_student)?
        .f_sum_dim_intlist(1i64, false, Kind::Float)?
        .f_mean(Kind::Float)
}

/// The entropy `[n]`, in nats, of distributions given as log-probabilities `[n, actions]`.
///
/// Pass a log-softmax: the logarithm of a softmax that underflowed to 0 would be infinite.
///
/// ```
/// use coinop_agents::losses::entropy;
/// use coinop_agents::tch::Tensor;
///
/// let uniform = Tensor::from_slice(&[0.25f32.ln(); 4]).reshape([1, 4]);
/// assert!((entropy(&uniform)?.double_value(&[0]) - 4f64.ln()).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If the shape is wrong.
pub fn entropy(log_probabilities: &Tensor) -> Result<Tensor, TchError> {
    assert_rows(log_probabilities, &[]);
    log_probabilities
        .f_exp()?
        .f_mul(log_probabilities)?
        .f_sum_dim_intlist(1i64, false, Kind::Float)?
        .f_neg()
}

/// The log-probabilities `[n]` of actions `[n]` under the mixture `(1 - epsilon) policy + epsilon uniform` that chose
/// them.
///
/// ```
/// use coinop_agents::losses::mixture_log_probability;
/// use coinop_agents::tch::Tensor;
///
/// // A tenth of the time any of two actions: 0.9 * 0.8 + 0.1 / 2.
/// let policy = Tensor::from_slice(&[0.8f32.ln(), 0.2f32.ln()]).reshape([1, 2]);
/// let log = mixture_log_probability(&policy, &Tensor::from_slice(&[0i64]), &Tensor::from_slice(&[0.1f32]))?;
/// assert!((log.double_value(&[0]).exp() - 0.77).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails, for example because memory is exhausted.
///
/// # Panics
///
/// If a shape is wrong.
pub fn mixture_log_probability(
    log_probabilities: &Tensor,
    actions: &Tensor,
    epsilons: &Tensor,
) -> Result<Tensor, TchError> {
    assert_rows(log_probabilities, &[actions, epsilons]);
    let num_actions = log_probabilities.size()[1] as f64;
    let chosen = action_value(log_probabilities, actions)?;
    let from_policy = chosen.f_add(&epsilons.f_neg()?.f_log1p()?)?;
    let from_uniform = epsilons.f_div_scalar(num_actions)?.f_log()?;
    from_policy.f_logaddexp(&from_uniform)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(actual: &Tensor, expected: &[f64]) {
        let actual = actual.reshape([-1]);
        assert_eq!(actual.numel(), expected.len());
        for (i, expected) in expected.iter().enumerate() {
            let actual = actual.double_value(&[i as i64]);
            assert!(
                (actual - expected).abs() < 1e-5,
                "{actual} instead of {expected} at {i}"
            );
        }
    }

    #[test]
    fn a_clipped_value_loss_is_the_larger_of_both() {
        // Within the clip; beyond it towards the return, and away from it: there the whole error is the larger one.
        let [values, old, returns] =
            [[0.1f32, 0.5, -0.5], [0.0; 3], [1.0; 3]].map(|values| Tensor::from_slice(&values));
        let loss = clipped_value_loss(&values, &old, &returns, 0.2).unwrap();
        assert_near(&loss, &[(0.9f64.powi(2) + 0.8f64.powi(2) + 1.5f64.powi(2)) / 3.0]);
    }

    #[test]
    fn the_losses_are_those_of_their_equations() {
        let log = |p: f32| p.ln();
        let (new, old) = (
            Tensor::from_slice(&[log(0.5), log(0.5), log(0.2)]),
            Tensor::from_slice(&[log(0.25), log(0.25), log(0.25)]),
        );
        let advantages = Tensor::from_slice(&[2.0f32, -2.0, 1.0]);
        // -(2 ln .5 - 2 ln .5 + ln .2)/3.
        assert_near(&policy_gradient_loss(&new, &advantages).unwrap(), &[0.2f64.ln() / -3.0]);
        // Ratios 2, 2 and .8: min(4, 2.4), min(-4, -2.4), min(.8, .8); -(2.4 - 4 + .8)/3.
        let clipped = clipped_policy_loss(&new, &old, &advantages, 0.2).unwrap();
        assert_near(&clipped, &[0.8 / 3.0]);
        // (1 - ln 2) twice and -.2 - ln .8; two of three ratios are beyond .79 to 1.21.
        let change = |a, b, clip| {
            let (change, beyond) = policy_change(a, b, clip).unwrap();
            (change.double_value(&[]), beyond.double_value(&[]))
        };
        let (kl, beyond) = change(&new, &old, 0.21);
        let expected = (2.0 * (1.0 - 2f64.ln()) - 0.2 - 0.8f64.ln()) / 3.0;
        assert!(
            (kl - expected).abs() < 1e-6 && (beyond - 2.0 / 3.0).abs() < 1e-6,
            "{kl} {beyond}"
        );
        assert_eq!(change(&new, &new, 0.2), (0.0, 0.0));
        // (1 + 4 + 0)/3.
        let returns = Tensor::from_slice(&[1.0f32, -2.0, 3.0]);
        let values = Tensor::from_slice(&[0.0f32, 0.0, 3.0]);
        assert_near(&value_loss(&values, &returns).unwrap(), &[5.0 / 3.0]);
    }

    #[test]
    fn the_selected_action_is_evaluated_by_the_target_network() {
        let target = Tensor::from_slice2(&[[1.0f32, 2.0, 3.0], [9.0, 8.0, 7.0]]);
        let online = Tensor::from_slice2(&[[0.0f32, 5.0, 4.0], [1.0, 0.0, 2.0]]);
        assert_near(&next_value(&target, &online).unwrap(), &[2.0, 7.0]);
        assert_near(&next_value(&target, &target).unwrap(), &[3.0, 9.0]);
    }

    #[test]
    fn the_gradient_of_the_td_loss_is_the_weighted_error_within_the_clip() {
        let (targets, weights) = (
            Tensor::from_slice(&[0.0f32, 0.0, 0.0, 0.0]),
            Tensor::from_slice(&[1.0f32, 0.5, 0.25, 1.0]),
        );
        let gradient = |clip| {
            let values = Tensor::from_slice(&[0.5f32, -3.0, 2.0, 0.0]).set_requires_grad(true);
            let loss = td_loss(&values, &targets, &weights, clip).unwrap();
            loss.backward();
            (loss.double_value(&[]), values.grad())
        };
        // Half the squares .125, 4.5, 2, 0; beyond 1, |error| - 1/2: 2.5 and 1.5. A quarter of each, by its weight.
        let (loss, gradient_of_clipped) = gradient(Some(1.0));
        assert!((loss - (0.125 + 0.5 * 2.5 + 0.25 * 1.5) / 4.0).abs() < 1e-6, "{loss}");
        assert_near(&gradient_of_clipped, &[0.125, -0.125, 0.0625, 0.0]);
        let (loss, gradient_of_square) = gradient(None);
        assert!((loss - (0.125 + 0.5 * 4.5 + 0.25 * 2.0) / 4.0).abs() < 1e-6, "{loss}");
        assert_near(&gradient_of_square, &[0.125, -0.375, 0.125, 0.0]);
    }

    /// Numbers between 0 and 1.
    fn made_up(shape: [i64; 2], phase: f64) -> Tensor {
        let count = shape[0] * shape[1];
        let numbers = Tensor::arange(count, (Kind::Float, tch::Device::Cpu)) * 1.7 + phase;
        numbers.sin().square().reshape(shape)
    }

    #[test]
    fn a_projected_distribution_is_the_one_that_each_atom_is_shared_out_to() {
        let (n, k) = (5usize, 7usize);
        let atoms = Tensor::linspace(-1.5, 1.5, k as i64, (Kind::Float, tch::Device::Cpu));
        let probabilities = made_up([n as i64, k as i64], 0.3).softmax(1, Kind::Float);
        // Within the atoms, beyond either end, and the end of an episode on an atom.
        let (rewards, discounts) = ([0.2f32, 9.0, -9.0, 0.5, -0.4], [0.9f32, 0.9, 0.9, 0.0, 1.0]);
        let found = project_distribution(
            &probabilities,
            &Tensor::from_slice(&rewards),
            &Tensor::from_slice(&discounts),
            &atoms,
        )
        .unwrap();
        // Algorithm 1 of the paper, atom by atom.
        for row in 0..n {
            let mut expected = vec![0.0; k];
            for j in 0..k {
                let z = -1.5 + 0.5 * j as f64;
                let moved = (f64::from(rewards[row]) + f64::from(discounts[row]) * z).clamp(-1.5, 1.5);
                let b = ((moved + 1.5) / 0.5 * 1e6).round() / 1e6;
                let (lower, upper) = (b.floor(), b.ceil());
                let p = probabilities.double_value(&[row as i64, j as i64]);
                if lower == upper {
                    expected[lower as usize] += p;
                } else {
                    expected[lower as usize] += p * (upper - b);
                    expected[upper as usize] += p * (b - lower);
                }
            }
            assert_near(&found.get(row as i64), &expected);
        }
        // By hand: the whole mass is on the last atom, on the first one, and on the return 0.5.
        assert_near(&found.get(1), &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_near(&found.get(2), &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_near(&found.get(3), &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn the_gradient_of_the_categorical_loss_is_the_difference_of_the_distributions() {
        let logits = made_up([3, 4], 0.1).set_requires_grad(true);
        let targets = made_up([3, 4], 0.9).softmax(1, Kind::Float);
        let loss = categorical_loss(&logits, &targets).unwrap();
        loss.sum(Kind::Float).backward();
        let difference = logits.softmax(1, Kind::Float) - &targets;
        let off = (logits.grad() - difference).abs().max().double_value(&[]);
        assert!(off < 1e-6, "{off}");
    }

    #[test]
    fn the_quantile_loss_weights_errors_by_the_side_that_they_are_on() {
        let quantiles = Tensor::from_slice2(&[[0.0f32, 1.0]]).set_requires_grad(true);
        let targets = Tensor::from_slice2(&[[0.5f32, 3.0]]);
        let fractions = Tensor::from_slice2(&[[0.25f32, 0.75]]);
        // tau .25: errors .5 and 3: .25 (.125 + 2.5) / 2. tau .75: errors -.5 and 2: (.25 · .125 + .75 · 1.5) / 2.
        let loss = quantile_loss(&quantiles, &fractions, &targets, Some(1.0)).unwrap();
        assert_near(&loss, &[0.25 * 2.625 / 2.0 + (0.25 * 0.125 + 0.75 * 1.5) / 2.0]);
        loss.sum(Kind::Float).backward();
        // -weight · clipped error, on average: -.25 (.5 + 1) / 2, and -(.25 · -.5 + .75 · 1) / 2.
        assert_near(&quantiles.grad(), &[-0.187_5, -0.312_5]);
        // A larger threshold, divided by it: errors .5 and 3 cost .0625 and 2, errors -.5 and 2 .0625 and 1.
        let loss = quantile_loss(&quantiles, &fractions, &targets, Some(2.0)).unwrap();
        assert_near(&loss, &[0.25 * 2.062_5 / 2.0 + (0.25 * 0.062_5 + 0.75) / 2.0]);
        // None: the absolute errors.
        let loss = quantile_loss(&quantiles, &fractions, &targets, None).unwrap();
        assert_near(&loss, &[0.25 * 3.5 / 2.0 + (0.25 * 0.5 + 0.75 * 2.0) / 2.0]);
    }

    #[test]
    fn munchausens_targets_are_those_of_two_actions_by_hand() {
        // exp(2) / (exp(1) + exp(2)) = .731059, whose logarithm is -.313262; the other's is -1.313262, cut to -1.
        let values = Tensor::from_slice2(&[[1.0f32, 2.0], [1.0, 2.0]]);
        let bonus = munchausen_bonus(&values, &Tensor::from_slice(&[1i64, 0]), 0.9, 1.0, -1.0).unwrap();
        assert_near(&bonus, &[-0.9 * 0.313_262, -0.9]);
        let soft = soft_value(&values.unsqueeze(2), &values, 1.0).unwrap();
        // .268941 (1 + 1.313262) + .731059 (2 + .313262), which is ln(e + e²).
        assert_near(&soft, &[2.313_262, 2.313_262]);
        // In another way, with a small temperature: tau ln sum exp(q / tau).
        let values = made_up([5, 6], 0.4);
        let soft = soft_value(&values.unsqueeze(2), &values, 0.03).unwrap().squeeze_dim(1);
        let expected = (&values / 0.03).logsumexp([1i64], false) * 0.03;
        assert!((soft - expected).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn the_distribution_of_an_action_is_taken_from_those_of_all() {
        let all = Tensor::arange(12, (Kind::Float, tch::Device::Cpu)).reshape([2, 3, 2]);
        let chosen = action_distribution(&all, &Tensor::from_slice(&[2i64, 0])).unwrap();
        assert_near(&chosen, &[4.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    #[should_panic(expected = "the same number of samples")]
    fn a_shape_that_would_be_broadcast_is_refused() {
        let _ = value_loss(&Tensor::from_slice(&[1.0f32, 2.0, 3.0]), &Tensor::from_slice(&[1.0f32]));
    }

    #[test]
    fn entropy_is_ln_n_for_equal_logits_and_0_with_a_gradient_of_0_for_certain_ones() {
        let logits = Tensor::from_slice2(&[[3.0f32, 3.0, 3.0, 3.0], [0.0, 1000.0, 0.0, 0.0]]).set_requires_grad(true);
        let entropy = entropy(&logits.log_softmax(1, Kind::Float)).unwrap();
        assert_near(&entropy, &[4f64.ln(), 0.0]);
        entropy.sum(Kind::Float).backward();
        assert_eq!(logits.grad().abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn the_mixture_of_certainty_and_chance() {
        // p = 1/4 each: (1 - e)/4 + e/4 = 1/4 whatever e; p = 0 (almost): e/2.
        let log_probabilities = Tensor::from_slice2(&[[0.5f32.ln(), 0.5f32.ln()], [0.0, -100.0], [0.0, -100.0]]);
        let actions = Tensor::from_slice(&[0i64, 1, 0]);
        let result =
            mixture_log_probability(&log_probabilities, &actions, &Tensor::from_slice(&[0.3f32, 0.2, 0.0])).unwrap();
        assert_near(&result, &[0.5f64.ln(), 0.1f64.ln(), 0.0]);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        for epsilon in [0.0f32, 0.1, 1.0] {
            let value = |logits: &Tensor| {
                let log_probabilities = logits.log_softmax(1, Kind::Float);
                mixture_log_probability(
                    &log_probabilities,
                    &Tensor::from_slice(&[2i64]),
                    &Tensor::from_slice(&[epsilon]),
                )
                .unwrap()
                .sum(Kind::Float)
            };
            let base = [0.3f32, -0.2, 0.1];
            let logits = Tensor::from_slice(&base).reshape([1, 3]).set_requires_grad(true);
            value(&logits).backward();
            for i in 0..3 {
                let at = |delta: f32| {
                    let mut moved = base;
                    moved[i] += delta;
                    value(&Tensor::from_slice(&moved).reshape([1, 3])).double_value(&[])
                };
                let expected = (at(0.01) - at(-0.01)) / 0.02;
                let actual = logits.grad().double_value(&[0, i as i64]);
                assert!(
                    (actual - expected).abs() < 1e-3,
                    "{actual} instead of {expected} for epsilon {epsilon}"
                );
            }
        }
    }
}
