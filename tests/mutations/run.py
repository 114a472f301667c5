"""Are the tests worth anything? Plants small faults in copies of the tree, one at a time, and reports which the tests notice.

    ./run python tests/mutations/run.py [NAME ...] [--group GROUP ...] [--jobs N] [--quick] [--again] [--check]

The copies and their builds stay in build/mutations, so that a second run compiles only what a fault touches. So does
results.json: a fault that was caught is not judged again while it and its file are as they were (--again: all are). Exits
with 1 if a fault was missed or no longer fits the source.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Optional

from copies import ROOT, WORK, BuildError, Copy, JudgeError, has_gpu, targets_of, timed
from lists import GROUPS
from mutation import Mutation

RESULTS = WORK / "results.json"
GROUP_OF = {mutation.name: group for group, mutations in GROUPS.items() for mutation in mutations}


def problems(mutations: list[Mutation]) -> list[str]:
    """What makes the lists useless: names that stand twice, files and texts that are gone, judges that are none."""
    found = []
    names = [mutation.name for mutation in mutations]
    found += [f"{name}: two faults have this name" for name in sorted({name for name in names if names.count(name) > 1})]
    for mutation in mutations:
        path = ROOT / mutation.file
        source = path.read_text(encoding="utf-8") if path.is_file() else None
        if source is None:
            found.append(f"{mutation.name}: there is no {mutation.file}")
        elif mutation.applied(source) is None:
            found += [f"{mutation.name}: expected once in {mutation.file}, found {source.count(find)} times: {find}"
                      for find, _ in mutation.edits if source.count(find) != 1]  # fmt: skip
        elif mutation.applied(source) == source:
            found.append(f"{mutation.name}: changes nothing")
    return found + wrong_judges(mutations)


def wrong_judges(mutations: list[Mutation]) -> list[str]:
    """Judges that name tests which are not there."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("*/*.cpp")]
    tests = [".".join(names) for source in sources for names in re.findall(r"^TEST\((\w+), (\w+)\)", source, re.MULTILINE)]
    found = []
    for judge in sorted({judge for mutation in mutations for judge in mutation.judges}):
        kind, _, rest = judge.partition(":")
        for pattern in rest.split(":") if kind.startswith("test_") and rest else []:
            if not fnmatch.filter(tests, pattern):
                found.append(f"{judge}: no test is named {pattern}")
        for word in rest.split() if kind == "pytest" else []:
            path, _, test = word.partition("::")
            if path.startswith("tests/") and not ((ROOT / path).exists() and f"def {test.partition('[')[0]}" in (ROOT / path).read_text()):
                found.append(f"{judge}: there is no {word}")
    return found


def key_of(mutation: Mutation) -> str:
    return hashlib.sha256(repr(mutation).encode() + (ROOT / mutation.file).read_bytes()).hexdigest()[:16]


class Judging:
    """What the workers share: faults that are left, which judges pass without any fault, results."""

    def __init__(self, mutations: list[Mutation], quick: bool, results: dict[str, dict]) -> None:
        self.left = sorted(mutations, key=lambda mutation: (targets_of(mutation.judges[0]), mutation.file))
        self.quick = quick
        self.results = results
        self.total, self.done = len(mutations), 0
        self.lock = threading.RLock()
        self.asking: dict[str, threading.Lock] = {}
        self.seconds_of: dict[str, float] = {}  # without a fault
        self.unfit: dict[str, str] = {}  # why
        self.failure: Optional[str] = None

    def next(self, before: Optional[Mutation]) -> Optional[Mutation]:
        """One that needs what was built already, where there is one; else one of the largest rest."""
        with self.lock:
            if not self.left or self.failure:
                return None
            needs = [targets_of(mutation.judges[0]) for mutation in self.left]
            wanted = targets_of(before.judges[0]) if before else None
            if wanted not in needs:
                wanted = max(needs, key=needs.count)
            same = [mutation for mutation in self.left if targets_of(mutation.judges[0]) == wanted]
            chosen = next((mutation for mutation in same if before and mutation.file == before.file), same[0])
            self.left.remove(chosen)
            return chosen

    def judges_of(self, mutation: Mutation) -> list[str]:
        """The listed ones, then the programs as a whole."""
        judges = list(mutation.judges)
        whole = [] if self.quick else [judge.partition(":")[0] for judge in judges if judge.startswith("test_")]
        return list(dict.fromkeys(judges + whole))

    def expect_to_pass(self, copy: Copy, judge: str) -> float:
        """Asks the judge about the tree as it is, once for all copies; the seconds that it took."""
        with self.lock:
            asking = self.asking.setdefault(judge, threading.Lock())
        with asking:
            if judge not in self.seconds_of:
                copy.make(targets_of(judge))
                failed, self.seconds_of[judge] = timed(lambda: copy.ask(judge, 1800))
                if failed:
                    self.unfit[judge] = f"{judge} fails without any fault: {failed}"
            if judge in self.unfit:
                raise JudgeError(self.unfit[judge])
            return self.seconds_of[judge]

    def record(self, mutation: Mutation, verdict: str, detail: str, seconds: float) -> None:
        with self.lock:
            self.done += 1
            self.results[mutation.name] = {"group": GROUP_OF[mutation.name], "breaks": mutation.breaks, "file": mutation.file,
                                           "verdict": verdict, "detail": detail, "seconds": round(seconds, 1),
                                           "key": key_of(mutation)}  # fmt: skip
            temporary = RESULTS.with_suffix(".tmp")
            temporary.write_text(json.dumps(self.results, indent=1), encoding="utf-8")
            os.replace(temporary, RESULTS)
            print(f"[{self.done}/{self.total}] {verdict:7} {mutation.name}: {mutation.breaks}  [{detail}, {seconds:.0f} s]", flush=True)


def judge(copy: Copy, mutation: Mutation, judging: Judging) -> tuple[str, str]:
    """(verdict, detail); the copy is as it was afterwards."""
    first, *others = judging.judges_of(mutation)
    try:
        seconds = judging.expect_to_pass(copy, first)
        with copy.broken_by(mutation) as fits:
            if not fits:
                return "stale", "its text is not, or not once, in the source"
            try:
                copy.make(targets_of(first))
            except BuildError as error:
                return "stale", f"does not compile: {error}"
            failed = copy.ask(first, 30 + 5 * seconds)
        for other in others if failed is None else []:
            seconds = judging.expect_to_pass(copy, other)
            with copy.broken_by(mutation):
                copy.make(targets_of(other))
                failed = copy.ask(other, 30 + 5 * seconds)
            if failed:
                break
    except JudgeError as error:
        return "unjudged", str(error)
    return ("caught", failed) if failed else ("MISSED", "no test failed")


def work(number: int, threads: int, cuda: bool, only_library: bool, judging: Judging) -> None:
    try:
        copy = Copy(number, threads)
        copy.configure(cuda, only_library)
        mutation = judging.next(None)
        while mutation:
            (verdict, detail), seconds = timed(lambda: judge(copy, mutation, judging))
            judging.record(mutation, verdict, detail, seconds)
            mutation = judging.next(mutation)
    except Exception as error:  # the other workers stop too
        with judging.lock:
            judging.failure = judging.failure or f"{type(error).__name__}: {error}"


def table(mutations: list[Mutation], results: dict[str, dict]) -> str:
    """As Markdown."""
    lines = ["| group | fault | file | verdict | by |", "|---|---|---|---|---|"]
    for mutation in mutations:
        found = results.get(mutation.name, {"verdict": "not run", "detail": ""})
        detail = " ".join(str(found["detail"]).replace("|", "/").split())[:100]
        lines.append(f"| {GROUP_OF[mutation.name]} | {mutation.name}: {mutation.breaks} | {mutation.file} | {found['verdict']} | {detail} |")
    return "\n".join(lines) + "\n"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults to plant; default: all")
    parser.add_argument("--group", action="append", default=[], choices=sorted(GROUPS), help="the faults of one list; repeatable")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="copies that are judged side by side (1)")
    parser.add_argument("--quick", action="store_true", help="ask the judges that a fault lists, and no whole programs after them")
    parser.add_argument("--again", action="store_true", help="judge what was caught before, too")
    parser.add_argument("--check", action="store_true", help="only whether each fault still fits its file: exits with 1 if one does not")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the results as a table")
    return parser.parse_args()


def chosen_of(given: argparse.Namespace) -> list[Mutation]:
    mutations = [mutation for list_ in GROUPS.values() for mutation in list_]
    unknown = set(given.names) - {mutation.name for mutation in mutations}
    if unknown:
        sys.exit(f"expected names of faults; got {', '.join(sorted(unknown))}")
    if not given.names and not given.group:
        return mutations
    return [mutation for mutation in mutations if mutation.name in given.names or GROUP_OF[mutation.name] in given.group]


def main() -> int:
    given = parsed()
    mutations = chosen_of(given)
    if found := problems(mutations):
        print("\n".join(found))
    if given.check or found:
        return 1 if found else 0

    WORK.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    gpu = has_gpu()
    of_gpu = [mutation for mutation in mutations if mutation.judges[0].startswith("gpu")]
    if of_gpu and not gpu:
        print(f"Passed over, for want of a GPU: {len(of_gpu)} faults")
    candidates = mutations if gpu else [mutation for mutation in mutations if mutation not in of_gpu]
    known = lambda mutation: results.get(mutation.name, {}).get("key") == key_of(mutation)  # noqa: E731
    left = [mutation for mutation in candidates
            if given.again or not (known(mutation) and results[mutation.name]["verdict"] == "caught")]  # fmt: skip

    jobs = max(1, min(given.jobs, len(left)))
    threads = max(1, int(os.environ.get("LIGHTHOUSE_JOBS", os.cpu_count() or 1)) // jobs)
    judging = Judging(left, given.quick, results)
    needs_cuda = gpu and any(mutation.judges[0].startswith("gpu") for mutation in left)
    only_library = all(mutation.judges[0].startswith("gpu") for mutation in left)
    workers = [threading.Thread(target=work, args=(number, threads, needs_cuda, only_library, judging)) for number in range(jobs if left else 0)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if judging.failure:
        print(judging.failure)

    of_now = {mutation.name: results[mutation.name] for mutation in mutations if mutation.name in results and known(mutation)}
    if given.json:
        given.json.write_text(json.dumps(of_now, indent=1) + "\n", encoding="utf-8")
    if given.markdown:
        given.markdown.write_text(table(mutations, of_now), encoding="utf-8")
    count = lambda verdict: sum(result["verdict"] == verdict for result in of_now.values())  # noqa: E731
    missed = [name for name, result in of_now.items() if result["verdict"] != "caught"]
    print(f"{count('caught')} of {len(mutations)} faults caught, {count('MISSED')} missed, {count('stale')} stale, {count('unjudged')} unjudged, "
          f"{len(mutations) - len(of_now)} not run")  # fmt: skip
    if missed:
        print("not caught: " + ", ".join(missed))
    return 1 if missed or judging.failure else 0


if __name__ == "__main__":
    sys.exit(main())
