#!/usr/bin/env python3
"""Random cases of every operator: Treadle beside onnxruntime, onnx's reference, or numpy.

usage: differential_test.py [OPERATOR...] [--case N] [--list]
  TREADLE_DIFFERENTIAL_CASES   compared cases an operator (50)
  TREADLE_DIFFERENTIAL_SEED    another seed, other cases (0)

A case is compared with the first oracle that computes it: numpy where the generator brings the
result, onnxruntime, onnxruntime in float, onnx's reference evaluator. known.toml lists what an
oracle does wrong, so that it is not asked. --case prints one case, and what everybody makes of it.
"""
import argparse
import collections
import dataclasses
import importlib
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import sys
import tomllib

import numpy as np

import case as cases
import compare
import engines

HERE = pathlib.Path(__file__).parent
CASES = int(os.environ.get("TREADLE_DIFFERENTIAL_CASES", 50))
SEED = int(os.environ.get("TREADLE_DIFFERENTIAL_SEED", 0))
WORKERS = min(2, len(os.sched_getaffinity(0)))
DRAWS = 4  # drawn at most for each case that must be compared
SHOWN = 3  # failures printed of one operator
WIDTH = 600  # of a line of them; --case prints all


@dataclasses.dataclass(frozen=True)
class Known:
    """An entry of known.toml."""

    operators: tuple[str, ...]
    oracle: str
    when: str
    reason: str
    seed: int  # some case of this seed meets it

    def holds(self, case):
        if str(case.operator) not in self.operators:
            return False
        names = {"np": np, "a": case.attributes, "x": case.inputs, "opset": case.opset,
                 "dtype": [getattr(i, "dtype", None) for i in case.inputs],
                 "shape": [getattr(i, "shape", None) for i in case.inputs],
                 "outputs": case.outputs}
        return bool(eval(self.when, names))


def read_known():
    with open(HERE / "known.toml", "rb") as file:
        entries = tomllib.load(file)["known"]
    return [Known(tuple(e["operators"]), e["oracle"], e.get("when", "True"), e["reason"], e.get("seed", 0))
            for e in entries]


KNOWN = read_known()


@dataclasses.dataclass
class Result:
    """What came of one operator."""

    operator: str
    compared: int = 0
    drawn: int = 0
    refused: int = 0  # by every engine: the case is not legal
    alone: int = 0  # computed by Treadle only
    oracles: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    excused: set[int] = dataclasses.field(default_factory=set)  # entries of KNOWN
    failures: list[str] = dataclasses.field(default_factory=list)


def ask(case, excused=None):
    """The oracle's name and its outputs; (None, why) where none computes the case."""
    whys = []
    for name, compute in engines.ORACLES.items():
        entry = next((i for i, k in enumerate(KNOWN)
                      if k.oracle == name.split(",")[0] and k.holds(case)), None)
        if entry is not None:
            if excused is not None:
                excused.add(entry)
            continue
        try:
            return name, compute(case)
        except engines.Refused as why:
            whys.append(f"{name}: {why}")
    return None, "; ".join(whys)


def judge(case, way, oracle, want):
    """(what is wrong, whether Treadle refused)."""
    try:
        got = engines.by_treadle(case, way)
    except engines.Refused as why:
        return (f"refused, which {oracle} computes: {why}" if oracle else ""), True
    if case.check is not None:
        try:
            case.check(got)
        except AssertionError as wrong:
            return f"{wrong}", False
        return "", False
    if oracle is None:
        return "", False
    wrong = compare.difference(got, want, case)
    return (f"{wrong} (by {oracle})" if wrong else ""), False


def opinions(case, way):
    """What each oracle says of Treadle's outputs, or of its refusal."""
    try:
        got = engines.by_treadle(case, way)
    except engines.Refused:
        got = None
    for name, compute in engines.ORACLES.items():
        try:
            want = compute(case)
            same = got is not None and not compare.difference(got, want, case)
            yield f"{name} {'agrees' if same else 'differs'}"
        except engines.Refused:
            yield f"{name} refuses"


