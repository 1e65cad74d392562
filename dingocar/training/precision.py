"""Which number format to train in, and whether to compile with XLA: what is fast on this machine.

Measured with the pilot `linear` on two AMD EPYC cores that have avx512_bf16 (TensorFlow 2.21, batches
of 128, images/s): float32 1007, mixed_bfloat16 1462; compiled with XLA 30 to 320. So bfloat16 is taken
where the processor calculates in it, and XLA is left to GPUs.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

#: Flags in /proc/cpuinfo of processors that calculate in bfloat16, not just convert from and to it.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


def resolve_precision(precision: str) -> str:
    """Returns the Keras dtype policy to train with; "auto" becomes what is fast here."""
    if precision != "auto":
        return precision
    import keras

    # Elsewhere nobody has measured it yet.
    fast = keras.backend.backend() == "tensorflow" and (
        _gpu_has_bfloat16() if _gpus() else _cpu_has_bfloat16(Path("/proc/cpuinfo"))
    )
    return "mixed_bfloat16" if fast else "float32"


def jit_compile() -> bool | str:
    """What to pass to `compile`: no XLA for TensorFlow on a CPU, else Keras' own choice."""
    import keras

    return False if keras.backend.backend() == "tensorflow" and not _gpus() else "auto"


def make_deterministic() -> None:
    """Asks the backend for the same bits every time; holds for the rest of the process."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    else:
        logger.warning("deterministic operations: only TensorFlow can be asked for them")


def _cpu_has_bfloat16(cpuinfo: Path) -> bool:
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("flags"):
                return not _BFLOAT16_FLAGS.isdisjoint(line.split())
    except OSError:  # no Linux
        pass
    return False


def _gpus() -> list[Any]:
    import tensorflow as tf

    return list(tf.config.list_physical_devices("GPU"))


def _gpu_has_bfloat16() -> bool:
    """Whether all GPUs are of compute capability 8.0 (Ampere) or newer."""
    import tensorflow as tf

    details = (tf.config.experimental.get_device_details(gpu) for gpu in _gpus())
    return all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
