"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) in one file, on ``AtariVectorEnv``.

    pip install coinop-atari ale-py torch
    python examples/ppo.py --game pong --frames 2000000

The defaults are for Pong: 32 environments, rollouts of 32 steps whose samples are learned from up to 8 times, and
pixels that are compared with their means.
"""

import argparse
import time
from collections import deque

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

from coinop_atari import AtariVectorEnv

FRAMES_PER_STEP = 4


def layer(module: nn.Module, gain: float = 2**0.5) -> nn.Module:
    nn.init.orthogonal_(module.weight, gain)
    nn.init.zeros_(module.bias)
    return module


class Agent(nn.Module):
    """The network of A3C (Mnih et al. 2016, arXiv 1602.01783) with a policy and a value."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        # What never changes on the screen is 0 to the network once the means are known.
        self.register_buffer("means", torch.zeros(4, 84, 84))
        self.body = nn.Sequential(
            layer(nn.Conv2d(4, 16, 8, stride=4)),
            nn.ReLU(),
            layer(nn.Conv2d(16, 32, 4, stride=2)),
            nn.ReLU(),
            nn.Flatten(),
            layer(nn.Linear(32 * 9 * 9, 256)),
            nn.ReLU(),
        )
        self.policy = layer(nn.Linear(256, actions), 0.01)
        self.value = layer(nn.Linear(256, 1), 1.0)

    def forward(self, obs: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        features = self.body((obs.float() - self.means) / 255)
        return Categorical(logits=self.policy(features)), self.value(features).squeeze(-1)


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--game", default="pong")
    parser.add_argument("--frames", type=int, default=2_000_000, help="emulator frames, four for each step")
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--rollout", type=int, default=32, help="steps of each environment between two updates")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="falls linearly to 0")
    parser.add_argument("--clip", type=float, default=0.2)
    parser.add_argument("--target-kl", type=float, default=0.1, help="ends an update's epochs early")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    gamma, gae_lambda, entropy_weight, value_weight, max_grad_norm = 0.99, 0.95, 0.01, 0.5, 0.5

    torch.manual_seed(args.seed)
    envs = AtariVectorEnv(args.game, args.envs, protocol="sb3")
    agent = Agent(int(envs.single_action_space.n))
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    shape = (args.rollout, args.envs)
    obs = torch.zeros((*shape, 4, 84, 84), dtype=torch.uint8)
    actions = torch.zeros(shape, dtype=torch.int64)
    log_probs, values, rewards = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
    terminated, ended = torch.zeros(shape), torch.zeros(shape)
    # A step after the end of an episode only begins the next one (Gymnasium's NEXT_STEP): it is no sample.
    begins = torch.zeros(shape, dtype=torch.bool)

    updates = args.frames // (FRAMES_PER_STEP * args.envs * args.rollout)
    returns, scores = np.zeros(args.envs), deque(maxlen=30)
    next_obs = torch.from_numpy(envs.reset(seed=args.seed)[0])
    next_begins = torch.zeros(args.envs, dtype=torch.bool)
    started = time.monotonic()
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / updates)
        for t in range(args.rollout):
            obs[t], begins[t] = next_obs, next_begins
            with torch.no_grad():
                policy, values[t] = agent(next_obs)
                actions[t] = policy.sample()
                log_probs[t] = policy.log_prob(actions[t])
            new_obs, reward, term, trunc, info = envs.step(actions[t].numpy())
            next_obs = torch.from_numpy(new_obs)
            rewards[t], terminated[t], ended[t] = map(torch.from_numpy, (reward, term, term | trunc))
            next_begins = ended[t].bool()
            returns += reward
            # With the protocol "sb3" a lost life ends an episode; the game is over when no life is left.
            for i in np.flatnonzero((term | trunc) & (info["lives"] == 0)):
                scores.append(returns[i])
                returns[i] = 0

        if update == 0:
            # The first rollout is only for the means: its probabilities are not those of the network with them.
            agent.means.copy_(obs.float().mean(dim=(0, 1)))
            continue
        # Generalised advantage estimation (Schulman et al. 2015, arXiv 1506.02438, equation 16). A truncated episode
        # is followed by its last observation, whose value is bootstrapped from.
        with torch.no_grad():
            next_value = agent(next_obs)[1]
        advantages, advantage = torch.zeros(shape), torch.zeros(args.envs)
        for t in reversed(range(args.rollout)):
            delta = rewards[t] + gamma * (1 - terminated[t]) * next_value - values[t]
            advantage = delta + gamma * gae_lambda * (1 - ended[t]) * advantage
            advantages[t], next_value = advantage, values[t]
        targets = advantages + values

        samples = (~begins).flatten().nonzero().squeeze(-1)
        flat = [x.flatten(0, 1) for x in (obs, actions, log_probs, advantages, targets)]
        kl = 0.0
        for _ in range(args.epochs):
            if kl > args.target_kl:
                break
            for batch in samples[torch.randperm(len(samples))].chunk(args.minibatches):
                o, a, old_log_probs, adv, target = (x[batch] for x in flat)
                policy, value = agent(o)
                log_ratio = policy.log_prob(a) - old_log_probs
                ratio = log_ratio.exp()
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
                policy_loss = -torch.min(adv * ratio, adv * ratio.clamp(1 - args.clip, 1 + args.clip)).mean()
                value_loss = 0.5 * (target - value).square().mean()
                loss = policy_loss + value_weight * value_loss - entropy_weight * policy.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), max_grad_norm)
                optimizer.step()
                kl = (ratio - 1 - log_ratio).mean().item()

        if (update + 1) % 20 == 0 or update + 1 == updates:
            frames = (update + 1) * FRAMES_PER_STEP * args.envs * args.rollout
            seconds = time.monotonic() - started
            score = f"{np.mean(scores):.1f}" if scores else "none yet"
            print(f"{frames:>9,} frames  {seconds:6.0f} s  mean score of the last {len(scores)} games: {score}", flush=True)
    envs.close()


if __name__ == "__main__":
    main()
