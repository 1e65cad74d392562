"""The losses are the published ones, written down again in numpy; each changes its own network alone."""

import keras
import numpy as np
import pytest
from keras import ops

from dingocar.errors import TranslatorError
from dingocar.translate._game import Game
from dingocar.translate._networks import Places, Pool
from dingocar.zoo import pilots
from dingocar.zoo.artefact import save_pilot
from tests.translate.small import SHAPE, learners, pictures, small


def scaled(domain, count=1, seed=3):
    return pictures(domain, count, seed).astype(np.float32) / 127.5 - 1


def game(name, **settings):
    keras.utils.set_random_seed(1)
    made = Game(small(name, **settings))
    rng = np.random.default_rng(2)
    for weights in made.trainable_variables:  # the published start is so small that all losses look alike
        weights.assign(rng.normal(0, 0.3, weights.shape))
    return made


def said(found):
    return {name: float(value) for name, value in found.items()}


def np_of(network, x):
    return ops.convert_to_numpy(network(x, training=True))


def l1(a, b):
    return float(np.mean(np.abs(a - b)))


def lsgan(critic, genuine, made):
    fool = np.mean((np_of(critic, made) - 1) ** 2)
    see = 0.5 * (np.mean((np_of(critic, genuine) - 1) ** 2) + np.mean(np_of(critic, made) ** 2))
    return float(fool), float(see)


def test_cyclegan():
    made, sim, real = game("cyclegan", cycle_weight=7.0, identity_weight=0.25), scaled("sim"), scaled("real")
    found = said(made._translator.losses(made.networks, sim, real))
    nets = made.networks
    fake_real, fake_sim = np_of(nets["to_real"], sim), np_of(nets["to_sim"], real)
    expected = {
        "cycle_sim": 7 * l1(np_of(nets["to_sim"], fake_real), sim),
        "cycle_real": 7 * l1(np_of(nets["to_real"], fake_sim), real),
        "identity_sim": 7 * 0.25 * l1(np_of(nets["to_sim"], sim), sim),
        "identity_real": 7 * 0.25 * l1(np_of(nets["to_real"], real), real),
    }
    for domain, genuine, fake in (("sim", sim, fake_sim), ("real", real, fake_real)):
        pair = lsgan(nets[f"critic_{domain}"], genuine, fake)
        expected[f"fool_{domain}"], expected[f"critic_{domain}"] = pair
    assert found == pytest.approx(expected, rel=1e-4)


def test_cyclegan_whose_pilot_must_steer_the_same(tmp_path):
    pilot = pilots.load("resnet1").from_settings({"image_shape": SHAPE})
    keras.utils.set_random_seed(4)
    network = pilot.build()
    save_pilot(tmp_path / "pilot.keras", network, pilot)
    made = game("cyclegan", pilot=str(tmp_path / "pilot.keras"), steering_weight=3.0)
    sim, real, nets = scaled("sim"), scaled("real"), made.networks
    found = said(made._translator.losses(nets, sim, real))

    def steered(x):
        as_bytes = np.round(np.asarray(x) * 127.5 + 127.5).astype(np.uint8)
        return ops.convert_to_numpy(network(as_bytes, training=False)["steering"])

    difference = l1(steered(np_of(nets["to_sim"], np_of(nets["to_real"], sim))), steered(sim))
    assert found["steering"] == pytest.approx(3 * difference, rel=0.02) and difference > 0.01
    # Of pictures that look real it knows nothing.
    assert [name for name in found if "steering" in name] == ["steering"]
    # The pilot learns nothing.
    paths = {weights.path.split("/")[0] for weights in made.trainable_variables}
    assert len(made.trainable_variables) == len(game("cyclegan").trainable_variables)
    assert "steering" not in paths


def test_the_pilots_dropout_is_off_while_the_translator_learns(tmp_path):
    shape = (64, 84, 3)
    pilot = pilots.load("linear").from_settings({"image_shape": shape, "dropout": 0.5})
    save_pilot(tmp_path / "pilot.keras", pilot.build(), pilot)
    made = Game(small("cyclegan", image_shape=shape, pilot=str(tmp_path / "pilot.keras")))
    made.networks |= dict.fromkeys(("to_real", "to_sim"), keras.layers.Identity())
    batch = {domain: pictures(domain, 1, 1, shape) for domain in ("sim", "real")}
    found = said(made(batch, training=True))
    assert found["steering"] == 0


