"""Shows what is in a tub, checks and repairs it, deletes records, imports other recordings.

Usage:
    dingocar tub info PATH [--json]
    dingocar tub check PATH [--fix] [--json]
    dingocar tub clean PATH [--yes] [--json]
    dingocar tub delete PATH RECORDS [--json]
    dingocar tub restore PATH RECORDS [--json]
    dingocar tub domain PATH DOMAIN [--force] [--json]
    dingocar tub import SOURCE --tub DIR [--format NAME] [--domain NAME] [--shape HxW] [--rate HZ]
                        [--cameras WHICH] [--side-steering X] [--as-logged] [--json]

Commands:
    info     Counts, sessions, channels, steering and throttle, duration, size, problems.
    check    Verifies the manifests, every line and every picture. Exit code 1 if anything is wrong.
    clean    Frees the room of pictures that no live record lists. Without --yes it only counts them.
    delete   Marks records as deleted: they are left out from now on, their files stay.
    restore  Brings deleted records back.
    domain   Writes into the tub whether its pictures are simulated or real: what is adapted from one to
             the other must know.
    import   Makes a new tub of another program's recording: Duckietown's train.log, a folder with Udacity's
             driving_log.csv, a folder of pictures with labels.csv or labels.jsonl, or without labels.

Arguments:
    PATH     The tub's folder, usually data/.
    RECORDS  Indexes and ranges of indexes, both ends included: 7,100-250
    DOMAIN   sim or real.
    SOURCE   The recording's file or folder.

Options:
    --tub DIR          The new tub; the folder must not be there yet.
    --format NAME      duckietown, udacity, folder, or auto: found out [default: auto]
    --domain NAME      sim or real; otherwise what the format says.
    --shape HxW        Height and width of the pictures, 120x160 say; otherwise as they are.
    --rate HZ          Records per second; otherwise the recording's own times, or its program's rate.
    --cameras WHICH    Udacity: center, or all three, each as sessions of its own; otherwise center
    --side-steering X  Udacity, --cameras all: steering that the left camera's pictures get more, the right
                       one's less; otherwise 0.2
    --as-logged        Duckietown: take colours and pairs as they stand. Otherwise two habits of the
                       baseline's logger are put right: blue comes first in it, and each picture stands beside
                       the command that led to it. Wheel commands beyond -1 to 1 count as -1 or 1.
    --fix    Repair: rebuild the manifests, leave out broken lines, mark records without whole pictures
             as deleted. Deletes no file; what is replaced is kept in a backup_... folder in the tub.
    --yes    Do it.
    --force  Also where the tub says the other domain already.
    --json   One JSON object on stdout and nothing else.
    --help   Show this.
"""

from __future__ import annotations

import re
from typing import Any

from dingocar.cli import _common
from dingocar.errors import UsageError
from dingocar.tub.check import Report, check
from dingocar.tub.clean import clean
from dingocar.tub.info import info
from dingocar.tub.tub import open_tub
from dingocar.words import counted, quoted

#: Problems that are printed; `--json` has all.
SHOWN = 20


def run(argv: list[str]) -> int:
    """Runs `dingocar tub ...`; returns the exit code."""
    options = _common.parse(__doc__, argv, "dingocar tub")
    if options["import"]:
        from dingocar.cli._tub_import import import_

        return import_(options)
    path, as_json = str(_common.path(options["PATH"], "PATH")), options["--json"]
    if options["info"]:
        figures = info(open_tub(path))
        _common.show(figures, as_json, _info_text(figures))
        return 0
    if options["check"]:
        report = check(path, fix=options["--fix"])
        _common.show(report.as_dict(), as_json, _check_text(report))
        return 0 if report.ok else 1
    if options["clean"]:
        result = clean(path, yes=options["--yes"])
        verb = "removed" if result.done else "would remove"
        tail = "" if result.done or not result.files else "; give --yes to do it"
        text = f"{verb} {counted(result.files, 'picture')}, {result.size_bytes / 1e6:.1f} MB{tail}"
        _common.show(result.as_dict(), as_json, text)
        return 0
    if options["domain"]:
        return _set_domain(path, options["DOMAIN"], options["--force"], as_json)
    return _change(path, options["RECORDS"], options["delete"], as_json)


