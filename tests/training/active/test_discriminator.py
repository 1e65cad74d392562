"""The discriminator: label 1 is randomised, and it pays to be told apart."""

import numpy as np

from dingocar.training.active.discriminator import LEAST_P, Discriminator


def test_randomised_windows_are_rewarded_and_reference_ones_are_not():
    rng = np.random.default_rng(0)
    reference, randomised = rng.normal(size=(500, 4)), rng.normal(2.0, 1.0, (500, 4))
    judge = Discriminator(4, rng, hidden=(32,))
    judge.fit(reference, randomised, steps=300)
    assert judge.probability(randomised).mean() > 0.9
    assert judge.reward(randomised).mean() > 0.5
    assert judge.reward(reference).mean() < -1.0
    assert judge.reward(reference).min() >= np.log(LEAST_P) - np.log(0.5)


def test_what_cannot_be_told_apart_earns_nothing():
    rng = np.random.default_rng(1)
    judge = Discriminator(4, rng, hidden=(16,))
    judge.fit(rng.normal(size=(5000, 4)), rng.normal(size=(5000, 4)), steps=100)
    assert abs(judge.reward(rng.normal(size=(1000, 4))).mean()) < 0.1
