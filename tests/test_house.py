"""The rules of the house: who may import whom, what stays light, how long a file is."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Each layer may import the ones named; the core imports none of them.
CORE = {
    "vehicle",
    "memory",
    "part",
    "profiler",
    "supervision",
    "clock",
    "config",
    "settings",
    "errors",
    "registry",
    "entry",
    "lazy",
    "files",
    "usercode",
    "images",
    "words",
}
MIDDLE = {"evaluate", "explain", "rl", "translate", "training", "adapt", "zoo", "sim", "tub"}
ALLOWED = {
    "core": CORE,
    "tub": CORE | {"tub"},
    "sim": CORE | {"sim"},
    "zoo": CORE | {"zoo"},
    "middle": CORE | MIDDLE,
    "parts": CORE | MIDDLE | {"parts"},
    # A template is a program too: it ends with a call of the command line.
    "templates": CORE | MIDDLE | {"parts", "templates", "cli"},
}
KERAS_MAY_BE_IN = {"zoo", "adapt", "training", "translate", "explain", "rl", "evaluate", "cli"}
#: Only export, the interpreters and the choice of the precision may know which backend Keras runs on.
BACKEND_MAY_BE_IN = {
    "dingocar/training/export.py",
    "dingocar/training/precision.py",
    "dingocar/zoo/interpreter.py",
}
#: Each of these packages is known to one place (or two, where two servers serve pages).
ONE_PLACE = {
    "adafruit_pca9685": "parts/actuators/_chip.py",
    "adafruit_blinka": "parts/actuators/_i2c.py",
    "picamera2": "parts/cameras/pi.py",
    "libcamera": "parts/cameras/pi.py",
    "cv2": ("parts/cameras/opencv.py", "dingocar/evaluate/sift.py"),
    "evdev": "parts/controllers/_evdev.py",
    "starlette": ("parts/controllers/web/", "dingocar/evaluate/view/"),
    "uvicorn": ("parts/controllers/web/", "dingocar/evaluate/view/"),
    "websockets": ("parts/controllers/web/", "dingocar/evaluate/view/"),
    "paho": "parts/telemetry/mqtt.py",
    "av": "dingocar/evaluate/movie.py",
    "gymnasium": "dingocar/sim/gym_env",
    "sklearn": "dingocar/adapt/probes.py",
    **dict.fromkeys(("rospy", "rosgraph", "sensor_msgs"), "dingocar/translate/ros1.py"),
    "yaml": "dingocar/sim/tracks/duckietown.py",
    "gym_duckietown": "dingocar/sim/duckietown_gym",
    "duckietown_world": "dingocar/sim/duckietown_gym",
    "geometry": "dingocar/sim/duckietown_gym",
    "pyglet": "dingocar/sim/duckietown_gym",
    "gym": "dingocar/sim/duckietown_gym",
}
LIGHT = {"numpy", "PIL", "dingocar"} | set(sys.stdlib_module_names)


def _sources():
    for folder in ("dingocar", "parts", "templates"):
        yield from sorted((ROOT / folder).rglob("*.py"))


SOURCES = list(_sources())


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def module_of(path):
    """The dotted name of a source file."""
    module = name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return module if module.startswith("dingocar") else f"dingocar.{module}"


MODULES = {module_of(path) for path in SOURCES}


def imports(path, top_level=False):
    """All modules a file imports, as dotted names (`top_level`: only those outside functions)."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    if top_level:
        inside = {
            child
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _type_checking(node)
            for child in ast.walk(node)
        }
        nodes = [node for node in nodes if node not in inside]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


