import pytest

from dingocar.translate import train_translator
from dingocar.translate.budget import Budget
from tests.translate.small import small, tub


@pytest.fixture(scope="session")
def tubs(tmp_path_factory):
    """{"sim", "real": a tub}; do not change them."""
    folder = tmp_path_factory.mktemp("tubs")
    return {domain: tub(folder / domain, domain) for domain in ("sim", "real")}


@pytest.fixture(scope="session")
def trained(tubs, tmp_path_factory):
    """The path of a translator by its name, trained for two steps if it learns; made when asked for."""
    folder, made = tmp_path_factory.mktemp("translators"), {}

    def path_of(name):
        if name not in made:
            path = folder / f"{name}.keras"
            train_translator(small(name), [tubs["sim"]], [tubs["real"]], path, Budget(steps=2))
            made[name] = path
        return made[name]

    return path_of
