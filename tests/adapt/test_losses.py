"""Every loss against numpy, and its gradient against finite differences."""

import functools
import itertools
import math

import numpy as np
import pytest

from dingocar.adapt import methods
from tests.adapt.slopes import differences, slopes


def features(seed=0, counts=(20, 16), width=6):
    """Features of two domains, float64: correlated, of different scale and place."""
    rng = np.random.default_rng(seed)
    return tuple(
        rng.normal(0, 1, (n, width)) @ rng.normal(0, 1, (width, width)) + rng.normal(0, 1, width)
        for n in counts
    )


def losses(name, source, target, layers=None, progress=1.0, **settings):
    """{loss: float} of a method's."""
    method = methods.load(name).from_settings(settings)
    found = method.losses(*map(tensor, (source, target)), layers or {}, progress)
    return {name: float(value) for name, value in found.items()}


def tensor(array):
    from keras import ops

    return ops.convert_to_tensor(np.asarray(array, np.float32))


def standardise(source, target):
    middle = np.concatenate([source, target]).mean(0)
    within = np.mean([source.var(0), target.var(0)])
    return tuple((x - middle) / np.sqrt(within + 1e-6) for x in (source, target))


# --- coral ---


def np_coral(source, target):
    gap = np.cov(source, rowvar=False) - np.cov(target, rowvar=False)
    return np.square(gap).sum() / (4 * source.shape[1] ** 2)


def test_coral_is_the_distance_of_numpys_covariances():
    source, target = features()
    plain = losses("coral", source, target, weight=3, means=False, normalise=False)
    assert plain == {"coral": pytest.approx(3 * np_coral(source, target), rel=1e-5)}
    shift = np.square(source.mean(0) - target.mean(0)).mean()
    with_means = losses("coral", source, target, weight=1, normalise=False)["coral"]
    assert with_means == pytest.approx(np_coral(source, target) + shift, rel=1e-5)
    source, target = standardise(source, target)
    even = losses("coral", *features(), weight=1, means=False)["coral"]
    assert even == pytest.approx(np_coral(source, target), rel=1e-4)


def test_corals_gradient():
    from dingocar.adapt.coral import coral

    source, target = features()
    np.testing.assert_allclose(
        slopes(coral, source, target)[0], differences(lambda x: np_coral(x, target), source), rtol=1e-6
    )


# --- mmd ---


def np_mmd(source, target):
    """Sums by hand, pair by pair."""
    everything = np.concatenate([source, target])
    count = len(everything)
    width = sum(((a - b) ** 2).sum() for a in everything for b in everything) / (count * (count - 1))

    def kernel(one, other):
        pairs = [((a - b) ** 2).sum() for a in one for b in other]
        return sum(sum(math.exp(-d / (k * width)) for k in (0.25, 0.5, 1, 2, 4)) for d in pairs) / len(pairs)

    return kernel(source, source) + kernel(target, target) - 2 * kernel(source, target)


def test_mmd_is_the_sum_over_pairs():
    source, target = features(counts=(7, 5))
    assert losses("mmd", source, target, weight=2, normalise=False)["mmd"] == pytest.approx(
        2 * np_mmd(source, target), rel=1e-4
    )
    assert losses("mmd", source, target, weight=1)["mmd"] == pytest.approx(
        np_mmd(*standardise(source, target)), rel=1e-4
    )
    assert losses("mmd", source, source)["mmd"] == pytest.approx(0, abs=1e-6)


# --- dare_gram ---


def np_dare_gram(source, target, share):
    """By numpy's pseudo-inverse, told where to cut."""
    grams = []
    for x in (source, target):
        z = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        grams.append(z.T @ z / len(x))
    values = [np.linalg.svd(gram, compute_uv=False) for gram in grams]
    count = max(int(np.argmax(np.cumsum(v) >= share * v.sum())) + 1 for v in values)
    inverses = []
    for gram, v in zip(grams, values, strict=True):
        cut = math.sqrt(v[count - 1] * v[count]) if count < len(v) else 0.0
        inverses.append(np.linalg.pinv(gram, rcond=cut / v[0], hermitian=True))
    one, other = inverses
    cosine = (one * other).sum(0) / np.sqrt((one**2).sum(0) * (other**2).sum(0))
    return (1 - cosine).mean(), np.linalg.norm(values[0][:count] - values[1][:count]) / count


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_dare_gram_is_numpys_and_so_is_its_gradient(share, seed):
    from dingocar.adapt.dare_gram import dare_gram

    source, target = features(seed, counts=(20, 20), width=5)
    wanted = np_dare_gram(source, target, share)
    np.testing.assert_allclose([float(d) for d in dare_gram(source, target, share)], wanted, rtol=1e-6)
    for which, place in itertools.product(range(2), range(2)):
        sides = [source, target]

        def loss(function, x, sides=sides, which=which, place=place):
            return function(*sides[:place], x, *sides[place + 1 :], share)[which]

        wanted = differences(functools.partial(loss, np_dare_gram), sides[place])
        (got,) = slopes(functools.partial(loss, dare_gram), sides[place])
        np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


