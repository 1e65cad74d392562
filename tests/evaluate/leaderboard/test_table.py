"""The table on made-up rows: pooling, intervals, pairs, gaps, and what may not be compared."""

import dataclasses
import json

import pytest

from dingocar.errors import UsageError
from dingocar.evaluate import wilson_interval
from dingocar.evaluate.leaderboard.contrasts import gap_rows, versus_rows
from dingocar.evaluate.leaderboard.markdown import markdown_of
from dingocar.evaluate.leaderboard.page import write_leaderboard
from dingocar.evaluate.leaderboard.results import Results
from dingocar.evaluate.leaderboard.table import make_table
from dingocar.evaluate.leaderboard.text import text_of
from dingocar.evaluate.statistics import mean_interval
from tests.evaluate.leaderboard.making import facts, fill, make_suite

#: Row to (clean laps of 4, steering MAE).
FIGURES = {
    "expert": (4, 0.0),
    **{f"linear/none/{seed}": (0, 0.40 + seed / 100) for seed in (0, 1, 2)},
    **{f"linear/mild/{seed}": (1 + seed, 0.20) for seed in (0, 1, 2)},
    **{f"linear/oracle/{seed}": (4, 0.02) for seed in (0, 1, 2)},
}


def table_of(folder, suite=None, figures=None):
    suite = suite or make_suite()
    return make_table(suite, fill(folder, suite, FIGURES if figures is None else figures))


def row_of(table, group):
    return next(row for row in table.rows if row.group == group)


def test_rows_are_pooled_over_seeds_and_every_seed_is_there(tmp_path):
    table = table_of(tmp_path)
    mild = row_of(table, "linear/mild").worlds["away"]
    assert (mild.clean_laps, mild.laps) == (6, 12)
    assert (mild.clean_low, mild.clean_high) == wilson_interval(6, 12)
    clean = mild.cells["clean"]
    assert clean.per_seed == {0: 0.25, 1: 0.5, 2: 0.75} and clean.mean == 0.5
    assert (clean.low, clean.high) == (0, 1)  # 0.5 +- 0.62, and a share is no more than 1
    mae = row_of(table, "linear/mild").worlds["away"].cells["mae"]
    assert (mae.low, mae.high) == pytest.approx(mean_interval(list(mae.per_seed.values())))
    assert table.expert["away"].cells["clean"].mean == 1.0
    assert row_of(table, "linear/mild").overall["clean"]["mean"] == 0.5
    json.dumps(table.to_json(), allow_nan=False)


def test_differences_are_paired_by_seed_over_the_test_worlds(tmp_path):
    table = table_of(tmp_path)
    contrast = row_of(table, "linear/mild").versus["mae"]
    assert contrast.mean == pytest.approx(-0.21) and contrast.seeds == [0, 1, 2]
    assert contrast.low <= contrast.mean <= contrast.high < 0
    assert contrast.better == 3 and row_of(table, "linear/oracle").versus["mae"].better == 3
    assert contrast.p == 0.25 and contrast.holm == 0.5  # two rows are compared
    assert not row_of(table, "linear/none").versus
    lines = {(line["row"], line["figure"]): line["better in"] for line in versus_rows(table)}
    assert lines["linear/mild", "steering MAE"] == "3 of 3 seeds"


def test_only_seeds_that_both_have_are_paired(tmp_path):
    figures = {name: value for name, value in FIGURES.items() if name != "linear/none/1"}
    table = table_of(tmp_path, figures=figures)
    assert row_of(table, "linear/mild").versus["mae"].seeds == [0, 2]
    assert any(note.grave and "1 of 10 rows are missing" in note.text for note in table.notes)
    assert {line["better in"] for line in versus_rows(table)} <= {"2 of 2 seeds", "1 of 2 seeds"}