def _type_checking(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def layer(path):
    """The layer a source file belongs to."""
    parts = path.relative_to(ROOT).parts
    if parts[0] != "dingocar":
        return parts[0]
    if len(parts) == 2:
        return "core"
    return parts[1] if parts[1] in ("tub", "sim", "zoo", "cli") else "middle"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_dependencies_point_downwards(path):
    allowed = ALLOWED.get(layer(path))
    if allowed is None:  # the command line may use anything, inside its functions
        top = {name.split(".")[0] for name in imports(path, top_level=True)}
        assert top <= LIGHT | {"docopt"}
        return
    for name in imports(path):
        bits = name.split(".")
        if bits[0] == "dingocar" and len(bits) > 1 and bits[1] not in ("__version__",):
            assert bits[1] in allowed, f"{name_of(path)} imports {name}"
        assert bits[0] not in ("parts", "templates", "tests"), f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_heavy_packages_stay_where_they_belong(path):
    for name in imports(path):
        top = name.split(".")[0]
        if top in ("keras", "h5py"):
            parts = path.relative_to(ROOT).parts
            assert parts[0] == "dingocar" and parts[1] in KERAS_MAY_BE_IN, f"{name_of(path)} imports {name}"
        if top in ("tensorflow", "torch", "jax"):
            assert name_of(path) in BACKEND_MAY_BE_IN, f"{name_of(path)} imports {name}"
        assert name_of(path).startswith(ONE_PLACE.get(top, "")), f"{name_of(path)} imports {name}"
    if layer(path) in ("core", "tub", "sim"):
        foreign = {name.split(".")[0] for name in imports(path)} - LIGHT
        # Other simulators' packages are known to the plugs for them, and loaded when those are used.
        foreign -= {top for top, place in ONE_PLACE.items() if str(place).startswith("dingocar/sim/")}
        assert not foreign, f"{name_of(path)} may use only the standard library, numpy and Pillow"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= 60, f"{name_of(path)}:{node.lineno} {node.name}: {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_file_and_public_function_says_what_it_is(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"
    for node in tree.body:
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if public and not (layer(path) == "cli" and node.name == "run"):
            assert ast.get_docstring(node), f"{name_of(path)}:{node.lineno} {node.name} has no docstring"


def test_there_are_no_circles():
    graph = {
        module_of(path): (set(imports(path, top_level=True)) & MODULES) - {module_of(path)}
        for path in SOURCES
    }
    done, path_now = set(), []

    def visit(module):
        assert module not in path_now, " -> ".join([*path_now[path_now.index(module) :], module])
        if module in done:
            return
        path_now.append(module)
        for used in sorted(graph[module]):
            visit(used)
        path_now.pop()
        done.add(module)

    for module in sorted(graph):
        visit(module)


HEAVY = (
    "{'keras', 'tensorflow', 'cv2', 'starlette', 'uvicorn', 'tornado', 'matplotlib', 'h5py', 'jax', 'torch', "
    "'adafruit_pca9685', 'evdev', 'paho', 'av', 'simplejpeg', 'gymnasium', 'yaml', 'gym_duckietown', "
    "'sklearn', 'scipy'}"
)


@pytest.mark.parametrize(
    "code",
    [
        "import dingocar",
        "import dingocar.zoo",
        "import dingocar.templates.complete",
        "from dingocar.cli.main import main; main(['--help'])",
        "from dingocar.cli.main import main; [main(['list', k]) for k in ('pilots', 'tracks', 'parts')]",
    ],
)
def test_stays_light(code):
    check = f"{code}\nimport sys\nheavy = {HEAVY} & set(sys.modules)\nassert not heavy, heavy"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", check], check=True, cwd="/", env=env, capture_output=True)


@pytest.mark.parametrize("name", ["parts", "templates"])
def test_short_names_are_refused(name):
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert f"import dingocar.{name}, not {name}" in done.stderr


def given_by(module):
    """The names that one of our modules gives, those that it loads when asked included; None: no module."""
    short = module.removeprefix("dingocar.")
    folder = ROOT.joinpath(*(short if short.split(".")[0] in ("parts", "templates") else module).split("."))
    file = next(
        (each for each in (folder.with_suffix(".py"), folder / "__init__.py") if each.is_file()), None
    )
    if file is None:
        return None
    names = {each.stem for each in folder.glob("*")} if file.name == "__init__.py" else set()
    for node in ast.parse(file.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {name.id for target in targets if target for name in ast.walk(target) if hasattr(name, "id")}
        names |= {
            alias.asname or alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")
        }
        names.add(getattr(node, "name", ""))
        if file.name == "__init__.py" and isinstance(node, ast.Assign | ast.AnnAssign | ast.FunctionDef):
            names |= {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    return names


@pytest.mark.parametrize("path", sorted(ROOT.glob("benchmarks/*.py")), ids=name_of)
def test_what_benchmarks_import_is_there(path):
    """They run too seldom for a name that has gone to be noticed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in (
            "dingocar",
            "benchmarks",
            "tests",
        ):
            gone = {alias.name for alias in node.names} - (given_by(node.module) or set())
            assert not gone, f"line {node.lineno}: {node.module} gives no {', '.join(sorted(gone))}"


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=name_of)
def test_docs_name_only_what_there_is(path):
    """Links lead somewhere, and no page has a gap left to fill in."""
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (path.parent / target).exists(), target
    assert not re.findall(r"^[A-Z]+_[A-Z_]+$|TODO|TBD", text, flags=re.MULTILINE)