def run_case(case, result):
    oracle, want = ("property", None) if case.check else ask(case, result.excused)
    refused = 0
    for way in engines.WAYS:
        wrong, no = judge(case, way, oracle, want)
        refused += no
        if wrong:
            said = "" if case.check else f"\n    {', '.join(opinions(case, way))}"
            result.failures.append(f"{case}\n    {way}: {wrong}{said}")
            break
    if oracle is not None:
        result.compared += 1
        result.oracles[oracle] += 1
    elif refused == len(engines.WAYS):
        result.refused += 1
    else:
        result.alone += 1
        if refused:
            result.failures.append(f"{case}\n    refused by some ways of running it only")


def run_operator(name):
    row = cases.OPERATORS[name]
    result = Result(name)
    while result.compared < CASES and result.drawn < DRAWS * CASES:
        try:
            case = cases.make_case(row, result.drawn, SEED)
            run_case(case, result)
        except Exception as error:
            result.failures.append(f"{name} case {result.drawn}: {type(error).__name__}: {error}")
        result.drawn += 1
    if result.compared < CASES:
        result.failures.append(f"{name}: only {result.compared} of {result.drawn} cases compared, "
                               f"expected {CASES}: {result.refused} refused by all")
    return result


def explain(name, index):
    """One case, by all ways and oracles."""
    case = cases.make_case(cases.OPERATORS[name], index, SEED)
    print(case)
    for i, x in enumerate(case.inputs):
        print(f"  x{i} = {x!r}")
    for entry in KNOWN:
        if entry.holds(case):
            print(f"  known of {entry.oracle}: {entry.reason}")
    ways = {w: (lambda c, w=w: engines.by_treadle(c, w)) for w in engines.WAYS}
    for title, compute in {**engines.ORACLES, **ways}.items():
        try:
            print(f"  {title}: {compute(case)}")
        except engines.Refused as why:
            print(f"  {title}: refused: {why}")


def _child(name, pipe):
    pipe.send(run_operator(name))


def run_all(names):
    """The results of all, each from a process of its own: an oracle may die."""
    left, running = list(names), {}
    fork = multiprocessing.get_context("fork")
    while left or running:
        while left and len(running) < WORKERS:
            here, there = fork.Pipe(duplex=False)
            process = fork.Process(target=_child, args=(left[0], there))
            process.start()
            there.close()
            running[here] = (left.pop(0), process)
        for pipe in multiprocessing.connection.wait(list(running)):
            name, process = running.pop(pipe)
            try:
                yield pipe.recv()
            except EOFError:
                yield Result(name, failures=[f"{name}: the process died"])
            process.join()


def report(results, everything):
    oracles = collections.Counter()
    excused, failed = set(), 0
    for r in results:
        oracles += r.oracles
        excused |= r.excused
        failed += bool(r.failures)
        for failure in r.failures[:SHOWN]:
            print("FAILED " + "\n".join(line[:WIDTH] for line in failure.splitlines()[-3:]))
        if len(r.failures) > SHOWN:
            print(f"  ... and {len(r.failures) - SHOWN} more of {r.operator}")
    unused = [k for i, k in enumerate(KNOWN) if i not in excused and k.seed == SEED]
    if everything and CASES == 50:
        for entry in unused:
            print(f"FAILED known.toml: no case meets {entry.operators} of {entry.oracle} where "
                  f"{entry.when}: remove it")
        failed += len(unused)
    total = {f: sum(getattr(r, f) for r in results)
             for f in ("drawn", "compared", "refused", "alone")}
    print(f"{len(results)} operators, {total['compared']} cases compared ({dict(oracles)}), "
          f"{total['refused']} refused by all, {total['alone']} by Treadle alone; {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("operators", nargs="*")
    parser.add_argument("--case", type=int)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if not engines.MODULE.exists():
        print("skipped: this build has no Python module")
        return 77
    if engines.onnxruntime is None:
        print("skipped: onnxruntime is not installed")
        return 77
    for file in sorted((HERE / "operators").glob("*.py")):
        importlib.import_module(f"operators.{file.stem}")
    names = [n for n in cases.OPERATORS
             if not args.operators or n in args.operators or n.split("/")[0] in args.operators]
    if args.list:
        print("\n".join(names))
        return 0
    if args.case is not None:
        for name in names:
            explain(name, args.case)
        return 0
    return report(list(run_all(names)), not args.operators)


if __name__ == "__main__":
    sys.exit(main())
