"""Translators that train in no time, and tubs of two domains to train them on."""

import numpy as np

from dingocar.translate import translators
from dingocar.tub import TubWriter

SHAPE = (16, 24, 3)
NETWORKS = {"filters": 3, "blocks": 1, "discriminator_filters": 3, "discriminator_layers": 1}


def small(name, **settings):
    """A translator of small pictures and networks."""
    kind = translators.load(name)
    known = {n: v for n, v in NETWORKS.items() if n in kind.settings_type.__dataclass_fields__}
    return kind.from_settings({"image_shape": SHAPE} | known | settings)


def learners():
    """The names of those that learn."""
    return [name for name in translators.names() if translators.load(name).learns]


def pictures(domain, count, seed=0, shape=SHAPE):
    """A bright bar on dark ground; real ones are red and brighter: uint8 (N, H, W, 3)."""
    rng = np.random.default_rng([seed, domain == "real"])
    height, width, _ = shape
    images = rng.integers(20, 60, (count, height, width, 3))
    for image, place in zip(images, rng.integers(0, width - 4, count), strict=True):
        image[:, place : place + 4] += 120
    if domain == "real":
        images = images + np.array([70, 10, 0])
    return images.astype(np.uint8)


def tub(path, domain, count=50, shape=SHAPE, seed=0, more=(), words=None):
    """Writes a tub; its steering is the picture's number / `count`. `more`: another picture channel."""
    inputs = ["cam/image_array", "user/angle", "user/throttle", *more]
    types = ["image_array", "float", "float", *("image_array" for _ in more)]
    metadata = words if words is not None else {"domain": domain}
    images = pictures(domain, count, seed, shape)
    with TubWriter(path, inputs, types, metadata, on_full="wait", jpeg_quality=95) as writer:
        for number, image in enumerate(images):
            values = [image, number / count, 0.5, *(image[::2, ::2] for _ in more)]
            writer.write(dict(zip(inputs, values, strict=True)))
    return path
