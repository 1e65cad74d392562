"""Measure how far looks and recordings are from each other

Usage:
    dingocar sim gap [--tub DIR]... [--look NAME]... [--frames N] [--track NAME] [--seed N] [--json]

For each pair: how often a classifier tells the two apart on blocks it was not trained on (chance is 50 %),
the proxy A-distance (0 to 2), and a kernel distance (0: alike), with 95 % intervals. As a floor a half of
each set's blocks is compared with the other half. The look flat is also compared in each recording's own
colours, and a classifier of a recording and flat is asked what it takes the others for.

Options:
    --tub DIR      a recording; may be given several times
    --look NAME    a look; may be given several times; without any: flat and photo
    --frames N     pictures of each recording or look [default: 400]
    --track NAME   where the looks are driven [default: circuit]
    --seed N       draws episodes, folds and intervals [default: 0]
    --json         print one JSON object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingocar.cli._common import Progress, number, parse, path, show

if TYPE_CHECKING:
    from dingocar.evaluate.domain_gap import Gap, Verdict


def run(argv: list[str]) -> int:
    from dingocar.errors import UsageError
    from dingocar.evaluate.domain_gap import Comparison
    from dingocar.evaluate.pictures import BLOCKS, from_look, from_tub, histogram_matched
    from dingocar.sim.look import load_look

    args = parse(__doc__, argv, "dingocar sim gap")
    frames = number(args["--frames"], "--frames", low=2 * BLOCKS, high=10_000)
    seed = number(args["--seed"], "--seed", low=0, high=10**6)
    names = list(dict.fromkeys(args["--look"] or ["flat", "photo"]))
    if len(names) + len(args["--tub"]) < 2:
        twice = ", given more than once," if len(args["--look"]) > 1 else " alone"
        raise UsageError(
            f"sim gap: --look {names[0]}{twice} has nothing to be compared with; give another --look or --tub"
        )
    for name in names:
        load_look(name)  # a mistake is told before anything is drawn
    tubs = [from_tub(path(tub, "--tub"), frames) for tub in args["--tub"]]
    with Progress(frames * len(names), "taking pictures", "picture") as progress:
        taken = []
        for done, look in enumerate(names):
            before = done * frames
            taken.append(
                from_look(
                    *(look, frames),
                    track=args["--track"],
                    seed=seed,
                    on_progress=lambda now, before=before: progress.at(before + now),  # type: ignore[misc]
                )
            )
    matched = [
        (index, histogram_matched(look, tub))
        for index, tub in enumerate(tubs)
        for look in taken
        if look.name == "flat"
    ]
    comparison = Comparison([*tubs, *taken], matched, seed)
    gaps = comparison.gaps()
    verdicts = []
    if "flat" in names:
        flat, everything = len(tubs) + names.index("flat"), len(tubs) + len(names)
        verdicts = [
            comparison.verdict(tub, flat, asked)
            for tub in range(len(tubs))
            for asked in range(everything)
            if asked not in (tub, flat)
        ]
    figures = {
        "frames": frames,
        "seed": seed,
        "gaps": [gap.to_json() for gap in gaps],
        "verdicts": [verdict.to_json() for verdict in verdicts],
    }
    show(figures, args["--json"], table(gaps, verdicts))
    return 0


def table(gaps: list[Gap], verdicts: list[Verdict]) -> str:
    """The figures for people."""
    wide = max(len(f"{gap.one} | {gap.other}") for gap in gaps)
    rows = [f"{'':<{wide}}  told apart            A-distance  kernel distance"]
    for gap in gaps:
        rows.append(
            f"{f'{gap.one} | {gap.other}':<{wide}}  {gap.accuracy:4.0%} ({gap.accuracy_low:4.0%} to "
            f"{gap.accuracy_high:4.0%})  {gap.a_distance:10.2f}  {gap.kid:.3f} ({gap.kid_low:.3f} to "
            f"{gap.kid_high:.3f})"
        )
    rows += [
        f"a classifier of {said.one} | {said.other} takes {said.share:.0%} of {said.asked} for {said.one}"
        for said in verdicts
    ]
    return "\n".join(rows)
