"""Set up ``.venv`` for running (``run``) or for developing (``test``) Wadi; installs nothing when all is there.

Every package is pinned by name, version and hash in the file beside this one that
matches the Python in use. Needs only the standard library:

    python requirements/install.py run
    python requirements/install.py test
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = SCRIPTS / ("python.exe" if sys.platform == "win32" else "python")
SUPPORTED = ((3, 11), (3, 12), (3, 13))


def main() -> None:
    """Install the set named on the command line unless its stamp says that it is there."""
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    if wanted not in ("run", "test"):
        sys.exit("usage: python requirements/install.py run|test")
    if not PYTHON.exists():
        create_venv()
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # What the test set pins is a superset of the run set, at the same versions.
    if any(stamp(s, version).exists() for s in {wanted, "test"}):
        return
    pins = HERE / f"{wanted}-{version}.txt"
    if not pins.exists():
        sys.exit(f"{VENV} holds Python {version}; Wadi needs 3.11, 3.12 or 3.13. Remove the folder and try again.")
    print(f"Setting up .venv ({wanted}, Python {version}); this is done once.", flush=True)
    install(pins)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp(wanted, version).touch()


def create_venv() -> None:
    """Create ``.venv`` with the Python that runs this script."""
    if sys.version_info[:2] not in SUPPORTED:
        sys.exit(
            f"Wadi needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}. "
            "Name another one: make PYTHON=python3.12 demo"
        )
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("This Python makes no virtual environment with pip; on Debian and Ubuntu: apt install python3-venv")


def install(pins: Path) -> None:
    """Install the pins by uv, which takes seconds; where uv cannot be had or fails, by pip."""
    quiet = ("--quiet", "--disable-pip-version-check", "--require-hashes")
    got = run(PYTHON, "-m", "pip", "install", *quiet, "-r", HERE / "uv.txt", check=False)
    if (
        got == 0
        and run(
            PYTHON,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            PYTHON,
            "--require-hashes",
            "-r",
            pins,
            check=False,
        )
        == 0
    ):
        return
    print("uv did not do it; going on with pip (about a minute).", flush=True)
    run(PYTHON, "-m", "pip", "install", *quiet, "-r", pins)


def stamp(wanted: str, version: str) -> Path:
    """Marker file whose name changes with the pins and the package list."""
    pins = HERE / f"{wanted}-{version}.txt"
    body = (pins.read_bytes() if pins.exists() else b"") + (ROOT / "pyproject.toml").read_bytes()
    return VENV / f"{wanted}-{hashlib.sha256(body).hexdigest()[:16]}.stamp"


def run(*command: object, check: bool = True) -> int:
    """Run a command; stop with its exit code if it fails and ``check`` is set."""
    code = subprocess.run([str(c) for c in command], check=False).returncode
    if check and code:
        sys.exit(code)
    return code


if __name__ == "__main__":
    main()
