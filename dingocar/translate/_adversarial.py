"""The losses of generator and discriminator, which several translators share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def adversarial(
    networks: Mapping[str, Any], domain: str, genuine: Any, made: Any, weight: float = 1.0
) -> dict[str, Any]:
    """The two sides of the game about a domain, by least squares (LSGAN, arXiv:1611.04076).

    The discriminator's side counts half, as published with CycleGAN, and does not reach the generator; the
    generator's does not reach the discriminator.

    Args:
        networks: has the discriminator as "critic_DOMAIN", and may have a `Pool` as "pool_DOMAIN".
        domain: which.
        genuine, made: pictures, (B, H, W, 3).
        weight: of the generator's side.

    Returns:
        "fool_DOMAIN" and "critic_DOMAIN".
    """
    from keras import ops

    from dingocar.training.frozen import live_and_frozen
    from dingocar.translate._game import least_squares

    critic, frozen = live_and_frozen(networks[f"critic_{domain}"])
    pool = networks.get(f"pool_{domain}")
    seen = ops.stop_gradient(made)
    if pool is not None:
        seen = pool(seen)
    said_genuine, said_made = ops.split(critic(ops.concatenate([genuine, seen])), 2)
    return {
        f"fool_{domain}": weight * least_squares(frozen(made), 1.0),
        f"critic_{domain}": 0.5 * (least_squares(said_genuine, 1.0) + least_squares(said_made, 0.0)),
    }
