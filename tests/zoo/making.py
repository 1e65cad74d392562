"""Small pilots for tests: as small as every pilot of the zoo can be built."""

import json
import zipfile

import numpy as np

from dingocar.zoo import pilots

SHAPE = (80, 96, 3)


def networks():
    """Names of pilots, one for each network: some types share one."""
    return list({pilots.load(name).build: name for name in reversed(pilots.names())}.values())


def small(name, **settings):
    """A pilot that takes small pictures, and its seeded network."""
    import keras

    keras.utils.set_random_seed(5)
    pilot = pilots.load(name).from_settings({"image_shape": SHAPE, **settings})
    return pilot, pilot.build()


def pictures(n, seed=0, shape=SHAPE):
    """Smooth random pictures: their left and right halves differ in brightness, as a road's do."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 5, 6, 3)).astype(np.uint8)
    return coarse.repeat(shape[0] // 5, axis=1).repeat(shape[1] // 6, axis=2)


def outputs(model, images):
    """The network's outputs as Keras computes them, {head: array}."""
    return {head: np.asarray(value) for head, value in model(images, training=False).items()}


def repack(path, change, new_path=None):
    """Rewrites a zip file; `change(name, content)` gives the new content, or None to leave it out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    new_path = new_path or path
    with zipfile.ZipFile(new_path, "w") as archive:
        for name, content in members.items():
            content = change(name, content)
            if content is not None:
                archive.writestr(name, content)
    return new_path


def edit_json(path, member, edit):
    def change(name, content):
        if name != member:
            return content
        data = json.loads(content)
        edit(data)
        return json.dumps(data)

    return repack(path, change)
