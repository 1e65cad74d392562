"""`dingocar train`: how a pilot is adapted from simulated to real pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dingocar.cli import _common
from dingocar.errors import UsageError

if TYPE_CHECKING:
    from dingocar.training.domains import Adaptation
    from dingocar.zoo import Pilot

#: What settings of the method start with on the command line.
PREFIX = "adapt."
#: What `--adapt auto` also sets of a pilot that has such a setting, unless the user does.
RECOMMENDED_OF_PILOT = {"standardise": "true"}
#: What tells the domains apart, and what the kinds of pictures are called.
TOLD_BY = {"method": "its own classifier", "probe": "a fresh linear classifier"}
WORDS = {
    "sim": "simulated",
    "real_labelled": "real with labels",
    "real_unlabelled": "real without labels",
}


def split_settings(values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Takes `--set` assignments apart: the method's, without their prefix, and the others."""
    of_method = {name.removeprefix(PREFIX): text for name, text in values.items() if name.startswith(PREFIX)}
    return of_method, {name: text for name, text in values.items() if not name.startswith(PREFIX)}


def pilot_settings(args: Mapping[str, Any], kind: str, values: dict[str, str]) -> dict[str, str]:
    """Settings as text, with those of the pilot of this type that go with the recommended method."""
    from dingocar.training.domains import AUTO
    from dingocar.zoo import pilots

    if args["--adapt"] != AUTO:
        return values
    known = {field.name for field in dataclasses.fields(pilots.load(kind).settings_type)}
    more = {name: text for name, text in RECOMMENDED_OF_PILOT.items() if name in known and name not in values}
    for name, text in more.items():
        _common.note(f"--adapt auto also sets {name}={text}; --set {name}= sets it otherwise")
    return values | more


def adaptation(args: Mapping[str, Any], values: Mapping[str, str], pilot: Pilot) -> Adaptation | None:
    """What the options ask for; None: no adaptation.

    Args:
        args: the command's arguments.
        values: settings of the method as text.
        pilot: whose type may bring an adaptation along.

    Raises:
        UsageError: options that do nothing without `--adapt`, or do not fit.
        UnknownNameError: there is no such method, or it has no such setting.
        TrainingError: there is no such selection, or a setting does not fit.
    """
    from dingocar.settings import literal
    from dingocar.training.domains import Adaptation, own_adaptation

    more: dict[str, Any] = {"settings": {name: literal(text) for name, text in values.items()}}
    if args["--unlabelled"]:
        more["unlabelled"] = [_common.path(text, "--unlabelled") for text in args["--unlabelled"]]
    if args["--real-labels"] is not None:
        more["real_labels"] = _common.number(args["--real-labels"], "--real-labels", low=0)
    if args["--select"] is not None:
        more["select"] = args["--select"]
    name = args["--adapt"]
    own = own_adaptation(pilot, **more)
    its_own = name is None or (own is not None and name == own.method)
    made = own if its_own else Adaptation(name, **more)
    if made is None:
        _nothing_without(args, values)
        return None
    method = made.load_method()  # what is mistyped is told before keras is imported
    features = method.trains_on_target and not method.needs_target_labels
    if features and not its_own and not getattr(pilot.settings, "standardise", True):
        _common.note(
            f"{pilot.name} sees pictures as they are; methods like {method.name} do far better with "
            "--set standardise=true, see docs/adaptation.md"
        )
    return made


def _nothing_without(args: Mapping[str, Any], values: Mapping[str, str]) -> None:
    """Raises a `UsageError` if an option was given that needs `--adapt`."""
    given = [
        f"{name}" for name in ("--unlabelled", "--real-labels", "--select") if args[name] not in (None, [])
    ]
    given += [f"--set {PREFIX}{name}" for name in values]
    if given:
        raise UsageError(
            f"{given[0]} does nothing without --adapt NAME: name a method, or take the recommended one with "
            "--adapt auto"
        )


def adaptation_text(figures: Mapping[str, Any]) -> list[str]:
    """The result's adaptation as lines for people."""
    found = figures["adaptation"]
    if found is None:
        return []
    counts = ", ".join(f"{count} {WORDS[kind]}" for kind, count in found["frames"].items() if count)
    lines = [f"adapted by {found['method']}: {counts}; epoch kept by {found['select']}"]
    if "domain_accuracy" in found:
        by, accuracy = TOLD_BY[found["told_by"]], found["domain_accuracy"]
        lines.append(
            f"domains told apart by {by}: {accuracy:.0%} (50% is chance), "
            f"entanglement {found['entanglement']:.2f} of {found['entanglement_most']:.2f}"
        )
    if "probe_accuracy" in found:
        lines[-1] += f"; by a fresh one with a hidden layer: {found['probe_accuracy']:.0%}"
    return lines