def test_dare_grams_weights_are_the_published_ones():
    """As Nejjar et al. use them: on sums over 36 pictures, divided by the columns and the eigenvalues."""
    source, target = features(counts=(36, 36))
    found = losses("dare_gram", source, target, weight=2)
    angle, scale = np_dare_gram(source, target, 0.9)
    assert found["angle"] == pytest.approx(2 * 0.05 * angle, rel=1e-4)
    assert found["scale"] == pytest.approx(2 * 0.001 * 36 * scale, rel=1e-4)


def test_dare_gram_minds_no_features_that_are_never_on():
    from dingocar.adapt.dare_gram import dare_gram

    source, target = (np.float32(x) for x in features())
    source[:, 1:4] = target[:, 2:5] = 0
    for which in range(2):
        for gradient in slopes(lambda s, t: dare_gram(s, t, 1.0)[which], source, target):  # noqa: B023
            assert np.isfinite(gradient).all()
    # With most of the sum in one eigenvalue there still is a slope: that eigenvector turns.
    (gradient, _) = slopes(lambda s, t: dare_gram(s + 30, t, 0.9)[0], *features())
    assert np.abs(gradient).max() > 1e-6


# --- what they share ---


def test_standardised_features_cannot_come_nearer_by_shrinking():
    from dingocar.adapt._ops import standardised
    from dingocar.adapt.coral import coral

    source, target = features()
    for mine, wanted in zip(standardised(source, target), standardise(source, target), strict=True):
        np.testing.assert_allclose(np.asarray(mine), wanted, atol=1e-6)

    def distance(*factors):
        return coral(*standardised(*(x * f for x, f in zip((source, target), factors, strict=True))))

    both = slopes(lambda factor: distance(factor, factor), np.ones(6))[0]
    assert abs(both.sum()) < 1e-5 * np.abs(both).max()  # all of them alike; one alone may
    dead = np.zeros((4, 2), np.float32)
    assert np.isfinite(slopes(lambda s, t: coral(*standardised(s, t)), dead, dead)[0]).all()


@pytest.mark.parametrize("strength", [0.1, 1.0, 2.5])
def test_a_reversed_gradient_is_minus_strength_times_the_plain_one(strength):
    from keras import ops

    from dingocar.adapt._ops import reverse_gradient

    x = np.random.default_rng(0).normal(0, 1e3, (5, 4)).astype(np.float32)

    def function(x):
        return ops.sum(ops.sin(x) * x)

    assert np.array_equal(np.asarray(reverse_gradient(x, strength)), x)  # forwards it is x, to the bit
    (plain,) = slopes(function, x)
    (reversed_,) = slopes(lambda x: function(reverse_gradient(x, strength)), x)
    np.testing.assert_allclose(reversed_, -strength * plain, rtol=1e-6)


@pytest.mark.parametrize(("progress", "wanted"), [(0.0, 0.0), (0.1, 1.5), (0.2, 3.0), (1.0, 3.0)])
def test_the_weight_rises_over_the_warm_up(progress, wanted):
    settings = methods.load("coral").from_settings({"weight": 3, "warmup": 0.2}).settings
    assert float(settings.strength(progress)) == pytest.approx(wanted)
    at_once = methods.load("coral").from_settings({"weight": 3, "warmup": 0}).settings
    assert float(at_once.strength(progress)) == 3


# --- those with a classifier ---


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def built(name, width=6, **settings):
    """A method's layers, seeded."""
    import keras

    keras.utils.set_random_seed(3)
    layers = methods.load(name).from_settings(settings).layers(width)
    for layer in layers.values():
        layer.build((None, width))
    return layers


