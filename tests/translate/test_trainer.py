"""Training: stopped and resumed is as if it had not stopped; mistakes are one line and lose nothing."""

import errno
import json
import re
import signal

import numpy as np
import pytest
from PIL import Image

from dingocar.errors import DingocarError, TrainingError, TranslatorError
from dingocar.registry import use_car_folder
from dingocar.translate import load_translator, train_translator, translators
from dingocar.translate.artefact import load_network, read_card
from dingocar.translate.budget import Budget
from dingocar.translate.state import alone
from dingocar.translate.tubs import translate_tub
from tests.translate.small import SHAPE, learners, small, tub

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def train(tubs, tmp_path):
    """Trains in `tmp_path`; keywords as `train_translator`'s."""

    def run(name="cyclegan", settings=None, out="t.keras", steps=4, **options):
        sources = {domain: [tubs[domain]] for domain in ("sim", "real")} | options.pop("tubs", {})
        return train_translator(
            small(name, **(settings or {})),
            *(sources["sim"], sources["real"], tmp_path / out, steps and Budget(steps=steps)),
            **options,
        )

    return run


def weights(path):
    return load_network(path)[1].get_weights()


def stop_at(step):
    def tell(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return tell


class Ticks:
    """A clock that goes on by `tick_s` each time it is asked."""

    def __init__(self, tick_s):
        self.tick_s, self.now_s = tick_s, 0.0

    def __call__(self):
        self.now_s += self.tick_s
        return self.now_s


@pytest.mark.parametrize("name", learners())
def test_stopped_and_resumed_it_ends_as_if_it_had_not(name, train, tmp_path):
    whole = train(name, out="whole.keras")
    first = train(name, on_progress=stop_at(2))
    assert first.interrupted and first.steps == 2 and (tmp_path / "t.training/state.npz").is_file()
    assert read_card(tmp_path / "t.keras")["training"]["interrupted"]  # usable as it is
    second = train(name, resume=True)
    assert not second.interrupted and second.steps == whole.steps == 4
    assert second.losses == pytest.approx(whole.losses, rel=1e-4)
    for ours, theirs in zip(weights(tmp_path / "t.keras"), weights(tmp_path / "whole.keras"), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert not (tmp_path / "t.training").exists()


def test_a_stop_in_the_midst_of_a_step_comes_after_it(train, tmp_path, monkeypatch):
    from dingocar.translate._game import Game

    whole, real = train("cut", out="whole.keras", steps=3), Game.train_on_batch
    stops = [signal.SIGINT]

    def stopped(self, *args, **options):
        found = real(self, *args, **options)
        if stops:  # the weights have changed, the step is not counted yet
            signal.raise_signal(stops.pop())
        return found

    monkeypatch.setattr(Game, "train_on_batch", stopped)
    first = train("cut", steps=3)
    assert first.interrupted and first.steps == 1
    assert train("cut", steps=3, resume=True).losses == pytest.approx(whole.losses, rel=1e-4)
    for ours, theirs in zip(weights(tmp_path / "t.keras"), weights(tmp_path / "whole.keras"), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_same_seed_gives_the_same_and_another_one_does_not(train, tmp_path):
    for out, seed in (("a.keras", 1), ("b.keras", 1), ("c.keras", 2)):
        train("cut", out=out, steps=2, seed=seed)
    a, b, c = (np.concatenate([w.ravel() for w in weights(tmp_path / f"{n}.keras")]) for n in "abc")
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.abs(a - c).max() > 1e-3


def test_a_stopped_training_is_not_overwritten(train, tmp_path):
    train(on_progress=stop_at(1))
    kept = (tmp_path / "t.training/state.npz").read_bytes()
    with pytest.raises(
        TranslatorError, match=r"t\.training: holds a training that was stopped; go on with --resume"
    ):
        train()
    assert (tmp_path / "t.training/state.npz").read_bytes() == kept


def test_only_the_same_training_is_resumed(train, tmp_path):
    train(on_progress=stop_at(1))
    other = tub(tmp_path / "other", "sim", seed=9)
    for change, words in (
        ({"name": "cut"}, "translator is 'cyclegan', not 'cut'"),
        ({"settings": {"cycle_weight": 1.0}}, "setting cycle_weight is 10.0, not 1.0;"),
        ({"seed": 5}, "seed is 0, not 5"),
        ({"tubs": {"sim": [other]}}, "learned from other pictures"),
    ):
        with pytest.raises(TranslatorError, match=words):
            train(resume=True, **change)
    assert (tmp_path / "t.training/state.npz").is_file()


def test_it_goes_on_for_as_long_as_was_said_before(train):
    train("cut", on_progress=stop_at(1))
    assert train("cut", steps=None, resume=True).steps == 4


def test_a_budget_that_is_used_up_ends_nothing(train, tmp_path):
    train("cut", on_progress=stop_at(3))
    kept = (tmp_path / "t.training/state.npz").read_bytes()
    with pytest.raises(TranslatorError, match=r"3 steps in \d\.\d minutes are done already; give more"):
        train("cut", steps=2, resume=True)
    assert (tmp_path / "t.training/state.npz").read_bytes() == kept
    assert train("cut", steps=5, resume=True).steps == 5


def test_stopped_after_the_last_step_it_is_ended_by_resuming(train, tmp_path):
    assert train("cut", on_progress=stop_at(4)).interrupted
    assert not train("cut", resume=True).interrupted and not (tmp_path / "t.training").exists()


@pytest.mark.parametrize("name", ["t.keras", "t.jpg"])
def test_what_is_there_and_no_translators_is_not_lost(name, train, tmp_path):
    (tmp_path / name).write_bytes(b"another's")
    with pytest.raises(TranslatorError, match=rf"{name}: is there, .*; name another file to write"):
        train("colour")
    assert (tmp_path / name).read_bytes() == b"another's" and len(list(tmp_path.iterdir())) == 1


def test_a_translator_is_replaced_and_others_files_beside_its_state_stay(train, tmp_path):
    train("colour")
    (tmp_path / "t.training").mkdir()
    (tmp_path / "t.training/notes.txt").write_text("mine")
    train("cut", on_progress=stop_at(2))
    train("cut", resume=True)
    assert read_card(tmp_path / "t.keras")["translator"] == "cut"
    assert [path.name for path in (tmp_path / "t.training").iterdir()] == ["notes.txt"]


def test_a_full_disk_costs_neither_the_training_nor_the_translator(train, tmp_path, monkeypatch, caplog):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dingocar.translate.trainer.SHEET_S", 0.0)
    monkeypatch.setattr("dingocar.translate.trainer.save_state", full)
    monkeypatch.setattr("dingocar.translate.trainer.sheets.save", full)
    assert train("cut", on_progress=stop_at(2)).interrupted and read_card(tmp_path / "t.keras")
    for file in ("state.npz", "step_000001.jpg", "t.jpg"):
        assert f"{file}: cannot be written (No space left on device)" in caplog.text
    assert "--resume goes on" not in caplog.text


def test_two_trainings_do_not_share_a_place(train, tmp_path):
    with alone(tmp_path / "t.training"), pytest.raises(TranslatorError, match="another training is at work"):
        train()
    assert not list(tmp_path.iterdir())
    train()


def test_there_must_be_something_to_resume(train):
    with pytest.raises(TranslatorError, match="no stopped training to go on with; leave out --resume"):
        train(resume=True)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04" + bytes(40)])
def test_a_damaged_state_is_one_line(content, train, tmp_path):
    (tmp_path / "t.training").mkdir()
    (tmp_path / "t.training/state.npz").write_bytes(content)
    with pytest.raises(
        TranslatorError, match=r"state\.npz: cannot be read .*remove the folder and begin anew"
    ):
        train(resume=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", []),
        ("budget", {"hours": 1}),
        ("step", "x"),
        ("settings", []),
        ("losses", 1),
        ("seconds", None),
    ],
)
def test_a_state_with_other_facts_is_one_line(name, value, train, tmp_path):
    train("cut", on_progress=stop_at(2))
    file = tmp_path / "t.training/state.npz"
    with np.load(file) as found:
        arrays = dict(found)
    arrays["facts"] = np.array(json.dumps(json.loads(str(arrays["facts"])) | {name: value}))
    np.savez(file, **arrays)
    with pytest.raises(TranslatorError, match=r"state.npz: cannot be read; remove the folder and begin anew"):
        train("cut", resume=True)


def test_before_the_first_step_nothing_is_kept(train, tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("dingocar.translate.trainer._Run._batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train()
    assert not list(tmp_path.iterdir())


def test_minutes_end_it_and_sheets_are_drawn_meanwhile(train, tubs, tmp_path):
    sheets = []

    def tell(progress):
        sheets.append(sorted(path.name for path in (tmp_path / "t.training").glob("*.jpg")))

    clock = Ticks(100.0)  # a step takes 100 s
    result = train_translator(
        *(small("cut"), [tubs["sim"]], [tubs["real"]], tmp_path / "t.keras", Budget(minutes=5)),
        on_progress=tell,
        clock=clock,
    )
    assert result.steps == 3 and result.seconds == 300
    assert sheets == [[], ["step_000002.jpg"], ["step_000002.jpg"]]
    with Image.open(result.sheet) as sheet:
        assert sheet.width > 100 and sheet.height > 50


def test_the_learning_rate_is_that_of_its_schedule(train, tmp_path, monkeypatch):
    asked = []

    def none_at_all(highest, share):
        asked.append((highest, share))
        return 0.0

    monkeypatch.setattr("dingocar.translate.trainer.learning_rate", none_at_all)
    for out, steps in (("one.keras", 1), ("four.keras", 4)):
        train("cut", out=out, steps=steps)
    assert asked == [(2e-4, 0.0), *((2e-4, share) for share in (0, 0.25, 0.5, 0.75))]
    for ours, theirs in zip(weights(tmp_path / "one.keras"), weights(tmp_path / "four.keras"), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loss_that_is_no_number_is_told(train, tmp_path):
    with pytest.raises(
        TranslatorError, match=r"diverged in step \d+ \(\w+ is no number\): set a lower learning_rate"
    ):
        train("cyclegan", settings={"learning_rate": 1.0, "cycle_weight": 1e6}, steps=400)
    assert not (tmp_path / "t.keras").exists()


def test_what_is_to_be_done_about_it_is_not_refused(train):
    bad = {"learning_rate": 1.0, "cycle_weight": 1e6}
    train("cyclegan", settings=bad, steps=400, on_progress=stop_at(1))
    with pytest.raises(TranslatorError, match=r"set a lower learning_rate and remove \S+/t\.training$"):
        train("cyclegan", settings=bad, steps=400, resume=True)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            "pass",
            "translator mine: learns, so its settings_type must be a LearnedSettings; or set",
        ),
        ("settings_type = LearnedSettings\n    def networks(self): 1 / 0", r"mine\.py:4: ZeroDivisionError"),
        ("learns = False\n    def fitted(self, sim, real): return {}[1]", r"mine\.py:4: KeyError: 1"),
        (
            "settings_type = LearnedSettings\n    def networks(self): return {}\n"
            "    def outputs(self, networks, sim, real): return {'to_real': sim}\n"
            "    def losses(self, networks, sim, real): return 1 / 0",
            r"mine\.py:6: ZeroDivisionError",
        ),
    ],
)
def test_mistakes_in_a_cars_own_translator_are_one_line(body, told, tubs, tmp_path):
    (tmp_path / "translators").mkdir()
    head = "from dingocar.translate import LearnedSettings, Translator\nclass Mine(Translator):\n    "
    (tmp_path / "translators/mine.py").write_text(head + body + "\n")
    use_car_folder(tmp_path)
    try:
        mine = translators.load("mine").from_settings({"image_shape": SHAPE})
    finally:
        use_car_folder(None)
    with pytest.raises(DingocarError, match=told) as error:
        train_translator(mine, [tubs["sim"]], [tubs["real"]], tmp_path / "t.keras", Budget(steps=1))
    assert "\n" not in str(error.value)


def test_a_domain_of_three_pictures_is_too_small(train, tmp_path):
    few = tub(tmp_path / "few", "real", 3)
    with pytest.raises(TranslatorError, match=re.escape(f"--real {few}: 2 pictures to learn from")):
        train(tubs={"real": [few]})


def test_two_tubs_of_one_domain_are_refused(train, tubs):
    with pytest.raises(TranslatorError, match=r"--real .*sim: says that its pictures are simulated"):
        train(tubs={"real": [tubs["sim"]]})


def test_a_translated_tub_is_refused(train, tubs, trained, tmp_path):
    made = translate_tub(load_translator(trained("colour"), "to_real"), tubs["sim"], tmp_path / "made").tub
    with pytest.raises(TranslatorError, match=r"--sim .*made: its pictures are translated and look real"):
        train(tubs={"sim": [made]})


def test_a_tub_without_a_domain_is_refused(train, tmp_path):
    nameless = tub(tmp_path / "nameless", "sim", words={})
    with pytest.raises(TranslatorError, match=r"does not say .*: dingocar tub domain .*nameless sim"):
        train(tubs={"sim": [nameless]})


def test_the_same_tub_twice_is_refused(train, tubs):
    with pytest.raises(TrainingError, match=r"give (it|them) once"):
        train(tubs={"sim": [tubs["sim"], tubs["sim"]]})


def test_broken_pictures_are_left_out_and_all_broken_ones_are_one_line(train, tmp_path, caplog):
    some = tub(tmp_path / "some", "real", 60, seed=4)
    files = sorted((some / "images").iterdir())
    for file in files[:5]:
        file.write_bytes(file.read_bytes()[:60])
    result = train("colour", tubs={"real": [some]})
    assert result.pictures["real"] <= 55 and "5 of" in caplog.text
    for file in files:
        file.write_bytes(b"no picture")
    with pytest.raises(TranslatorError, match="none of its pictures can be decoded"):
        train("colour", out="u.keras", tubs={"real": [some]})
    assert not (tmp_path / "u.keras").exists()


@pytest.mark.parametrize(("out", "words"), [("t.h5", "ends in .keras"), ("no/t.keras", "does not exist")])
def test_the_file_is_checked_before_the_work(out, words, train):
    with pytest.raises(TranslatorError, match=words):
        train(out=out)


@pytest.mark.parametrize(("options", "words"), [({"steps": 0}, "steps"), ({"minutes": 0}, "minutes")])
def test_a_budget_of_nothing_is_refused(options, words):
    with pytest.raises(TranslatorError, match=f"{words}: expected"):
        Budget(**options)
