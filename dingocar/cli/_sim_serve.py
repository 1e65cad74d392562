"""Let Donkeycar and gym-donkeycar drive in our worlds

Usage:
    dingocar sim serve [--host ADDRESS] [--port N] [--track NAME] [--look NAME] [--randomisation NAME]
                       [--rate HZ] [--seed N] [--json]

Speaks the Donkey simulator's protocol: clients connect as they do to Unity's program. Each has a car and a
world of its own. Each is announced as it joins and leaves. Ctrl-C ends it.

Options:
    --host ADDRESS        listen here; 0.0.0.0: the whole network may drive [default: 127.0.0.1]
    --port N              0: any free one [default: 9091]
    --track NAME          behind every scene of Unity's; without it each scene has a track of ours
    --look NAME           how the worlds are painted [default: flat]
    --randomisation NAME  none, mild, strong, or a file; drawn at each reset [default: none]
    --rate HZ             pictures and steps of the world per second [default: 20]
    --seed N              of each client's world, unless it sets one [default: 0]
    --json                print what was served as one JSON object at the end
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os

from dingocar.cli._common import note, number, parse
from dingocar.words import counted


def run(argv: list[str]) -> int:
    from dingocar.sim import Camera, World, donkey_server
    from dingocar.sim.donkey_server import DonkeyServer
    from dingocar.sim.donkey_session import Settings

    args = parse(__doc__, argv, "dingocar sim serve")
    settings = Settings(
        args["--track"],
        args["--look"],
        args["--randomisation"],
        number(args["--rate"], "--rate", float, 2, 1000),
        number(args["--seed"], "--seed", low=0, high=2**53),
    )
    # What is wrong with these would otherwise be told to the first client: one episode is drawn and painted.
    track, camera = settings.track or "circuit", Camera.of_shape((60, 80))
    World(track, settings.look, camera=camera, randomisation=settings.randomisation).render()
    server = DonkeyServer(settings, args["--host"], number(args["--port"], "--port", low=0, high=65535))
    if "DINGOCAR_LOG" not in os.environ:  # who comes and goes
        logging.getLogger(donkey_server.__name__).setLevel(logging.INFO)
    try:
        with server:
            note(f"listening on {server.host}:{server.port}, {_reach(server.host)}; Ctrl-C ends it")
            server.wait()
    finally:
        figures = server.to_json()
        clients, sent = counted(figures["clients"], "client"), counted(figures["frames"], "picture")
        text = f"{clients}, {sent} sent, " + "{dropped} dropped, {late} late, {refused} refused"
        if args["--json"]:
            print(json.dumps(figures), flush=True)
        else:
            note(text.format(**figures))
    return 0


def _reach(host: str) -> str:
    """Who may connect, in words."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if local:
        return "for this computer only (--host 0.0.0.0: for the network)"
    return "for everybody in the network: whoever reaches this address may drive, without a password"
