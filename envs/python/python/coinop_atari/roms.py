"""Where ROMs are looked for."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def folders(roms: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folders with ROMs, named like ``pong.bin``, in the order in which they are looked into.

    Args:
        roms: A folder. Without one, the folder that the environment variable ``COINOP_ROMS`` names, and that of an
            installed ``ale_py``, which is not imported.
    """
    if roms is not None:
        return [Path(roms)]
    found = []
    if os.environ.get("COINOP_ROMS"):
        found.append(Path(os.environ["COINOP_ROMS"]))
    try:
        spec = importlib.util.find_spec("ale_py")
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.submodule_search_locations:
        found += [Path(place) / "roms" for place in spec.submodule_search_locations]
    return found
