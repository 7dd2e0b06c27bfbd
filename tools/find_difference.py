"""Finds where coinop-atari first differs from ale-py, on a trace of `tools/record_traces.py`.

    pip install ale-py==0.12.1 && cargo build --release
    python tools/find_difference.py GAME STREAM SEED STICKY FRAME_SKIP ACTS    # e.g. phoenix fire 13 0 1 3000

Prints the first act after which something differs, and what: frame number, reward, lives, end; bytes of memory; pixels of the screen. With
each byte and each pixel comes the instruction of ours that wrote it: the last one of the frame to change that byte, or to write to the television
chip before the beam came to that pixel.
Traces that reset in between are compared up to the end of their first episode.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import record_traces

PROGRAM = Path(__file__).parent.parent / "target/release/coinop"


def ours(game, seed, sticky, frame_skip, actions, folder):
    """Rows of the trace, memory and screen at its end, and what was written in its last frame."""
    (folder / "actions.txt").write_text("\n".join(map(str, actions)))
    command = [PROGRAM, "atari", "trace", game, "--actions", folder / "actions.txt", "--dump", folder / "dump.bin"]
    command += ["--writes", folder / "writes.csv"]
    command += ["--seed", str(seed), "--sticky", str(sticky), "--frame-skip", str(frame_skip)]
    rows = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROGRAM.parent).stdout.splitlines()[1:]
    writes = [row.split(",") for row in (folder / "writes.csv").read_text().splitlines()[1:]]
    return rows, (folder / "dump.bin").read_bytes(), writes


def writer(writes, is_meant):
    """The last of the writes that is meant, in words."""
    meant = [write for write in writes if is_meant(int(write[0], 16), (int(write[4]), int(write[5])))]
    if not meant:
        return "not written in this frame"
    address, pc, instruction, cycle, line, pixel = meant[-1]
    return f"written by {instruction} at {pc} (to ${address}, cycle {cycle}, line {line}, pixel {pixel})"


def main(game, kind, seed, sticky, frame_skip, acts):
    seed, sticky, frame_skip = int(seed), float(sticky), int(frame_skip)
    ale = record_traces.load(game, seed, sticky, frame_skip)
    minimal = [action.value for action in ale.getMinimalActionSet()]
    actions = record_traces.stream(kind, seed, minimal, int(acts))
    theirs = [row.rstrip() for row in record_traces.rows(ale, actions)]
    over = next((at for at, row in enumerate(theirs) if row.split(",")[4] == "1"), len(theirs) - 1)
    theirs, actions = theirs[: over + 1], actions[: over + 1]
    with tempfile.TemporaryDirectory() as folder:
        rows, _, _ = ours(game, seed, sticky, frame_skip, actions, Path(folder))
        first = next((at for at, pair in enumerate(zip(theirs, rows)) if pair[0] != pair[1]), None)
        if first is None:
            print(f"{len(theirs)} acts, no difference")
            return
        _, dump, writes = ours(game, seed, sticky, frame_skip, actions[: first + 1], Path(folder))
    names = ["frame number", "action", "reward", "lives", "end"]
    print(f"act {first}:")
    for name, their, our in zip(names, theirs[first].split(","), rows[first].split(",")):
        if their != our:
            print(f"  {name}: {our}, ale-py {their}")
    ale = record_traces.load(game, seed, sticky, frame_skip)
    for action in actions[: first + 1]:
        ale.act(action)
    for at, (their, our) in enumerate(zip(ale.getRAM().tobytes(), dump)):
        if their != our:
            by = writer(writes, lambda address, beam: address == 0x80 + at)
            print(f"  memory ${0x80 + at:02X}: {our:02X}, ale-py {their:02X}; {by}")
    for at, (their, our) in enumerate(zip(ale.getScreen().tobytes(), dump[128:])):
        if their != our:
            by = writer(writes, lambda address, beam: address < 0x80 and beam <= divmod(at, 160))
            print(f"  line {at // 160}, pixel {at % 160}: {our:02X}, ale-py {their:02X}; {by}")


if __name__ == "__main__":
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    main(*sys.argv[1:])
