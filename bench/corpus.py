"""A corpus of Python source from packages that any machine can install: the text of the quality experiment.

    python bench/corpus.py --out data/python.txt             download the packages below, write one text file
    python bench/corpus.py --out data/python.txt --pack FILE   and a copy packed by xz
    python bench/corpus.py --unpack FILE --out data/python.txt   from such a copy, without a network

Every .py file of every wheel, without files that are seen twice, are empty, are not UTF-8 or are longer than a megabyte; a
line before each names it. Folders come in an order by hash and their files by name: what belongs together stays together, and
the held-out tail is of all packages. Tokens are the file's bytes.
"""

import argparse
import hashlib
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

PACKAGES = """
sympy==1.13.3 django==5.1.4 sqlalchemy==2.0.36 networkx==3.4.2 scipy==1.14.1 numpy==2.1.3 pandas==2.2.3
scikit-learn==1.5.2 matplotlib==3.9.3 sphinx==8.1.3 mypy==1.13.0 twisted==24.11.0 statsmodels==0.14.4 keras==3.7.0
bokeh==3.6.2 dask==2024.11.2 distributed==2024.11.2 xarray==2024.11.0 ipython==8.29.0 pylint==3.3.1 pip==24.3.1
setuptools==75.6.0 tornado==6.4.2 celery==5.4.0 pygments==2.18.0 docutils==0.21.2 nltk==3.9.1 gensim==4.3.3
swift==2.34.0 keystone==26.0.0 buildbot==4.1.0 scrapy==2.12.0 wagtail==6.3.1 trytond==7.4.0 hypothesis==6.119.4
pytest==8.3.3 nibabel==5.3.2 mne==1.8.0 cirq-core==1.4.1 rdflib==7.1.1 ase==3.23.0 biopython==1.84
scikit-image==0.24.0 pyglet==2.0.18 kivy==2.3.0 numba==0.60.0 cython==3.0.11 fonttools==4.55.0 music21==9.3.0
pywikibot==9.5.0 aiohttp==3.11.8 black==24.10.0 poetry==1.8.4 jedi==0.19.2 astroid==3.3.5 optuna==4.1.0
coverage==7.6.8
""".split()

MOST_BYTES = 1_000_000
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "any")


def download(package: str, folder: pathlib.Path) -> pathlib.Path:
    """The wheel of "name==version"; one folder each, so that what is there is this package's."""
    target = folder / package.split("==")[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    done = subprocess.run([*command, "--dest", str(target), package], capture_output=True, text=True)
    wheels = list(target.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        sys.exit(f"pip could not download {package}: {done.stderr.strip()[-300:]}")
    return wheels[0]


def sources(wheel: pathlib.Path):
    """Paths and texts of a wheel's Python files, in order."""
    with zipfile.ZipFile(wheel) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            if not info.filename.endswith(".py") or not 0 < info.file_size <= MOST_BYTES:
                continue
            data = archive.read(info)
            try:
                data.decode("utf-8")
            except UnicodeDecodeError:
                continue
            yield info.filename, data


def write_atomically(path: pathlib.Path, write) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_corpus(wheels: list[pathlib.Path], file) -> int:
    texts = {}  # by content; the first name in order stays
    for wheel in wheels:
        for name, data in sources(wheel):
            texts.setdefault(hashlib.sha256(data).digest(), (name, data))
    order = sorted(texts.values(), key=lambda item: (hashlib.sha256(str(pathlib.PurePosixPath(item[0]).parent).encode()).digest(), item[0]))
    for name, data in order:
        file.write(f"# file: {name}\n".encode() + data + b"\n")
    return len(order)


def describe(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"{path}: {path.stat().st_size:,} bytes, sha256 {digest.hexdigest()}"


def copy(source, file) -> None:
    while block := source.read(1 << 20):
        file.write(block)


def pack(source: pathlib.Path, packed: pathlib.Path) -> None:
    def write(file):
        with open(source, "rb") as text, lzma.open(file, "wb", preset=6) as compressed:
            copy(text, compressed)

    write_atomically(packed, write)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the text file to write")
    parser.add_argument("--pack", type=pathlib.Path, help="write a copy packed by xz too")
    parser.add_argument("--unpack", type=pathlib.Path, help="take the text from such a copy")
    arguments = parser.parse_args()
    try:
        make(arguments)
    except OSError as error:
        sys.exit(f"bench/corpus.py: {error}")
    except (lzma.LZMAError, EOFError) as error:
        sys.exit(f"bench/corpus.py: expected a file that xz packed; got {arguments.unpack} ({error})")


def make(arguments: argparse.Namespace) -> None:
    if arguments.unpack:
        with lzma.open(arguments.unpack) as packed:
            write_atomically(arguments.out, lambda file: copy(packed, file))
    else:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
            wheels = list(pool.map(lambda package: download(package, pathlib.Path(folder)), PACKAGES))
            print(f"{len(wheels)} packages downloaded", file=sys.stderr)
            write_atomically(arguments.out, lambda file: print(f"{write_corpus(wheels, file):,} files", file=sys.stderr))
    print(describe(arguments.out))
    if arguments.pack:
        pack(arguments.out, arguments.pack)
        print(describe(arguments.pack))


if __name__ == "__main__":
    main()