def test_a_seed_is_one_pilot_in_all_worlds(tmp_path):
    """Worlds that go up and down together tell no more of the seeds than one of them."""
    more = {
        f"away{n}": {"role": "test", "tracks": ["circuit"], "look": "photo", "laps": 4} for n in (2, 3, 4)
    }
    suite = make_suite(**{f"worlds__{name}": world for name, world in more.items()})
    figures = FIGURES | {f"linear/mild/{seed}": (1 + seed, 0.1 + 0.1 * seed) for seed in (0, 1, 2)}
    row = row_of(table_of(tmp_path, suite, figures), "linear/mild")
    cell, overall = row.worlds["away"].cells["mae"], row.overall["mae"]
    assert (overall["low"], overall["high"]) == pytest.approx((cell.low, cell.high))
    assert overall["mean"] == pytest.approx(0.2)
    contrast = row.versus["mae"]
    apart = [0.1 + 0.1 * seed - (0.40 + seed / 100) for seed in (0, 1, 2)]
    assert (contrast.low, contrast.high) == pytest.approx(mean_interval(apart))


def driven_less(folder, worst, **figures):
    """A table in which the cars of `linear/mild` drive less, and so are seldom off the track."""
    suite = make_suite()
    fill(folder, suite, FIGURES)
    with Results(folder, write=True) as results:
        for seed, completion in enumerate(worst):
            row = facts(suite, suite.row(f"linear/mild/{seed}"), 0, 0.2)
            for world in row["worlds"].values():
                world |= {"completion": completion, **figures}
            results.add(row)
    return suite, make_table(suite, Results(folder))


def test_who_stands_still_is_not_the_best(tmp_path):
    suite, table = driven_less(tmp_path, (0.0, 0.0, 0.02), off_tracks_per_lap=0.0, mean_abs_cte_m=0.001)
    mild, none = (row_of(table, f"linear/{name}") for name in ("mild", "none"))
    assert "off_tracks_per_lap" not in mild.worlds["away"].cells
    assert "off_tracks_per_lap" not in mild.overall and "off_tracks_per_lap" not in mild.versus
    assert not {"off_tracks_per_lap", "mean_abs_cte_m"} & set(mild.worlds["away"].best)
    assert "mae" in mild.worlds["away"].best and "completion" in none.worlds["away"].best
    line = next(line for line in text_of(table).splitlines() if line.startswith("linear/mild"))
    assert "n/a" in line and "*" not in line[line.index("n/a") :].split()[0]
    write_leaderboard(tmp_path / "page.html", suite, table, tmp_path)
    assert '<td class="">n/a</td>' in (tmp_path / "page.html").read_text()
    json.dumps(table.to_json(), allow_nan=False)


def test_off_tracks_are_counted_for_the_way_driven(tmp_path):
    suite, table = driven_less(tmp_path, (0.5, 0.25, 0.0), off_tracks_per_lap=1.0, p95_abs_cte_m=0.01)
    mild = row_of(table, "linear/mild")
    assert mild.worlds["away"].cells["off_tracks_per_lap"].per_seed == {0: 2.0, 1: 4.0}
    assert mild.versus["off_tracks_per_lap"].seeds == [0, 1]
    # The two seeds that have it are better than the baseline's 4 on average, and yet not the best row.
    assert not {"off_tracks_per_lap", "p95_abs_cte_m"} & set(mild.worlds["away"].best)
    write_leaderboard(tmp_path / "page.html", suite, table, tmp_path)
    assert '<td class="seed">n/a</td>' in (tmp_path / "page.html").read_text()
    assert "n/a" in text_of(table)


def test_who_has_a_figure_of_some_seeds_only_is_not_the_best(tmp_path):
    suite, _ = driven_less(tmp_path, (0.5, 0.25, 0.0), off_tracks_per_lap=0.0)
    with Results(tmp_path, write=True) as results:
        for row in suite.rows("linear/none"):  # no better in completion, so that this is not what decides
            made = facts(suite, row, 0, 0.4)
            made["worlds"]["away"]["completion"] = 0.25
            results.add(made)
    table = make_table(suite, Results(tmp_path))
    assert "completion" not in row_of(table, "linear/mild").worlds["away"].best  # equal
    assert not any("off_tracks_per_lap" in row.worlds["away"].best for row in table.rows)


