"""List what there is: pilots, tracks, looks, parts, methods, translators, templates, commands, parameters

Usage:
    dingocar list [KIND] [--json]

KIND is pilots, tracks, looks, parts, methods (of domain adaptation), translators, templates, commands or
parameters (of a randomisation); without it all their names are shown.
A car folder's own entries are listed too.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import asdict

from dingocar.cli._common import parse, show
from dingocar.errors import UnknownNameError
from dingocar.registry import Registry

#: The kind whose entries are no files.
PARAMETERS = "parameters"


def registries() -> dict[str, Registry]:
    """Maps each kind's plural to its registry; nothing is imported."""
    from dingocar.adapt import methods
    from dingocar.cli.main import commands
    from dingocar.parts import parts
    from dingocar.sim.look import looks
    from dingocar.sim.track import tracks
    from dingocar.templates import templates
    from dingocar.translate import translators
    from dingocar.zoo import pilots

    return {
        f"{each.kind}s": each
        for each in (pilots, tracks, looks, parts, methods, translators, templates, commands)
    }


def run(argv: list[str]) -> int:
    from dingocar.sim.parameters import parameters

    args = parse(__doc__, argv, "dingocar list")
    known, kind = registries(), args["KIND"]
    if kind is None:
        names = {kind: registry.names() for kind, registry in known.items()}
        names[PARAMETERS] = list(parameters())
        show(names, args["--json"], "\n".join(_names(kind, those) for kind, those in names.items()))
    elif kind == PARAMETERS:
        made = parameters()
        entries = {name: f"{each.within:<18}  {each.meaning}" for name, each in made.items()}
        show({name: asdict(each) for name, each in made.items()}, args["--json"], _table(entries))
    elif kind in known:
        entries = known[kind].summaries()
        show(entries, args["--json"], _table(entries))
    else:
        raise UnknownNameError("kind", kind, [*known, PARAMETERS])
    return 0


def _table(entries: dict[str, str]) -> str:
    width = max(map(len, entries), default=0)
    return "\n".join(f"{name:<{width}}  {doc}" for name, doc in entries.items())


def _names(kind: str, names: Iterable[str]) -> str:
    """A kind's names, in lines that are not too long."""
    return textwrap.fill(
        ", ".join(names),
        100,
        initial_indent=f"{kind:<12}",
        subsequent_indent=12 * " ",
        break_on_hyphens=False,
    )
