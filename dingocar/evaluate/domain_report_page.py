"""A domain report as text, as a picture, as a page, and as arrays for tools of one's own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.adapt import probes
from dingocar.evaluate.contact_sheet import contact_sheet
from dingocar.evaluate.domain_report import KINDS, DomainReport, Entangled, Material
from dingocar.evaluate.domain_report_frames import DOMAINS
from dingocar.evaluate.report import as_png, new_figure, write_page
from dingocar.files import replacing
from dingocar.training.domains import SOURCE, TARGET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's blue and vermilion: also told apart by people who do not see red and green.
COLOURS = {SOURCE: "#0072b2", TARGET: "#d55e00"}
MARKS = {SOURCE: "o", TARGET: "^"}
#: Steering from left over straight to right; straight is no white, which a page would swallow.
STEERING_COLOURS = ("#7b3294", "#c9c9c9", "#1a8a3a")
#: Most pictures in a plot.
MOST_DOTS = 2000
#: From this accuracy on the domains count as told apart.
NEARLY_ALWAYS = 0.95
#: What the probes compare: the domains, and halves of each.
COLUMNS = ("sim | real", "two halves of sim", "two halves of real")

_READING = (
    "Each dot is a picture, placed by the pilot's features. Above: the two directions in which they differ "
    "most. Below: neighbours stay neighbours (t-SNE); there the distances between groups mean nothing."
)


def report_text(report: DomainReport) -> str:
    """The figures as a table, and what they mean in one sentence."""
    method = f", adapted by {report.method}" if report.method else ""
    sizes = " and ".join(
        f"{report.frames[domain]} {domain} pictures of {report.blocks[domain]} stretches"
        for domain in DOMAINS
    )
    skipped = f"; {report.skipped} could not be read" if report.skipped else ""
    lines = [
        f"{report.model}: {report.pilot}{method}, {report.width} features; {sizes}{skipped}",
        f"{'':<28}" + "".join(f"{name:<22}" for name in COLUMNS).rstrip(),
    ]
    for row in probe_rows(report):
        name, *cells = (str(value) for value in row.values())
        lines.append(f"{name:<28}" + "".join(f"{cell:<22}" for cell in cells).rstrip())
    lines += [f"{name:<28}{value}" for name, value in _facts(report).items()]
    return "\n".join([*lines, meaning(report)])


def probe_rows(report: DomainReport) -> list[dict[str, str]]:
    """Accuracy and A-distance of both probes: of the domains, and of the floors."""
    found = {
        kind: [report.probes[kind], *(report.floors[domain][kind] for domain in DOMAINS)] for kind in KINDS
    }
    rows = []
    for kind, name in zip(KINDS, ("linear", "MLP"), strict=True):
        cells = [f"{probe.accuracy:.0%} ({probe.low:.0%} to {probe.high:.0%})" for probe in found[kind]]
        rows.append({"": f"told apart, {name}", **dict(zip(COLUMNS, cells, strict=True))})
    for kind, name in zip(KINDS, ("linear", "MLP"), strict=True):
        cells = [f"{probe.a_distance:.2f}" for probe in found[kind]]
        rows.append({"": f"A-distance, {name}", **dict(zip(COLUMNS, cells, strict=True))})
    return rows


def _facts(report: DomainReport) -> dict[str, str]:
    """The other figures by name."""
    pairs = report.pairs

    def entangled(found: Entangled | None) -> str:
        return "n/a" if found is None else f"{found.loss:.2f} of {found.most:.2f}"

    steering = ", ".join(f"{name} {entangled(report.steering_entanglement[name])}" for name in DOMAINS)
    errors = ", ".join(
        f"{domain} {'n/a' if (mae := report.mae[domain]) is None else f'{mae:.3f}'}" for domain in DOMAINS
    )
    return {
        "entanglement of domains": entangled(report.domain_entanglement),
        "... of steering bins": steering,
        "steering error (MAE)": f"{errors} (on these pictures, trained on or not)",
        f"same place, {pairs.one} | {pairs.other}": (
            f"features move {pairs.moved:.2f} ({pairs.moved_low:.2f} to {pairs.moved_high:.2f}) times as far "
            f"as to another place; steering by {pairs.steering:.2f}"
        ),
        "... MAE beside the expert": f"{pairs.one} {pairs.one_mae:.3f}, {pairs.other} {pairs.other_mae:.3f}",
    }


def meaning(report: DomainReport) -> str:
    """What the figures say, in one sentence of plain words."""
    best = max((report.probes[kind] for kind in KINDS), key=lambda probe: probe.accuracy)
    floor = max(report.floors[domain][kind].high for domain in DOMAINS for kind in KINDS)
    if best.accuracy >= NEARLY_ALWAYS:
        said = "so to the pilot these are two worlds"
    elif best.low > floor:
        said = "so to the pilot the two worlds overlap, and differ"
    else:
        said = "no better than it tells two halves of one apart, so to the pilot this is one world"
    return (
        f"By these features a fresh classifier knows simulated from real {best.accuracy:.0%} of the time "
        f"(guessing: 50%), {said}; whether it drives in the real one is another matter, which only labels or "
        "laps there tell."
    )


def write_report(
    file: Path,
    report: DomainReport,
    material: Material,
    on_progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Writes the page: one HTML file that needs no other.

    Raises:
        MissingExtraError: matplotlib or scikit-learn is not installed.
    """
    pictures = {_READING: features_figure(material, report.seed)}
    on_progress(0.9)
    pairs = report.pairs
    caption = f"The same places in both looks, {pairs.one} above {pairs.other}: nothing but the look differs."
    pictures[caption] = _sheet(material)
    facts = [{"figure": name, "value": value} for name, value in _facts(report).items()]
    used = [{"domain": d, "pictures": report.frames[d], "stretches": report.blocks[d]} for d in DOMAINS]
    write_page(
        file,
        f"{report.pilot}: simulated and real, by its features",
        meaning(report),
        pictures,
        {
            "Fresh classifiers, judged on stretches they were not trained on": probe_rows(report),
            "Further figures": facts,
            f"What was looked at with {report.model}": used,
        },
    )
    on_progress(1.0)


