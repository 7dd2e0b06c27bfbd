"""Records what ale-py does, for the tests of coinop-atari.

    pip install ale-py==0.12.1
    python tools/record_traces.py [GAME...]                        # rewrites envs/atari/tests/golden/GAME.csv, by default of all games
    python tools/record_traces.py --trace pong minimal 1 0.25 4 1000  # prints one trace in full, as `coinop atari trace` would
    python tools/record_traces.py --actions minimal pong 1 1000    # prints its actions, for `coinop atari trace --actions`

A golden file has a row per trace: stream, seed, sticky, frame_skip, mode, difficulty, acts, and CRC-32 sums of its text after every 250
acts (each sum goes on from the one before), so that a difference is found within 250 rows. The stream `resets` is a reset and one act
without action, again and again.
"""

import sys
import zlib
from itertools import product
from multiprocessing import Pool
from pathlib import Path

import ale_py
import ale_py.roms

# Games that ale-py has a ROM of but no rules for.
UNSUPPORTED = {"combat", "joust", "maze_craze", "warlords"}
FOLDER = Path(__file__).parent.parent / "envs/atari/tests/golden"
BLOCK = 250
STREAMS = ["minimal", "all", "holds", "fire"]
STICKY = [0.0, 0.25]
ACTS = {1: 3000, 4: 1500}  # by frame skip
MODE_ACTS = 300
RESETS = 20


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
    if difficulty in ale.getAvailableDifficulties():  # 0 is every game's default, but not in every list
        ale.setDifficulty(difficulty)
    ale.reset_game()
    return ale


def rows(ale, actions, reset=True):
    """The lines of a trace, without the header."""
    for action in actions:
        reward = ale.act(action)
        ram, screen = zlib.crc32(ale.getRAM().tobytes()), zlib.crc32(ale.getScreen().tobytes())
        terminal = ale.game_over()
        yield f"{ale.getFrameNumber()},{action},{reward},{ale.lives()},{int(terminal)},{ram:08x},{screen:08x}\n"
        if terminal and reset:
            ale.reset_game()


def reset_rows(ale, times):
    for _ in range(times):
        ale.reset_game()
        yield from rows(ale, [0], reset=False)


def golden(game):
    ale = load(game)
    minimal = [action.value for action in ale.getMinimalActionSet()]
    cases = [(*case, None, 0, ACTS[case[-1]]) for case in product(STREAMS, STICKY, ACTS)]
    cases += [("minimal", 0.0, 1, *case, MODE_ACTS) for case in product(ale.getAvailableModes(), ale.getAvailableDifficulties())]
    cases.append(("resets", 0.0, 1, None, 0, RESETS))
    for seed, (kind, sticky, frame_skip, mode, difficulty, acts) in enumerate(cases, 1):
        ale = load(game, seed, sticky, frame_skip, mode, difficulty)
        played = reset_rows(ale, acts) if kind == "resets" else rows(ale, stream(kind, seed, minimal, acts))
        crc, sums = 0, []
        for index, row in enumerate(played, 1):
            crc = zlib.crc32(row.encode(), crc)
            if index % BLOCK == 0 or index == acts:
                sums.append(f"{crc:08x}")
        mode = "" if mode is None else mode
        yield f"{kind},{seed},{sticky},{frame_skip},{mode},{difficulty},{acts},{' '.join(sums)}\n"


def record(game):
    (FOLDER / f"{game}.csv").write_text("".join(golden(game)))
    return game


def main(arguments):
    if arguments[:1] == ["--actions"]:
        kind, game, seed, acts = arguments[1], arguments[2], int(arguments[3]), int(arguments[4])
        minimal = [action.value for action in load(game).getMinimalActionSet()]
        print(*stream(kind, seed, minimal, acts), sep="\n")
    elif arguments[:1] == ["--trace"]:
        game, kind, seed, sticky, frame_skip, acts = arguments[1:]
        ale = load(game, int(seed), float(sticky), int(frame_skip))
        minimal = [action.value for action in ale.getMinimalActionSet()]
        print("frame,action,reward,lives,terminal,ram_crc32,screen_crc32")
        sys.stdout.writelines(rows(ale, stream(kind, int(seed), minimal, int(acts))))
    else:
        FOLDER.mkdir(parents=True, exist_ok=True)
        games = arguments or sorted(set(ale_py.roms.get_all_rom_ids()) - UNSUPPORTED)
        with Pool() as pool:
            for game in pool.imap(record, games):
                print(game, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