def domain_of(source, target):
    return np.concatenate([np.ones(len(source)), np.zeros(len(target))])


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_danns_reversal_follows_the_published_schedule(progress):
    settings = methods.load("dann").from_settings({"weight": 0.5}).settings
    wanted = 0.5 * (2 / (1 + math.exp(-10 * progress)) - 1)
    assert float(settings.strength(progress)) == pytest.approx(wanted, abs=1e-6)


def test_danns_classifier_learns_and_its_features_unlearn():
    from keras import ops

    source, target = (np.float32(x) for x in features())
    layers = built("dann", hidden=8)
    method = methods.load("dann").from_settings({"weight": 0.7, "warmup": 0, "normalise": False})
    x, domain = np.concatenate([source, target]), domain_of(source, target)
    k1, b1, k2, b2, k3, b3 = (np.asarray(w) for w in layers["is_sim"].weights)
    logits = (np.maximum(np.maximum(x @ k1 + b1, 0) @ k2 + b2, 0) @ k3 + b3)[:, 0]
    wanted = -(domain * np.log(sigmoid(logits)) + (1 - domain) * np.log(1 - sigmoid(logits))).mean()
    assert losses("dann", source, target, layers, normalise=False, hidden=8) == {
        "is_sim": pytest.approx(wanted, rel=1e-4)
    }
    np.testing.assert_allclose(
        np.asarray(method.said_sim(tensor(source), tensor(target), layers)), sigmoid(logits), atol=1e-5
    )

    def plain(source, target):
        from dingocar.adapt._ops import cross_entropy

        return cross_entropy(layers["is_sim"](ops.concatenate([source, target]))[:, 0], tensor(domain))

    mine = slopes(lambda s, t: method.losses(s, t, layers, 0.0)["is_sim"], source, target)
    for got, opposite in zip(mine, slopes(plain, source, target), strict=True):
        np.testing.assert_allclose(got, -0.7 * opposite, rtol=1e-4, atol=1e-8)


def test_minus_is_minus_the_classifiers_error():
    source, target = features()
    layers = built("minus")
    kernel, bias = (np.asarray(w) for w in layers["is_sim"].weights)
    said = sigmoid(np.concatenate([source, target]) @ kernel + bias)[:, 0]
    wanted = -2 * np.square(said - domain_of(source, target)).mean()
    assert losses("minus", source, target, layers, weight=2) == {"is_sim": pytest.approx(wanted, rel=1e-4)}


@pytest.mark.parametrize("form", ["linear", "categorical"])
def test_confusion_leaves_the_classifier_in_doubt(form):
    source, target = features()
    layers = built("confusion", form=form)
    kernel, bias = (np.asarray(w) for w in layers["is_sim"].weights)
    logits = np.concatenate([source, target]) @ kernel + bias
    domain = domain_of(source, target)
    if form == "linear":
        said = sigmoid(logits)[:, 0]
        told, doubt = np.square(said - domain).mean(), np.square(said - 0.5).mean()
    else:
        said = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        told = -np.log(np.where(domain == 1, said[:, 0], said[:, 1])).mean()
        doubt = -np.log(said).mean()
        said = said[:, 0]
    settings = {"form": form, "normalise": False, "weight": 2, "warmup": 0}
    found = losses("confusion", source, target, layers, **settings)
    assert found == {"is_sim": pytest.approx(told, rel=1e-4), "confusion": pytest.approx(2 * doubt, rel=1e-4)}
    method = methods.load("confusion").from_settings(settings)
    np.testing.assert_allclose(
        np.asarray(method.said_sim(tensor(source), tensor(target), layers)), said, atol=1e-5
    )


@pytest.mark.parametrize("form", ["linear", "categorical", "mlp"])
def test_each_of_confusions_losses_trains_its_own_side(form):
    """The classifier's loss does not reach the features, the features' loss not the classifier."""
    import tensorflow as tf

    source, target = (tensor(x) for x in features())
    layers = built("confusion", form=form)
    method = methods.load("confusion").from_settings({"form": form})
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((source, target))
        found = method.losses(source, target, layers, 1.0)
    weights = [variable.value for variable in layers["is_sim"].trainable_variables]
    assert tape.gradient(found["is_sim"], (source, target)) == (None, None)
    assert np.abs(np.asarray(tape.gradient(found["confusion"], source))).max() > 0
    if form == "mlp":
        assert not weights  # it trains itself
    else:
        assert [g for g in tape.gradient(found["confusion"], weights) if g is not None] == []
        assert np.abs(np.asarray(tape.gradient(found["is_sim"], weights)[0])).max() > 0