def features_figure(material: Material, seed: int = 0) -> bytes:
    """Principal components and t-SNE of the features, by domain and by steering; returns a PNG."""
    figure = new_figure(11.0, 9.4)
    order = np.random.default_rng([seed, 7]).permutation(len(material.features))[:MOST_DOTS]
    near = probes.neighbourhoods(material.features[order], seed)
    one, other = (f"{share:.0%}" for share in material.explained)
    axes = figure.subplots(2, 2)
    for row, (title, points) in enumerate((("principal components", material.plane[order]), ("t-SNE", near))):
        _draw_domains(axes[row, 0], material, order, points)
        dots = _draw_steering(axes[row, 1], material, order, points)
        bar = figure.colorbar(dots, ax=axes[row, 1], shrink=0.6, aspect=30, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["left", "straight", "right"])
        bar.outline.set_visible(False)
        for panel, by in zip(axes[row], ("domain", "steering"), strict=True):
            panel.set_title(f"{title}, by {by}", fontsize=11, loc="left")
            panel.set_xticks([])
            panel.set_yticks([])
            panel.margins(0.04)
            for spine in panel.spines.values():
                spine.set_color("#c8ccd2")
    axes[0, 0].set_ylabel(f"second ({other})", fontsize=9, color="#5a6069")
    for panel in axes[0]:
        panel.set_xlabel(f"first component ({one} of the variance)", fontsize=9, color="#5a6069")
    return as_png(figure)


def _draw_domains(
    panel: Axes, material: Material, order: npt.NDArray[np.int64], points: npt.NDArray[Any]
) -> None:
    domains = material.frames.domains[order]
    # In turns, so that no domain lies on top of the other.
    for part in np.array_split(np.arange(len(order)), 8):
        for domain in DOMAINS:
            rows = part[domains[part] == domain]
            look: dict[str, Any] = {"s": 15, "marker": MARKS[domain], "alpha": 0.75, "linewidths": 0}
            panel.scatter(points[rows, 0], points[rows, 1], color=COLOURS[domain], **look)
    for domain in DOMAINS:
        panel.scatter([], [], s=30, color=COLOURS[domain], marker=MARKS[domain], linewidths=0, label=domain)
    panel.legend(frameon=False, fontsize=10, loc="best", handletextpad=0.1)


def _draw_steering(
    panel: Axes, material: Material, order: npt.NDArray[np.int64], points: npt.NDArray[Any]
) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("steering", STEERING_COLOURS)
    domains, labels = material.frames.domains[order], material.frames.steering[order]
    bare = ~np.isfinite(labels)
    if bare.any():
        panel.scatter(
            *(points[bare, 0], points[bare, 1], 9),
            facecolors="none",
            edgecolors="#b9bec6",
            linewidths=0.5,
            label="no label",
        )
        panel.legend(frameon=False, fontsize=10, loc="best", handletextpad=0.1)
    dots = None
    for domain in DOMAINS:
        rows = np.flatnonzero(~bare & (domains == domain))
        look: dict[str, Any] = {"s": 16, "marker": MARKS[domain], "linewidths": 0, "alpha": 0.9}
        dots = panel.scatter(
            points[rows, 0], points[rows, 1], c=labels[rows], cmap=colours, vmin=-1, vmax=1, **look
        )
    return dots


def _sheet(material: Material) -> bytes:
    """Some states in both looks under each other; returns a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    sheet = Image.fromarray(contact_sheet([material.seen.one, material.seen.other], columns=6, rows=1))
    # As wide as the page's other pictures, so that small cameras' pictures can be seen.
    times = max(1, round(1000 / sheet.width))
    sheet.resize((times * sheet.width, times * sheet.height), Image.Resampling.NEAREST).save(buffer, "png")
    return buffer.getvalue()


def write_dump(file: Path, material: Material) -> None:
    """Writes the features with what is known of each picture as an `.npz`, whole or not at all.

    Its arrays, a row for each of N pictures: `features` float32 (N, F), `pca` float32 (N, 2), `domain`
    ("sim" or "real"), `steering` and `throttle` float32 (the labels, NaN where there is none),
    `predicted_steering` and `predicted_throttle` float32, `tub` (its path), `record` int64 (its index there),
    `block` int64 (its stretch: to split by).

    Raises:
        OSError: it cannot be written.
    """
    frames = material.frames
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            features=material.features,
            pca=material.plane,
            domain=frames.domains,
            steering=frames.steering,
            throttle=frames.throttle,
            predicted_steering=material.steering,
            predicted_throttle=material.throttle,
            tub=frames.tubs,
            record=frames.records,
            block=frames.blocks,
        )
