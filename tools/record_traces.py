"""Records what ale-py does, for the tests of coinop-atari.

    pip install ale-py==0.12.1
    python tools/record_traces.py                                  # rewrites envs/atari/tests/golden/*.csv
    python tools/record_traces.py pong minimal 1 0.25 4 1000       # prints one trace in full, as `coinop atari trace` would
    python tools/record_traces.py --actions minimal pong 1 1000    # prints its actions, for `coinop atari trace --actions`

A golden file has a row per trace: stream, seed, sticky, frame_skip, mode, difficulty, and CRC-32 sums of its text after every 250 acts
(each sum goes on from the one before), so that a difference is found within 250 rows.
"""

import sys
import zlib
from pathlib import Path

import ale_py

GAMES = "pong breakout space_invaders seaquest qbert ms_pacman beam_rider montezuma_revenge".split()
BLOCK = 250
CASES = [  # stream, seed, sticky, frame_skip, acts
    ("minimal", 1, 0.0, 1, 4000),
    ("all", 2, 0.25, 1, 3000),
    ("holds", 3, 0.0, 4, 2000),
    ("fire", 4, 0.25, 4, 2000),
]


class Lcg:
    """Knuth's MMIX generator; the tests have the same one."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n


def stream(kind, seed, minimal, acts):
    """A list of actions: uniform over the minimal set or all 18, held for up to 60 acts, or every other one FIRE."""
    random = Lcg(seed)
    actions = []
    while len(actions) < acts:
        if kind == "minimal":
            actions.append(minimal[random.below(len(minimal))])
        elif kind == "all":
            actions.append(random.below(18))
        elif kind == "holds":
            action = random.below(18)
            actions += [action] * (1 + random.below(60))
        elif kind == "fire":
            actions.append(1 if random.below(2) else random.below(18))
        else:
            raise SystemExit(f"unknown stream {kind}: minimal, all, holds or fire")
    return actions[:acts]


def load(game, seed=0, sticky=0.0, frame_skip=1, mode=None, difficulty=0):
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setFloat("repeat_action_probability", sticky)
    ale.setInt("frame_skip", frame_skip)
    ale.loadROM(ale_py.roms.get_rom_path(game))
    if mode is not None:
        ale.setMode(mode)
    ale.setDifficulty(difficulty)
    ale.reset_game()
    return ale


def rows(ale, actions):
    """The lines of a trace, without the header."""
    for action in actions:
        reward = ale.act(action)
        ram, screen = zlib.crc32(ale.getRAM().tobytes()), zlib.crc32(ale.getScreen().tobytes())
        terminal = ale.game_over()
        yield f"{ale.getFrameNumber()},{action},{reward},{ale.lives()},{int(terminal)},{ram:08x},{screen:08x}\n"
        if terminal:
            ale.reset_game()


def golden(game):
    minimal = [action.value for action in load(game).getMinimalActionSet()]
    modes = load(game).getAvailableModes()
    difficulties = load(game).getAvailableDifficulties()
    cases = [(*case, None, 0) for case in CASES]
    if len(modes) > 1 or len(difficulties) > 1:
        cases.append(("minimal", 5, 0.0, 1, 1000, modes[-1], difficulties[-1]))
    for kind, seed, sticky, frame_skip, acts, mode, difficulty in cases:
        crc, sums = 0, []
        ale = load(game, seed, sticky, frame_skip, mode, difficulty)
        for index, row in enumerate(rows(ale, stream(kind, seed, minimal, acts)), 1):
            crc = zlib.crc32(row.encode(), crc)
            if index % BLOCK == 0:
                sums.append(f"{crc:08x}")
        yield f"{kind},{seed},{sticky},{frame_skip},{'' if mode is None else mode},{difficulty},{' '.join(sums)}\n"


def main(arguments):
    if arguments[:1] == ["--actions"]:
        kind, game, seed, acts = arguments[1], arguments[2], int(arguments[3]), int(arguments[4])
        minimal = [action.value for action in load(game).getMinimalActionSet()]
        print(*stream(kind, seed, minimal, acts), sep="\n")
    elif arguments:
        game, kind, seed, sticky, frame_skip, acts = arguments
        ale = load(game, int(seed), float(sticky), int(frame_skip))
        minimal = [action.value for action in ale.getMinimalActionSet()]
        print("frame,action,reward,lives,terminal,ram_crc32,screen_crc32")
        sys.stdout.writelines(rows(ale, stream(kind, int(seed), minimal, int(acts))))
    else:
        folder = Path(__file__).parent.parent / "envs/atari/tests/golden"
        folder.mkdir(parents=True, exist_ok=True)
        for game in GAMES:
            (folder / f"{game}.csv").write_text("".join(golden(game)))
            print(game)


main(sys.argv[1:])