def _set_domain(path: str, domain: str, force: bool, as_json: bool) -> int:
    from dingocar.tub.domain import set_domain

    before = open_tub(path).domain
    tub = set_domain(path, domain, force)
    words = {"sim": "simulated", "real": "real"}
    text = f"{tub.path}: {counted(len(tub), 'record')}, {words[domain]}" + (
        f" (was {before})" if before not in (None, domain) else ""
    )
    result = {"path": str(tub.path), "records": len(tub), "domain": domain, "before": before}
    _common.show(result, as_json, text)
    return 0


def _change(path: str, records: str, delete: bool, as_json: bool) -> int:
    tub = open_tub(path)
    known = {record.index for record in [*tub.records, *tub.deleted_records]}
    chosen = parse_ranges(records, max(known, default=0)) & known
    if not chosen:
        raise UsageError(f"{path}: none of the records {records} is in this tub")
    before = len(tub)
    (tub.delete if delete else tub.restore)(chosen)
    changed = abs(len(tub) - before)
    result = {
        "path": str(tub.path),
        "changed": changed,
        "records": len(tub),
        "deleted": len(tub.deleted_records),
    }
    verb = "deleted" if delete else "restored"
    text = f"{verb} {counted(changed, 'record')}; {len(tub)} live, {result['deleted']} deleted"
    _common.show(result, as_json, text)
    return 0


def parse_ranges(text: str, highest: int) -> set[int]:
    """Reads indexes and ranges; ranges are cut at `highest`.

    >>> sorted(parse_ranges("1,3-5", 100))
    [1, 3, 4, 5]

    Raises:
        UsageError: the text is neither.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,12})(?:-(\d{1,12}))?", part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"RECORDS must be like 7,100-250, got {text!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        chosen.update(range(first, min(last, highest) + 1))
    return chosen


def _info_text(figures: dict[str, Any]) -> str:
    rate = f" at {figures['rate_hz']:.1f} Hz" if figures["rate_hz"] else ""
    channels = ", ".join(f"{key} ({kind})" for key, kind in figures["channels"].items())
    sessions = figures["sessions"]
    looks = f", translated: looks {figures['looks']}" if figures["looks"] != figures["domain"] else ""
    shown = ", ".join(sessions[-5:]) or "none noted"
    lines = [
        f"tub       {figures['path']} (v{figures['version']})",
        f"records   {figures['records']} live, {figures['deleted']} deleted",
        f"sessions  {len(sessions)}: {'..., ' if len(sessions) > 5 else ''}{shown}",
        f"domain    {figures['domain'] or 'not noted'}{looks}",
        f"channels  {channels}",
        f"duration  {figures['duration_s']:.0f} s{rate}",
        f"size      {figures['size_bytes'] / 1e6:.1f} MB",
    ]
    for name in ("steering", "throttle"):
        values = figures[name]
        if values is None:
            lines.append(f"{name}  not recorded")
            continue
        lines.append(
            f"{name}  mean {values['mean']:+.3f}, std {values['std']:.3f}, "
            f"from {values['min']:+.2f} to {values['max']:+.2f}"
        )
    if figures["steering"] is not None:
        share = figures["steering"]
        lines.append(
            f"          {share['left']:.0%} left, {share['straight']:.0%} straight, "
            f"{share['right']:.0%} right"
        )
    return "\n".join([*lines, *_problem_lines(figures["problems"])])


def _check_text(report: Report) -> str:
    lines = [
        f"{counted(report.records, 'record')}, {report.deleted} deleted, "
        f"{counted(report.pictures, 'picture')} decoded",
        *_problem_lines([str(problem) for problem in report.problems]),
        *[f"fixed: {what}" for what in report.fixed],
    ]
    if report.backup is not None:
        lines.append(f"what was replaced is kept in {report.backup}")
    if report.ok:
        lines.append("the tub is in order")
    elif report.fixed:
        left = counted(len(report.remaining), "problem")
        lines.append(f"left: {left}, the first: {report.remaining[0]}")
    else:
        lines.append(f"repair it with: dingocar tub check {quoted(report.path)} --fix")
    return "\n".join(lines)


def _problem_lines(problems: list[str]) -> list[str]:
    lines = [f"problem: {text}" for text in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {counted(len(problems) - SHOWN, 'more problem')} (--json shows all)")
    return lines
