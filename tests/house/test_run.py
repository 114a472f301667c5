"""What ./run does beside building, in a tree of its own and with programs that only pretend."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Makes what a virtual environment, cmake and ninja would, and writes down who came.
PYTHON = f"""#!/bin/sh
case "$*" in
  *check_requirements*) exit 1 ;;
  "-m venv"*) echo begins >>"$LOG"; sleep "${{VENV_SECONDS:-0}}"; mkdir -p "$3/bin"; ln -s "$0" "$3/bin/python" ;;
  *"pip install"*) echo installed >>"$LOG"; exit "${{PIP_STATUS:-0}}" ;;
  *) exec {sys.executable} "$@" ;;
esac
"""
CMAKE = """#!/bin/sh
echo configures >>"$LOG"
printf '[%s]\\n' "$@" >>"$LOG.cmake"
touch build/release/build.ninja
echo "CMAKE_HOME_DIRECTORY:INTERNAL=$(pwd -P)" >build/release/CMakeCache.txt
"""
NINJA = """#!/bin/sh
echo "ninja: ${NINJA_SAYS:-no work to do.}"
"""
PROGRAM = """#!/bin/sh
echo "pid $$"
printf '[%s]\\n' "$@"
echo "hint $LIGHTHOUSE_COMMAND"
[ -n "$WAITS" ] || exit 0
for name in TERM HUP USR1; do trap "echo got $name; exit 3" $name; done
echo ready
while :; do sleep 0.05; done
"""


def make_tree(folder: Path) -> Path:
    (folder / "cmake").mkdir(parents=True)
    for name in ("run", "requirements.txt", "cmake/check_requirements.py"):
        shutil.copy(ROOT / name, folder / name)
    stubs, built = folder / "stubs", folder / "build" / "release" / "bin"
    built.mkdir(parents=True)
    stubs.mkdir()
    for path, text in ((stubs / "python3", PYTHON), (stubs / "cmake", CMAKE), (stubs / "ninja", NINJA), (built / "lighthouse", PROGRAM)):
        path.write_text(text)
        path.chmod(0o755)
    return folder


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "tree")


def environment(tree: Path, **variables) -> dict[str, str]:
    """A variable that is None is not set."""
    values = {**os.environ, "PATH": f"{tree / 'stubs'}:{os.environ['PATH']}", "LOG": str(tree / "log"),
              "LIGHTHOUSE_CACHE": str(tree / "cache"), "LIGHTHOUSE_CUDA": "off", **variables}  # fmt: skip
    values.pop("LIGHTHOUSE_PYTHON", None)
    return {name: value for name, value in values.items() if value is not None}


def start(tree: Path, *words: str, command=None, options=None, **variables) -> subprocess.Popen:
    return subprocess.Popen([command or tree / "run", *(words or ("setup",))], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env=environment(tree, **variables), **(options or {}))  # fmt: skip


def test_several_at_once_set_up_once(tree):
    printed = []
    runs = [start(tree, VENV_SECONDS="1") for _ in range(3)]
    for run in runs:
        printed.append(run.communicate(timeout=60)[0])
        assert run.returncode == 0, printed
    assert (tree / "log").read_text().split() == ["begins", "installed", "configures"]
    assert any("Waiting for another ./run" in text for text in printed)


def test_a_failed_installation_ends_it(tree):
    run = start(tree, PIP_STATUS="1")
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    assert printed.splitlines()[-1] == "run: pip could not install what requirements.txt lists"
    assert "configures" not in (tree / "log").read_text()
    # The next one begins again.
    assert start(tree).wait(timeout=60) == 0


def test_a_cache_that_cannot_be_written(tree):
    (tree / "file").write_text("")
    run = start(tree, LIGHTHOUSE_CACHE=str(tree / "file" / "cache"))
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 1 and "run: cannot write" in printed.splitlines()[-1]


@pytest.mark.parametrize("words", [["lighthouse", "train", "a b"], ["bench", "--n", "1"], ["demo", "--data", "x"]])
def test_the_program_takes_the_place_of_the_script(tree, words):
    """So that kill, docker stop and a lost connection reach it: the script must not end alone and leave it behind."""
    assert start(tree).wait(timeout=60) == 0
    for name in ("TERM", "HUP", "USR1") if words[0] == "lighthouse" else ("TERM",):
        run = start(tree, *words, WAITS="1")
        lines = []
        while not lines or lines[-1] != "ready":
            lines.append(run.stdout.readline().strip())
        run.send_signal(getattr(signal, f"SIG{name}"))
        assert run.communicate(timeout=60)[0] == f"got {name}\n" and run.returncode == 3
        assert lines[0] == f"pid {run.pid}"
        given = words[1:] if words[0] == "lighthouse" else words
        assert lines[1:-2] == [f"[{word}]" for word in given]
        assert lines[-2] == f"hint {tree}/run lighthouse"


def test_python_takes_the_place_of_the_script(tree):
    run = start(tree, "python", "-c", "import os; print(os.getpid())")
    assert run.communicate(timeout=60)[0].split()[-1] == str(run.pid)


ODD = ["with blank", "it's", "glob*[a-z]?", "-dash", "$HOME `x` & co é"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_folders(tmp_path, name):
    tree = make_tree(tmp_path / name)
    for folder in ("home", "temporary"):
        (tree / folder / name).mkdir(parents=True)
    run = start(tree, "lighthouse", "--version", LIGHTHOUSE_CACHE=None, XDG_CACHE_HOME=None, HOME=str(tree / "home" / name),
                TMPDIR=str(tree / "temporary" / name))  # fmt: skip
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 0 and "[--version]" in printed, printed
    (venv,) = (tree / "home" / name / ".cache" / "lighthouse").glob("python*[!k]")
    options = (tree / "log.cmake").read_text().splitlines()
    assert f"[-DLIGHTHOUSE_PYTHON={venv}/bin/python]" in options, options


@pytest.mark.parametrize("character", ['"', ";", ":", "\\"])
def test_names_that_cmake_cannot_work_with(tmp_path, character):
    tree = make_tree(tmp_path / "tree")
    cache = start(tree, LIGHTHOUSE_CACHE=f"{tmp_path}/a{character}b")
    printed = cache.communicate(timeout=60)[0]
    assert cache.returncode == 1 and printed.startswith("run: the path of the cache (LIGHTHOUSE_CACHE names another) must have none of")
    moved = tree.rename(tmp_path / f"a{character}b")
    variables = {"PATH": f"{tmp_path}/stubs:{os.environ['PATH']}"}  # a folder of PATH has no colon
    shutil.copytree(moved / "stubs", tmp_path / "stubs")
    run = start(moved, LIGHTHOUSE_CACHE=str(tmp_path / "cache"), **variables)
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 1 and "run: the path of this checkout must have none of" in printed and f"got {moved}" in printed, printed


def test_a_cache_named_from_where_the_user_stands(tree):
    run = start(tree, "lighthouse", "--version", LIGHTHOUSE_CACHE="-odd cache", options={"cwd": tree})
    assert "[--version]" in run.communicate(timeout=60)[0] and run.returncode == 0
    assert os.readlink(tree / "build" / "release" / "python").startswith(f"{tree}/-odd cache/")


def test_links_and_variables_that_shells_act_on(tree, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "tree").mkdir(parents=True)
    (elsewhere / "difflib.py").write_text("raise SystemExit('a module of the folder that the user stands in')")
    link = elsewhere / "link to run"
    link.symlink_to(tree / "run")
    for command, folder, variables in [
        (link, elsewhere, {}),
        ("./link to run", elsewhere, {}),
        ("tree/run", tmp_path, {"CDPATH": str(elsewhere)}),
        (tree / "run", elsewhere, {"LANG": None, "LC_ALL": None, "XDG_CACHE_HOME": None}),
        (tree / "run", elsewhere, {"HOME": None}),
        (tree / "run", elsewhere, {"HOME": "", "TMPDIR": "/no/such/folder"}),
    ]:
        run = start(tree, "lighthouse", "--version", command=command, options={"cwd": folder}, **variables)
        printed = run.communicate(timeout=60)[0]
        assert run.returncode == 0 and "[--version]" in printed, (command, printed)


def test_a_home_that_is_not_set_is_looked_up(tree):
    run = start(tree, HOME=None, LIGHTHOUSE_CACHE=None, XDG_CACHE_HOME=str(tree / "xdg"))
    assert run.wait(timeout=60) == 0 and (tree / "xdg" / "lighthouse").is_dir()


def test_a_checkout_of_somebody_else():
    """Whoever may not write to it uses what is built, and is told where that is not enough."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        tree = make_tree(Path(folder) / "tree")
        assert start(tree).wait(timeout=60) == 0
        for path in [tree, *tree.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
        options = {"user": 65534} if os.geteuid() == 0 else {}
        used = start(tree, "lighthouse", "--version", options=options)
        printed = used.communicate(timeout=60)[0]
        assert used.returncode == 0 and "[--version]" in printed, printed
        stale = start(tree, "lighthouse", "--version", options=options, NINJA_SAYS="one file to compile")
        printed = stale.communicate(timeout=60)[0]
        assert stale.returncode == 1 and f"run: cannot write {tree}/build" in printed and "(ninja: one file to compile)" in printed
        assert len(printed.splitlines()) == 1
        for path in [tree, *tree.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)


def test_a_moved_checkout_is_configured_anew(tree, tmp_path):
    assert start(tree).wait(timeout=60) == 0
    moved = tree.rename(tmp_path / "moved")
    assert start(moved).wait(timeout=60) == 0
    assert (moved / "log.cmake").read_text().splitlines().count("[--fresh]") == 1
    assert start(moved).wait(timeout=60) == 0
    assert (moved / "log").read_text().split().count("configures") == 2


@pytest.mark.parametrize(
    "words, said",
    [
        (["trian"], "no such command: trian; did you mean ./run lighthouse train?"),
        (["tset"], "no such command: tset; did you mean ./run test?"),
        (["xyzzy"], "no such command: xyzzy (./run help"),
        (["setup", "now"], "setup takes no arguments; got now"),
        (["test", "--quikc"], "test takes --quick or nothing; got --quikc"),
        (["fuzz", "--minutes", "-1"], "--minutes must be a whole number from 1 to 99999; got -1"),
        (["fuzz", "--minutes", "99999999999999999999"], "--minutes must be a whole number"),
        (["fuzz", "--minutes"], "--minutes takes a number"),
    ],
)
def test_wrong_commands(tree, words, said):
    run = start(tree, *words)
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 2 and printed.startswith("run: " + said) and len(printed.splitlines()) == 1, printed


@pytest.mark.parametrize("name, value", [("LIGHTHOUSE_JOBS", "0"), ("LIGHTHOUSE_JOBS", "many"), ("LIGHTHOUSE_CUDA", "maybe")])
def test_wrong_variables(tree, name, value):
    run = start(tree, **{name: value, "NINJA_SAYS": "something to do"})
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 1 and f"{name} must be" in printed and f"got {value}" in printed, printed
