"""Packaging: `parts/` and `templates/` beside `dingocar/` are installed inside it.

They keep their place on the first level for people who read the project, and stay out of every user's global
import space: a car folder may have a `parts/` of its own.
"""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = {"dingocar": "dingocar", "dingocar.parts": "parts", "dingocar.templates": "templates"}

packages = [
    name
    for package, folder in FOLDERS.items()
    for name in [package, *(f"{package}.{sub}" for sub in find_packages(folder))]
]

# Each extra brings what one use of the library needs; the base drives a simulated car with a .tflite pilot.
# Not from here: picamera2 and evdev have no wheels for a Pi, its system packages are made for them.
PI = ["adafruit-circuitpython-pca9685>=3.4.13", "simplejpeg>=1.8"]
WEB = ["starlette>=1.0", "uvicorn>=0.54", "websockets>=15"]
GAMEPAD = [
    "evdev-binary>=1.9; sys_platform == 'linux' and platform_machine == 'x86_64'",
    "evdev>=1.7; sys_platform == 'linux' and platform_machine != 'x86_64'",
]
CAMERA = ["opencv-python-headless>=4.10"]
MQTT = ["paho-mqtt>=2.0"]
MOVIE = ["av>=13"]
GYM = ["gymnasium>=1.1"]
# gym-duckietown's own packages need Python 3.11; what reads tile maps runs everywhere.
DUCKIETOWN = [
    "pyyaml>=6.0",
    "duckietown-gym-daffy==6.1.34; python_version < '3.12'",
    "pyglet==1.5.27; python_version < '3.12'",
    "gym==0.23.1; python_version < '3.12'",
    "opencv-python>=4.10; python_version < '3.12'",
]
# scikit-learn: the probes that judge features, and their pictures. scipy: the quantiles of intervals.
TRAIN = [
    *("tensorflow>=2.21", "keras>=3.15", "h5py>=3.11", "matplotlib>=3.9", "simplejpeg>=1.8"),
    *("scikit-learn>=1.5", "scipy>=1.13"),
]
TEST = ["pytest>=8.3", "pytest-xdist>=3.6", "playwright>=1.50", "httpx>=0.27"]

setup(
    name="dingocar",
    version="0.1.0",
    description="Self-driving RC cars: pilots trained in simulation that drive in reality, and the proof",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    package_dir=FOLDERS,
    packages=packages,
    package_data={
        "dingocar": ["py.typed"],
        "dingocar.evaluate.view": ["static/*"],
        "dingocar.sim": ["maps/*"],
        "dingocar.parts.controllers": ["pads/*.json"],
        "dingocar.parts.controllers.web": ["static/*", "static/*/*", "static/*/*/*"],
        "dingocar.templates": ["*.service"],
    },
    install_requires=["numpy>=2.0", "pillow>=10.3", "docopt-ng>=0.9", "tqdm>=4.66", "ai-edge-litert>=2.0"],
    extras_require={
        "pi": PI,
        "web": WEB,
        "gamepad": GAMEPAD,
        "camera": CAMERA,
        "mqtt": MQTT,
        "movie": MOVIE,
        "gym": GYM,
        "duckietown": DUCKIETOWN,
        "sb3": [*GYM, "stable-baselines3>=2.9"],
        "train": TRAIN,
        "test": TEST,
        "dev": [
            *(*PI, *WEB, *GAMEPAD, *CAMERA, *MQTT, *MOVIE, *GYM, *TRAIN, *TEST),
            "jax>=0.6",  # the second backend that the methods are tested on
            *("pyyaml>=6.0", "ruff>=0.14", "mypy>=1.18", "atheris>=3.0; sys_platform == 'linux'"),
        ],
    },
    entry_points={"console_scripts": ["dingocar = dingocar.cli.main:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
