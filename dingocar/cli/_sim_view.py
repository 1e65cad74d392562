"""Look into a world, live in the browser: camera, map from above, figures

Usage:
    dingocar sim view [--model FILE | --expert] [--track NAME] [--look NAME] [--randomisation NAME] [--seed N]
                      [--port N] [--rate HZ] [--no-browser]

The car is driven by the pilot, by the expert, or by you with the arrow keys. On the page you pause and step,
draw new episodes, and choose another track, look or randomisation. Only this computer can open it.
Ctrl-C ends it.

Options:
    --model FILE   a pilot, .keras or .tflite or Donkeycar's .h5; the pictures then have the size that it sees
    --expert       the scripted expert drives; so it does without --model
    --track NAME   a track's name, random:<seed>, or a DeepRacer .npy file [default: circuit]
    --look NAME    how the world is painted [default: flat]
    --randomisation NAME   none, mild, strong, or a .toml or .json file: what episodes are drawn from
                           [default: none]
    --seed N       of the world and its episodes [default: 0]
    --port N       of the page; 0: any that is free [default: 8890]
    --rate HZ      steps and pictures per second [default: 20]
    --no-browser   only print the page's address
"""

from __future__ import annotations


def run(argv: list[str]) -> int:
    from dingocar.cli._common import note, number, parse
    from dingocar.evaluate.view.server import serve
    from dingocar.evaluate.view.show import Asked, Show

    args = parse(__doc__, argv, "dingocar sim view")
    seed, port = number(args["--seed"], "--seed", low=0), number(args["--port"], "--port", int, 0, 65535)
    rate_hz = number(args["--rate"], "--rate", float, 2, 100)
    asked = Asked(args["--track"], args["--look"], args["--randomisation"], seed)
    pilot, shape = None, (240, 320)
    if args["--model"]:
        from dingocar.cli.evaluate import load_quietly
        from dingocar.evaluate import pilot_driver

        model = load_quietly(args["--model"])
        pilot, shape = pilot_driver(model), model.image_shape[:2]
    show = Show(asked, pilot, shape, rate_hz)

    def ready(url: str) -> None:
        print(url, flush=True)
        note("Ctrl-C ends it")
        if not args["--no-browser"]:
            import webbrowser

            webbrowser.open(url)

    serve(show, port, ready)
    return 0
