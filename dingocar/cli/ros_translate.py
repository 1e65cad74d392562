"""A ROS 1 node that translates a camera's pictures: one topic in, another one out

Usage:
    dingocar ros-translate --translator FILE --in TOPIC --out TOPIC [--to DOMAIN] [--queue N]
                           [--quality N] [--json]

For programs that know simulated pictures and get a real camera's, line detection say. Ctrl-C ends it.
It needs ROS 1: sudo apt-get install ros-core python3-rospy python3-sensor-msgs

Options:
    --translator FILE  the translator, .keras or .tflite, see dingocar translate
    --in TOPIC         of sensor_msgs/CompressedImage, e.g. /camera_node/image/compressed
    --out TOPIC        where each picture's translation goes, with its header
    --to DOMAIN        what to translate to, sim or real, where the translator can do both
    --queue N          messages that wait, at most; older ones are dropped [default: 10]
    --quality N        JPEG quality of the translations, 1 to 95 [default: 90]
    --json             print one JSON object at the end
"""

from __future__ import annotations

import logging

from dingocar.cli._common import import_keras_quietly, note, number, parse, path, show
from dingocar.cli.translate import direction_of

#: Seconds between two lines that tell how it goes.
_TOLD_S = 10.0


def run(argv: list[str]) -> int:
    from dingocar.translate import load_translator
    from dingocar.translate.proxy import PictureProxy
    from dingocar.translate.ros1 import Ros1Node, check_master

    args = parse(__doc__, argv, "dingocar ros-translate")
    queue = number(args["--queue"], "--queue", low=1, high=10_000)
    quality = number(args["--quality"], "--quality", low=1, high=95)
    file = path(args["--translator"], "--translator")
    check_master()  # before a translator is loaded, which takes seconds
    import_keras_quietly(file)
    proxy = PictureProxy(load_translator(file, direction_of(args)), quality)
    logging.getLogger("rosout").setLevel(logging.WARNING)
    node = Ros1Node(proxy, args["--in"], args["--out"], queue)
    note(f"translating {args['--in']} to {args['--out']}; Ctrl-C ends it")
    code = 0
    try:
        while not node.wait(_TOLD_S):
            note(_text(proxy.figures()))
    except KeyboardInterrupt as stop:
        code = 128 + getattr(stop, "number", 2)
    finally:
        node.close()
    figures = proxy.figures()
    show(figures, args["--json"], _text(figures))
    return code


def _text(figures: dict[str, float | None]) -> str:
    text = f"{figures['answered']} pictures"
    if figures["failed"]:
        text += f", {figures['failed']} passed through"
    if figures["rate_hz"] is not None:
        text += f", {figures['rate_hz']:.1f} Hz"
    if figures["p50_ms"] is not None:
        text += (
            f", {figures['p50_ms']:.1f} ms each (99 %: {figures['p99_ms']:.1f}, most {figures['max_ms']:.1f})"
        )
    return text
