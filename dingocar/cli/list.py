"""List what there is: pilots, tracks, looks, parts, templates, commands

Usage:
    dingocar list KIND [--json]

KIND is pilots, tracks, looks, parts, templates or commands. A car folder's own entries are listed too.
"""

from __future__ import annotations

from dingocar.cli._common import parse, show
from dingocar.errors import UnknownNameError
from dingocar.registry import Registry


def registries() -> dict[str, Registry]:
    """Maps each kind's plural to its registry; nothing is imported."""
    from dingocar.cli.main import commands
    from dingocar.parts import parts
    from dingocar.sim.look import looks
    from dingocar.sim.track import tracks
    from dingocar.templates import templates
    from dingocar.zoo import pilots

    return {f"{each.kind}s": each for each in (pilots, tracks, looks, parts, templates, commands)}


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar list")
    known = registries()
    kind = args["KIND"]
    if kind not in known:
        raise UnknownNameError("kind", kind, known)
    entries = known[kind].summaries()
    width = max(map(len, entries), default=0)
    show(entries, args["--json"], "\n".join(f"{name:<{width}}  {doc}" for name, doc in entries.items()))
    return 0
