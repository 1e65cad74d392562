"""Translation of pictures between domains, in training and in the car's loop.

Each file is one translator and its name is the translator's name. Importing this package loads no keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingocar.lazy import lazily
from dingocar.registry import Registry
from dingocar.translate._method import PRESETS, GanSettings, LearnedSettings, Translator, TranslatorSettings

if TYPE_CHECKING:
    from dingocar.translate.artefact import load_translator, save_translator
    from dingocar.translate.runnable import RunnableTranslator
    from dingocar.translate.trainer import train_translator

__all__ = [
    "PRESETS",
    "GanSettings",
    "LearnedSettings",
    "RunnableTranslator",
    "Translator",
    "TranslatorSettings",
    "load_translator",
    "save_translator",
    "train_translator",
    "translators",
]

#: Every translator, by name; a car folder's `translators/*.py` join in.
translators = Registry(
    "translator",
    "dingocar.translate",
    entry=Translator,
    in_car=True,
    hidden=(
        *("artefact", "budget", "export", "gatys", "latent", "pictures"),
        *("proxy", "ros1", "runnable", "sheets", "state", "trainer", "tubs"),
    ),
)

__getattr__ = lazily(
    __name__,
    {
        "RunnableTranslator": "dingocar.translate.runnable",
        "load_translator": "dingocar.translate.artefact",
        "save_translator": "dingocar.translate.artefact",
        "train_translator": "dingocar.translate.trainer",
    },
)