def test_who_drives_clearly_less_is_not_the_best_in_what_is_easy_then(tmp_path):
    easy = {"off_tracks_per_lap": 0.0, "mean_abs_cte_m": 0.001}
    for completion, fine in ((0.8, False), (0.95, True)):
        _, table = driven_less(tmp_path / str(fine), (completion,) * 3, **easy)
        assert easy.keys() & set(row_of(table, "linear/mild").worlds["away"].best) == (
            set(easy) if fine else set()
        )


def test_labels_are_counted_for_the_target_of_now(tmp_path):
    suite = make_suite()
    fill(tmp_path, suite, FIGURES)
    with Results(tmp_path, write=True) as results:
        for row in suite.rows("linear/oracle"):
            results.add(facts(suite, row, 4, 0.02, labels=0))
    table = make_table(suite, Results(tmp_path))
    assert [row.label_text for row in table.rows] == ["0", "0", "all"]


def test_the_gap_between_source_and_oracle(tmp_path):
    table = table_of(tmp_path)
    shares = row_of(table, "linear/mild").gap_closed
    assert shares["clean"] == pytest.approx(0.5)
    assert shares["mae"] == pytest.approx((0.41 - 0.2) / (0.41 - 0.02))
    assert row_of(table, "linear/none").gap_closed["mae"] == pytest.approx(0.0)
    assert gap_rows(table)[1]["clean laps"] == "50%"
    figures = dict.fromkeys(FIGURES, (4, 0.05))
    flat = table_of(tmp_path / "flat", figures=figures)
    assert set(row_of(flat, "linear/mild").gap_closed.values()) == {None}
    assert any("the gap is small" in note.text for note in flat.notes)
    alone = make_suite(methods__oracle=None)
    assert not gap_rows(table_of(tmp_path / "alone", alone))


def test_rows_with_other_labels_are_not_bold_against_each_other(tmp_path):
    table = table_of(tmp_path)
    # The oracle is better everywhere, but has all labels: the best of those without is the best.
    assert "clean" in row_of(table, "linear/mild").worlds["away"].best
    assert not row_of(table, "linear/oracle").worlds["away"].best
    assert "clean" not in row_of(table, "linear/none").worlds["away"].best
    few = make_suite(methods__mild__labelled={"look": "photo", "frames": 20})
    labelled = table_of(tmp_path / "few", few)
    assert [row.label_text for row in labelled.rows] == ["0", "20", "all"]
    assert not any(cells.best for row in labelled.rows for cells in row.worlds.values())


def test_rows_that_were_selected_by_target_data_say_so_and_stand_apart(tmp_path):
    suite = make_suite(
        worlds__dev={"role": "dev", "tracks": ["oval"], "look": "photo"},
        methods__mild__selection="dev",
        methods__mild__candidates=[{"epochs": 1}, {"epochs": 2}],
    )
    table = table_of(tmp_path, suite)
    assert row_of(table, "linear/mild").label_text == "0 + dev"
    assert not row_of(table, "linear/mild").worlds["away"].best
    assert "dev" not in table.test_worlds()


def test_fewer_than_three_seeds_are_no_comparison(tmp_path):
    suite = make_suite(seeds=[0, 1])
    table = table_of(tmp_path, suite)
    assert any(note.grave and "Not a comparison" in note.text for note in table.notes)
    assert not any(cells.best for row in table.rows for cells in row.worlds.values())
    write_leaderboard(tmp_path / "page.html", suite, table, tmp_path)
    assert '<li class="grave">Not a comparison: 2 seeds' in (tmp_path / "page.html").read_text()


def test_a_smaller_error_that_drives_worse_is_named(tmp_path):
    figures = FIGURES | {f"linear/none/{seed}": (3, 0.5) for seed in (0, 1, 2)}
    table = table_of(tmp_path, figures=figures)
    (text,) = [note.text for note in table.notes if "disagree" in note.text]
    assert "in away: linear/mild has the smaller steering error than linear/none (0.200 against" in text
    assert not [note for note in table_of(tmp_path / "b").notes if "disagree" in note.text]


