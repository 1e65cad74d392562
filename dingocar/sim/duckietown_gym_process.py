"""The process that gym-duckietown runs in: `python -m dingocar.sim.duckietown_gym_process FD`.

It answers questions that come over a socket: (name, arguments) of what `DuckietownWorld` can do. The answers
are ("ok", result), or ("refused", error's class, message), or ("failed", what happened).
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from typing import Any

from dingocar.errors import DingocarError


def serve(connection: Connection) -> None:
    """Makes the world of the first message and answers until the other side is gone."""
    from dingocar.sim.duckietown_gym_world import DuckietownWorld

    world: DuckietownWorld | None = None
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):
            return
        answer: tuple[Any, ...]
        try:
            if world is None:
                world = DuckietownWorld(*arguments)
                answer = ("ok", (world.state, world.tiles, world.tile_size_m, world.road))
            else:
                answer = ("ok", getattr(world, name)(*arguments))
        except DingocarError as error:
            answer = ("refused", type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - whatever their packages raise, it is told
            answer = ("failed", f"{type(error).__name__}: {error}")
        connection.send(answer)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
