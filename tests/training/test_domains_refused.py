"""What two domains in one training may not be: leaks, copies, too little, wrong names."""

from dataclasses import replace

import pytest

from dingocar.errors import DingocarError, TrainingError, UnknownNameError
from dingocar.training import TrainingSettings, load_dataset, train
from dingocar.training.domains import Adaptation
from dingocar.training.leaks import check_leaks
from dingocar.training.trainer import hold_out

from .conftest import SIZE, Tiny, change_labels, plan, write_real, write_tub


@pytest.fixture
def wrong(tmp_path, tubs):
    """A folder with tubs that do not fit."""
    write_tub(tmp_path / "unknown", 60, 6)
    write_tub(tmp_path / "sim2", 60, 7, metadata={"domain": "sim"})
    write_real(tmp_path / "real2", 60, seed=8)
    write_real(tmp_path / "three", 3)
    write_tub(tmp_path / "three_sim", 3, metadata={"domain": "sim"})
    (tmp_path / "link").symlink_to(tubs[1])
    return tmp_path


@pytest.mark.parametrize(
    "labelled, options, told",
    [
        (("sim", "unknown"), {}, "dingocar tub domain"),
        (("sim",), {"unlabelled": ["unknown"]}, "dingocar tub domain"),
        (("sim", "sim2"), {}, "needs pictures of both domains, and none of these are real"),
        (("sim",), {}, "needs pictures of both domains"),
        (("real", "real2"), {}, "learns to drive from simulated pictures, and all of these"),
        (("real", "real2"), {"method": "none"}, "learns to drive from simulated pictures, and all of these"),
        (("sim",), {"unlabelled": ["sim2"]}, "sim2: its pictures are simulated; it is for real ones"),
        (
            ("sim", "real"),
            {"real_labels": 500},
            "--real-labels 500: of these tubs 88 labelled real pictures may",
        ),
        (("sim",), {"unlabelled": ["real"], "real_labels": 5}, "0 labelled real pictures may be trained"),
        (("sim", "three"), {}, "2 real pictures to train on (beside those held out) say too little"),
        (("three_sim", "real"), {}, "2 simulated pictures to train on"),
        (("sim",), {"method": "mix", "unlabelled": ["real"]}, "mix learns from real labels too"),
        (("sim", "real"), {"method": "mix", "real_labels": 0}, "mix learns from real labels too"),
        (("sim", "real"), {"unlabelled": ["real"]}, "real: is a --tub too"),
        (("sim", "real"), {"unlabelled": ["link"]}, "link: is a --tub too"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(tubs, wrong, quick, labelled, options, told):
    places = {"sim": tubs[0], "real": tubs[1]}
    options = {"method": "coral", **options}
    options["unlabelled"] = [places.get(name, wrong / name) for name in options.get("unlabelled", ())]
    with pytest.raises(TrainingError) as error:
        train(
            [places.get(name, wrong / name) for name in labelled],
            *(Tiny(), wrong / "a.keras", quick),
            adaptation=Adaptation(**options),
        )
    assert told in str(error.value) and "\n" not in str(error.value)
    assert not (wrong / "a.keras").exists()


def test_a_copy_of_a_tub_is_noticed_too(tubs, tmp_path, quick):
    import shutil

    shutil.copytree(tubs[1], tmp_path / "copy")
    with pytest.raises(TrainingError, match=r"copy: 120 of its 120 pictures are in .*real, too"):
        train(
            tubs,
            Tiny(),
            tmp_path / "a",
            quick,
            adaptation=Adaptation("coral", unlabelled=[tmp_path / "copy"]),
        )


def test_pictures_that_are_held_out_are_not_learned_from_under_other_labels(tubs, tmp_path, quick):
    sim, real = tubs
    folder = write_real(tmp_path / "other", seed=9)
    change_labels(folder, lambda index, steering, throttle: (-steering, throttle))
    for number in range(8):  # of 120, more than chance
        name = f"images/{number}_cam_image_array_.jpg"
        (folder / name).write_bytes((real / name).read_bytes())
    adaptation = Adaptation("coral", unlabelled=[folder])
    with pytest.raises(TrainingError, match=r"other: 8 of its 120 pictures are in .*real, too, where"):
        train([sim, real], Tiny(), tmp_path / "a", quick, adaptation=adaptation)
    assert not (tmp_path / "a.keras").exists()


def test_two_copies_without_labels_are_noticed(tubs, tmp_path):
    import shutil

    shutil.copytree(tubs[1], tmp_path / "copy")
    data = load_dataset([tubs[0]], SIZE, unlabelled=[tubs[1], tmp_path / "copy"])
    with pytest.raises(TrainingError, match=r"copy: holds the same records as .*real; give it once"):
        check_leaks(data, 1)


@pytest.mark.parametrize("part_first", [False, True])
def test_a_part_of_a_larger_tub_with_labels_is_noticed(tubs, tmp_path, part_first):
    folder = write_real(tmp_path / "part", frames=5, seed=9)
    for number in range(5):  # all of this tub, 4 % of the other one
        name = f"images/{number}_cam_image_array_.jpg"
        (folder / name).write_bytes((tubs[1] / name).read_bytes())
    order = [folder, tubs[1]] if part_first else [tubs[1], folder]
    with pytest.raises(TrainingError, match=r": 5 of its \d+ pictures are in .*, too, where"):
        check_leaks(load_dataset(order, SIZE), 2)


def test_a_car_that_stands_is_in_many_tubs(tubs, tmp_path):
    tub = write_real(tmp_path / "other", seed=9)
    for number in range(20):
        (tub / f"images/{number}_cam_image_array_.jpg").write_bytes(
            (tubs[1] / "images/0_cam_image_array_.jpg").read_bytes()
        )
    check_leaks(load_dataset(tubs, SIZE, unlabelled=[tub]), 2)


def test_a_mixed_tub_whose_held_out_blocks_are_all_real_is_told(tmp_path):
    tub = write_tub(tmp_path / "a", 40, extra={"is-simulated": [True] * 40})
    settings = TrainingSettings(gap_frames=2)
    held = hold_out(load_dataset([tub], SIZE), settings).validation
    flags = [i not in held for i in range(40)]
    mixed = write_tub(tmp_path / "b", 40, extra={"is-simulated": flags})
    with pytest.raises(TrainingError, match="none of the 8 held-out pictures is simulated"):
        plan(Adaptation("none"), [mixed], settings)


def test_a_batch_is_large_enough_for_two_domains(tubs, tmp_path, quick):
    with pytest.raises(
        TrainingError, match="batch_size: expected at least 8 for batches of two domains, got 4"
    ):
        train(tubs, Tiny(), tmp_path / "a", replace(quick, batch_size=4), adaptation=Adaptation("coral"))


def test_mistyped_names_are_told_before_anything_is_read(tmp_path, quick):
    def told(expected, **options):
        with pytest.raises(expected) as error:
            train(["nowhere"], Tiny(), tmp_path / "a", quick, adaptation=Adaptation(**options))
        assert isinstance(error.value, DingocarError)
        return str(error.value)

    assert told(UnknownNameError, method="confusoin") == (
        "unknown method 'confusoin'; did you mean 'confusion'?"
    )
    assert "did you mean 'auto'?" in told(UnknownNameError, method="atuo")
    assert "did you mean 'weight'?" in told(UnknownNameError, method="coral", settings={"wieght": 1})
    with pytest.raises(TrainingError, match="unknown selection 'prob'; did you mean 'probe'"):
        Adaptation(select="prob")
    with pytest.raises(TrainingError, match="real_labels: expected at least 0"):
        Adaptation(real_labels=-1)