def test_a_pilot_that_cannot_say_how_it_steers_is_refused(tmp_path):
    pilot = pilots.load("resnet1").from_settings({"image_shape": (60, 80, 3)})
    save_pilot(tmp_path / "pilot.keras", pilot.build(), pilot)
    with pytest.raises(TranslatorError, match=r"expected one that takes pictures \(16, 24, 3\)"):
        game("cyclegan", pilot=str(tmp_path / "pilot.keras"))
    save_pilot(tmp_path / "real.keras", pilot.build(), pilot, {"tubs": [{"domain": "real"}]})
    with pytest.raises(TranslatorError, match="has learned from real pictures alone; name one of simulated"):
        game("cyclegan", pilot=str(tmp_path / "real.keras"))
    with pytest.raises(TranslatorError, match=r"translator setting pilot: .*nothing.keras: no such file"):
        game("cyclegan", pilot=str(tmp_path / "nothing.keras"))
    with pytest.raises(TranslatorError, match="translator setting steering_weight: needs a pilot"):
        game("cyclegan", steering_weight=5.0)


def test_a_pilot_that_steers_by_many_numbers_is_refused(tmp_path, monkeypatch):
    pilot = pilots.load("categorical").from_settings({"image_shape": (120, 160, 3)})
    save_pilot(tmp_path / "pilot.keras", pilot.build(), pilot)
    with pytest.raises(TranslatorError, match=r"expected one that steers by one number, got .* of 15"):
        game("cyclegan", image_shape=(120, 160, 3), pilot=str(tmp_path / "pilot.keras"))


def test_units_noise_has_deviation_1():
    found = ops.convert_to_numpy(
        game("unit").networks["noise"](np.zeros((50, 8, 8, 3), np.float32), training=True)
    )
    assert found.std() == pytest.approx(1, abs=0.05) and found.mean() == pytest.approx(0, abs=0.05)


def test_places_are_drawn_anew_and_each_once():
    places = Places(200, 20)
    one, other = (ops.convert_to_numpy(places.draw()) for _ in range(2))
    assert len(set(one)) == len(set(other)) == 20 and set(one) != set(other)
    assert one.min() >= 0 and max(one.max(), other.max()) < 200
    assert len(ops.convert_to_numpy(Places(5, 20).draw())) == 5


def test_unit_without_its_noise():
    made = game("unit", adversarial_weight=3.0, reconstruction_weight=5.0, cycle_weight=7.0, code_weight=0.2)
    made.networks["noise"] = keras.layers.GaussianNoise(0.0)
    sim, real, nets = scaled("sim"), scaled("real"), made.networks
    given = {"sim": sim, "real": real}

    def encode(domain, x):
        return np_of(nets["last_encoding"], np_of(nets[f"encoder_{domain}"], x))

    def decode(domain, z):
        return np_of(nets[f"decoder_{domain}"], np_of(nets["first_decoding"], z))

    expected = {}
    for domain, other in (("sim", "real"), ("real", "sim")):
        here, there = encode(domain, given[domain]), encode(other, given[other])
        elsewhere = decode(other, here)
        back = encode(other, elsewhere)
        expected[f"reconstruction_{domain}"] = 5 * l1(decode(domain, here), given[domain])
        expected[f"cycle_{domain}"] = 7 * l1(decode(domain, back), given[domain])
        expected[f"code_{domain}"] = 0.2 * float(np.mean(here**2) + np.mean(back**2))
        fool, see = lsgan(nets[f"critic_{domain}"], given[domain], decode(domain, there))
        expected[f"fool_{domain}"], expected[f"critic_{domain}"] = 3 * fool, see
    found = said(made._translator.losses(nets, sim, real))
    assert found == pytest.approx(expected, rel=1e-4)


def test_units_noise_is_drawn_anew_in_every_step():
    made, sim, real = game("unit"), scaled("sim"), scaled("real")
    one, two = (said(made._translator.losses(made.networks, sim, real)) for _ in range(2))
    assert one["reconstruction_sim"] != two["reconstruction_sim"] and one["code_sim"] != two["code_sim"]


def test_cut():
    """With all places taken, the contrast does not hang on chance."""
    made = game("cut", direction="to_real", patches=10_000, contrast_weight=3.0, temperature=0.5)
    sim, real, nets = scaled("sim"), scaled("real"), made.networks

    def contrast(given, translated):
        total = []
        maps = [[ops.convert_to_numpy(m) for m in nets["maps"](x)] for x in (translated, given)]
        for number, (ours, theirs) in enumerate(zip(*maps, strict=True)):
            query, key = (np_of(nets[f"head_{number}"], m.reshape(-1, m.shape[-1])) for m in (ours, theirs))
            query, key = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, key))
            logits = query @ key.T / 0.5
            total.append(np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)))
        return float(np.mean(total))

    fake, same = np_of(nets["generator"], sim), np_of(nets["generator"], real)
    fool, see = lsgan(nets["critic_real"], real, fake)
    expected = {
        "contrast": 1.5 * contrast(sim, fake),
        "identity": 1.5 * contrast(real, same),
        "fool_real": fool,
        "critic_real": see,
    }
    found = said(made._translator.losses(nets, sim, real))
    assert found == pytest.approx(expected, rel=1e-3)


def moments(x):
    mean = x.mean(axis=(1, 2), keepdims=True)
    return mean, np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)