def test_rows_of_several_versions_and_failed_ones_are_told(tmp_path):
    suite = make_suite()
    fill(tmp_path, suite, {name: value for name, value in FIGURES.items() if name != "linear/mild/2"})
    with Results(tmp_path, write=True) as results:
        row = suite.row("linear/mild/2")
        results.add(facts(suite, row, status="failed", reason="no luck"))
        results.add(facts(suite, suite.row("linear/none/0"), 0, 0.4, code="of before"))
    table = make_table(suite, Results(tmp_path))
    grave = " ".join(note.text for note in table.notes if note.grave)
    assert "linear/mild/2 failed: no luck." in grave and "2 versions" in grave
    assert row_of(table, "linear/mild").failed == {2: "no luck"}
    assert "failed: no luck" in text_of(table)


def test_rows_of_another_suite_are_left_out(tmp_path):
    fill(tmp_path, make_suite(), FIGURES)
    other = make_suite(worlds__away__laps=5)
    with pytest.raises(UsageError, match="holds no rows of this suite"):
        make_table(other, Results(tmp_path))


def test_text_has_every_seed(tmp_path):
    lines = text_of(table_of(tmp_path)).splitlines()
    assert lines[0] == "Test"
    start = next(i for i, line in enumerate(lines) if line.startswith("away (test)"))
    mild = next(i for i, line in enumerate(lines) if i > start and line.startswith("linear/mild"))
    assert "25 to 75 %" in lines[mild] and "50 %*" in lines[mild]
    assert [f"seed {seed}" in lines[mild + 1 + seed] for seed in (0, 1, 2)] == [True] * 3


def test_the_page_needs_no_other_file_and_is_the_same_again(tmp_path):
    suite = make_suite(title="A <b> & c")
    table = table_of(tmp_path, suite)
    pages = []
    for name in ("one.html", "two.html"):
        write_leaderboard(tmp_path / name, suite, table, tmp_path)
        pages.append((tmp_path / name).read_text())
    page = pages[0]
    assert pages[0] == pages[1]
    assert "A &lt;b&gt; &amp; c" in page and "<b>" not in page
    assert page.count("<img") == 5 == page.count('src="data:image/')
    assert "http-equiv" not in page and "<script" not in page
    assert '<td class="best">50 % (6 of 12)</td>' in page
    assert page.count(">seed 1</th>") == 3 * len(suite.worlds)


def test_a_document_gets_every_seed(tmp_path):
    text = markdown_of(table_of(tmp_path))
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    heads, rows = lines[0], {line[0].removeprefix("| "): line for line in lines[1:]}
    assert text.startswith("**linear** in away, seeds 0, 1, 2:\n\n| row") and set(map(len, lines)) == {
        len(heads)
    }
    assert list(rows) == ["none", "mild", "oracle"]

    def cell(row, head):
        return rows[row][heads.index(head)]

    assert cell("mild", "clean laps of 4") == "2.0 (1, 2, 3)"
    assert cell("none", "steering MAE") == "0.410 (0.400, 0.410, 0.420)"
    assert cell("mild", "gap closed, MAE") == "54 %" and cell("oracle", "gap closed, MAE") == "100 %"
    assert cell("mild", "MAE less none's (95 %)").startswith("-0.210 (-0.235 to -0.185)")
    assert cell("none", "MAE less none's (95 %)") == ""
    assert "Incomplete" not in text and "- With 3 seeds no p can be smaller than 0.25." in text
    assert "\n\nWho always steers the mean errs by " in text
    one = markdown_of(table_of(tmp_path / "c", dataclasses.replace(make_suite(), seeds=(1,))))
    assert "| -0.210 |" in one and "-0.210 (" not in one  # of one seed nobody knows an interval
    part = {name: each for name, each in FIGURES.items() if name != "linear/mild/1"}
    assert "- Incomplete: 1 of 10 rows are missing." in markdown_of(table_of(tmp_path / "b", figures=part))
