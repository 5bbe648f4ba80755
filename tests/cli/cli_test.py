"""The command as its users call it: a table of command lines with the exit code and texts that they must give."""
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import numpy as np

    from cases import CASES
    from inputs import prepare
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

TOOL = os.environ["TREADLE_TOOL"]

JSON = ["run add.onnx --input xy.npz --json", "bench add.onnx --duration 0.05 --json", "inspect add.onnx --json",
        "profile add.onnx --iterations 2 --json", "compare add.onnx --devices cpu,reference --json", "ops --json",
        "info --json", "version --json", "check add.onnx --json", "optimize add.onnx out2.onnx --json",
        "optimize --list-passes --json", "optimize add.onnx --print-after dead_code --json"]


def call(line, folder):
    words = line.split()
    variables = [w for w in words if w.startswith("TREADLE_")]
    done = subprocess.run(["env", *variables, TOOL, *words[len(variables):]], capture_output=True, text=True, cwd=folder, timeout=60)
    # The sanitizer's own word on an allocation that fails.
    done.stderr = re.sub(r"^==\d+==WARNING: AddressSanitizer failed to allocate .*\n", "", done.stderr)
    return done


def main():
    failures = 0

    def fail(*what):
        nonlocal failures
        failures += 1
        print("FAILED", *what)

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(folder)
        for line, code, texts in CASES:
            done = call(line, folder)
            missing = [t for t in texts if t not in done.stdout + done.stderr]
            if done.returncode != code or missing:
                fail(f"`treadle {line}`: exit {done.returncode}, expected {code}; missing {missing}\n{done.stdout}"
                     f"{done.stderr}")
            if code in (3, 4, 5, 6) and (not done.stderr.startswith("treadle ") or done.stderr.count("\n") != 1):
                fail(f"`treadle {line}`: an error is one line on stderr, got {done.stderr!r}")
        for command in ("check", "run", "inspect", "bench", "profile", "compare", "eval", "completion"):
            done = subprocess.run([TOOL, command, ""], capture_output=True, text=True, cwd=folder)
            if done.returncode not in (2, 4) or not done.stderr.startswith("treadle "):
                fail(f"`treadle {command} ''`: exit {done.returncode}, {done.stderr!r}")
        for line in JSON:
            done = call(line, folder)
            try:
                assert done.returncode == 0 and isinstance(json.loads(done.stdout), dict)
            except (AssertionError, json.JSONDecodeError) as e:
                fail(f"`treadle {line}`: {e!r}\n{done.stdout[:400]}{done.stderr}")
        memory = json.loads(call("inspect square.onnx --json --show memory", folder).stdout)["memory"]
        if memory["arena"] < 64 * 64 * 4:
            fail("two tensors of 64 x 64 floats need an arena, told", memory)
        told = json.loads(call("inspect loop.onnx --json --show weights,attrs,metadata", folder).stdout)
        if told["weights"][0] != {"name": "keep", "dtype": "bool", "shape": [], "min": 1, "max": 1, "mean": 1, "nan": 0,
                                  "infinite": 0, "bytes": 1} or told["attributes"] or told["metadata"]["graph_name"] != "g":
            fail("inspect --show weights,attrs,metadata --json told", told)
        told = json.loads(call("inspect attributes.onnx --json --show attrs", folder).stdout)["attributes"]
        if told != [{"node": "Gemm_0", "op": "Gemm", "attributes": {"alpha": 0.5, "transB": 1}},
                    {"node": "AveragePool_1", "op": "AveragePool", "attributes": {"kernel_shape": [2], "auto_pad": "VALID"}}]:
            fail("inspect --show attrs --json told", told)
        if (folder / "q.npz").exists():
            q = np.load(folder / "q.npz")["q"]
            if q.tolist() != [np.iinfo(np.int32).min, 0, -3]:
                fail("integer division gave", q)
        if (folder / "loop.npz").exists() and np.load(folder / "loop.npz")["y"].tolist() != [8, 8]:
            fail("the loop gave", np.load(folder / "loop.npz")["y"])
        for line in ("ops", "--help", "run add.onnx --input xy.npz --json"):
            with open("/dev/full", "w") as full:
                done = subprocess.run([TOOL, *line.split()], stdout=full, stderr=subprocess.PIPE, text=True, cwd=folder)
            if done.returncode != 4 or "standard output" not in done.stderr:
                fail(f"`treadle {line}` into a full device: exit {done.returncode}, {done.stderr!r}")
        if not (folder / "pipe.npz").is_fifo():
            fail("a pipe was replaced by a file")
        if (folder / "noisy_out.onnx").exists() and not call("check noisy_out.onnx", folder).returncode == 0:
            fail("optimize wrote a broken model")
        if np.load(folder / "y.npy").tolist() != [[0, 1, 2], [3, 4, 5]]:
            fail("--save-outputs y.npy gave", np.load(folder / "y.npy"))
        told = json.loads(call("run same.onnx --input nan.npy --json", folder).stdout)["outputs"][0]
        if (told["min"], told["nan"], told["infinite"], told["values"][:3]) != (1, 5, 5, [None, None, 1]):
            fail("run --json gave", told)
        for kind in ("npz", "npy", "json"):
            given = "x=-" if kind == "npy" else "-"
            done = subprocess.run([TOOL, *f"run doubled.onnx --input {given} --save-outputs -".split()],
                                  input=(folder / f"x.{kind}").read_bytes(), capture_output=True, cwd=folder)
            if done.returncode != 0 or list(np.load(io.BytesIO(done.stdout))) != ["y"]:
                fail(f"run from a pipe of {kind} into a pipe: exit {done.returncode}", done.stderr)
        steps = json.loads(call("profile doubled.onnx --no-optimize --sort op --json", folder).stdout)["steps"]
        if [s["op"] for s in steps] != sorted(s["op"] for s in steps) or len(steps) < 3:
            fail("profile --sort op gave", [s["op"] for s in steps])
        if len(json.loads((folder / "times.json").read_text())["times_ms"]) != 7:
            fail("bench --export-times wrote other than 7 times")
        command = "profile doubled.onnx --iterations 3 --fastest --top 1 --no-optimize --json"
        steps = json.loads(call(command, folder).stdout)["steps"]
        if [s["calls"] for s in steps] != [1]:
            fail("profile --fastest --top 1 --json told of", [s["calls"] for s in steps], "calls")
        problems = [p["problem"] for p in json.loads(call("check unknown.onnx --json", folder).stdout)["problems"]]
        if len(problems) != 1 or problems[0].count("Defrob") + problems[0].count("Frobnicate") > 4:
            fail("check named the unknown operators so:", problems)
        problems = json.loads(call("check external_missing.onnx --json", folder).stdout)["problems"]
        if len(problems) != 1 or "nowhere.data" not in problems[0]["problem"]:
            fail("check told of missing external data:", problems)
        if list(folder.glob("*.tmp.*")):
            fail("temporary files were left:", list(folder.glob("*.tmp.*")))
    print(f"{len(CASES) + len(JSON)} command lines, {failures} failures")
    return 1 if failures else 0


sys.exit(main())