def test_style():
    made = game("style", style_weight=3.0, reconstruction_weight=2.0, batch_size=2)
    sim, real, nets = scaled("sim", 2), scaled("real", 2), made.networks
    given = np.concatenate([sim, real])

    def encode(x):
        return [ops.convert_to_numpy(each) for each in nets["encoder"](x)]

    def apart(ours, theirs):
        return np.mean((ours - theirs) ** 2) / (np.mean(theirs**2) + 1e-6)

    maps = encode(given)
    wanted = [moments(np.concatenate([each[2:], each[:2]])) for each in maps]
    mean, deviation = moments(maps[-1])
    target = (maps[-1] - mean) / deviation * wanted[-1][1] + wanted[-1][0]
    found = encode(np_of(nets["decoder"], target))
    pairs = [pair for m, w in zip(found, wanted, strict=True) for pair in zip(moments(m), w, strict=True)]
    expected = {
        "reconstruction": 2 * l1(np_of(nets["decoder"], maps[-1]), given),
        "content": float(apart(found[-1], target)),
        "style": 3 * float(sum(apart(*pair) for pair in pairs)),
    }
    assert said(made._translator.losses(nets, sim, real)) == pytest.approx(expected, rel=1e-3)


def test_styles_encoder_learns_from_its_reconstruction_alone():
    import tensorflow as tf

    made = game("style", batch_size=2)
    weights = [v.value for v in made.networks["encoder"].trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        losses = made._translator.losses(made.networks, scaled("sim", 2), scaled("real", 2))
    for name in ("content", "style"):
        assert all(g is None or not np.any(g) for g in tape.gradient(losses[name], weights))
    assert any(np.any(g) for g in tape.gradient(losses["reconstruction"], weights) if g is not None)


def test_style_takes_the_mean_moments_of_the_domains():
    made = game("style")
    images = {domain: pictures(domain, 5, 8) for domain in ("sim", "real")}
    made._translator.settle(made.networks, images["sim"], images["real"])
    for domain, found in images.items():
        maps = ops.convert_to_numpy(made.networks["encoder"](found.astype(np.float32) / 127.5 - 1)[-1])
        mean, deviation = (values.mean(axis=0).reshape(-1) for values in moments(maps))
        gamma, beta = made.networks[f"moments_{domain}"].get_weights()
        np.testing.assert_allclose(gamma, deviation, rtol=1e-4)
        np.testing.assert_allclose(beta, mean, rtol=1e-4, atol=1e-5)


def test_cut_the_other_way_learns_from_real_pictures():
    made = game("cut", direction="to_sim")
    assert "critic_sim" in made.networks
    outputs = made._translator.outputs(made.networks, scaled("sim"), scaled("real"))
    assert outputs.keys() == {"to_sim"}
    np.testing.assert_allclose(outputs["to_sim"], np_of(made.networks["generator"], scaled("real")))


@pytest.mark.parametrize("name", learners())
def test_discriminators_and_generators_are_changed_by_their_own_losses_alone(name):
    """The gradient of the sum is, for each weight, that of the losses it is meant for."""
    import tensorflow as tf

    made = game(name)
    critics = [
        v for key, net in made.networks.items() if key.startswith("critic") for v in net.trainable_variables
    ]
    others = [v for v in made.trainable_variables if not any(v is c for c in critics)]
    if not critics:
        pytest.skip("has no discriminator")
    with tf.GradientTape(persistent=True) as tape:
        losses = made._translator.losses(made.networks, scaled("sim"), scaled("real"))
        of_critics = sum(value for key, value in losses.items() if key.startswith("critic"))
        of_others = sum(value for key, value in losses.items() if not key.startswith("critic"))
    for loss, changed, unchanged in ((of_critics, critics, others), (of_others, others, critics)):
        assert all(g is None or not np.any(g) for g in tape.gradient(loss, [v.value for v in unchanged]))
        moved = tape.gradient(loss, [v.value for v in changed])
        assert sum(float(tf.reduce_sum(tf.abs(g))) for g in moved if g is not None) > 0


def test_the_pool_is_filled_then_half_are_swapped():
    keras.utils.set_random_seed(0)
    pool = Pool((1, 1, 1), 4)
    given, asked = [], 400
    for number in range(asked):
        given.append(float(ops.convert_to_numpy(pool(np.full((1, 1, 1, 1), number, np.float32)))[0, 0, 0, 0]))
    assert given[:4] == [0, 1, 2, 3]
    fresh = [got == number for number, got in enumerate(given)][4:]
    assert 0.4 < np.mean(fresh) < 0.6
    old = [got for got, is_fresh in zip(given[4:], fresh, strict=True) if not is_fresh]
    assert len(old) == len(set(old)), "what was given is no longer kept"
    assert all(got < number for number, got in enumerate(given) if got != number)


def test_a_pool_of_nothing_gives_what_it_gets():
    picture = np.ones((2, *SHAPE), np.float32)
    np.testing.assert_array_equal(Pool(SHAPE, 0)(picture), picture)
