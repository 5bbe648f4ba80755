"""treadle bench: what it measures at which sizes, and what it refuses. Never how long anything takes."""
import json
import pathlib
import sys
import tempfile

try:
    from command import call, expect, result
    from inputs import prepare
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

CASES = [
    ("linear.onnx", 0, ["processor", "cores", "oneDNN 3.", "model ", "items_per_s", "p99_ms"]),
    ("linear.onnx --batch-size 4", 0, ["x float[4, 2]", "batch                   4"]),
    ("ids.onnx --batch-size 2 --shape S=3", 0, ["ids int64[2, 3]"]),
    ("add.onnx --batch-size 5", 0, ["x float[5, 3], y float[5, 3]"]),
    ("add.onnx --batch-size 5 --shape N=5", 0, ["x float[5, 3]"]),
    ("doubled.onnx --batch-size 2", 0, ["batch                   2"]),
    ("doubled.onnx --batch-size 3", 4, ["'x' is float[2, 3]", "fixed"]),
    ("add.onnx --batch-size 5 --shape N=4", 4, ["--batch-size"]),
    ("add.onnx --batch-size 5 --shape x:4x3", 4, ["'x'", "[4, 3]", "N=5"]),
    ("add.onnx --batch-size 5 --input xy.npz", 4, ["'x'", "[2, 3]", "N=5"]),
    ("nameless.onnx --batch-size 5 --shape x:4x3", 4, ["'x'", "[4, 3]", "=5"]),
    ("nameless.onnx --batch-size 5", 0, ["x float[5, 3]"]),
    ("add.onnx --batch-size 0", 2, ["--batch-size"]),
    ("linear.onnx --train --batch-size 4", 0, ["x float[4, 2]", "items_per_s", "p90_ms"]),
    ("fixed.onnx --train", 0, ["x float[4, 2]"]),
    ("fixed.onnx --train --batch-size 8", 4, ["'x' is float[4, 2]", "fixed"]),
    ("linear.onnx --train --batch-size 8 --batch xy.npz", 2, ["--batch-size", "--batch"]),
    ("add.onnx --percentiles 50,99.9", 0, ["p50_ms", "p99.9_ms"]),
    ("add.onnx --percentiles 101", 2, ["--percentiles"]),
    ("add.onnx --percentiles many", 2, ["--percentiles"]),
    ("add.onnx --concurrency 3", 0, ["concurrency             3", "runs                   20"]),
    ("add.onnx --concurrency 3 --threads 1", 0, ["threads                 1"]),
    ("add.onnx --concurrency 0", 2, ["--concurrency"]),
    ("add.onnx --concurrency 4000", 2, ["--concurrency"]),
    ("gather.onnx --concurrency 3 --input index.npz", 4, ["9"]),
    ("linear.onnx --train --concurrency 2", 2, ["--concurrency", "--train"]),
    ("linear.onnx --sweep batch=1,4 --sweep threads=1,2", 0, ["threads", "batch", "median_ms", "items_per_s"]),
    ("linear.onnx --train --sweep batch=1,4", 0, ["batch", "median_ms"]),
    ("doubled.onnx --sweep batch=1,2", 4, ["fixed"]),
    ("linear.onnx --sweep colour=1", 2, ["--sweep", "threads="]),
    ("linear.onnx --sweep batch", 2, ["--sweep"]),
    ("linear.onnx --sweep batch=", 2, ["--sweep", "names no value"]),
    ("linear.onnx --sweep batch=1,0", 2, ["'0'"]),
    ("linear.onnx --sweep batch=1 --batch-size 2", 2, ["--sweep", "twice"]),
    ("linear.onnx --sweep batch=1 --export-times t.json", 2, ["--export-times"]),
    ("linear.onnx --fail-if-slower 5", 2, ["--compare"]),
    ("linear.onnx --compare nowhere.json", 4, ["nowhere.json"]),
    ("linear.onnx --compare sun.json", 4, ["'sun.json'", "median_ms"]),
    ("linear.onnx --compare broken.json", 4, ["broken.json"]),
    ("linear.onnx --compare nested.json", 4, ["'nested.json'", "256"]),
]


def measured(line, folder, code=0):
    return json.loads(call(f"bench {line} --iterations 20 --json", folder, code).stdout or "{}")


def sweeps(folder):
    told = measured("linear.onnx --sweep threads=1,2 --sweep batch=1,4", folder)
    rows = [(row["threads"], row["batch"], row["inputs"]) for row in told["rows"]]
    expect(rows == [(t, b, f"x float[{b}, 2]") for t in (1, 2) for b in (1, 4)], f"the sweep's rows are {rows}")
    expect("peak_rss_mb" not in told["rows"][0], "a sweep's row tells the peak of the rows before it")
    return told


def comparisons(folder):
    base = measured("linear.onnx --threads 1", folder)
    expect(base["environment"]["cores"] is None or base["environment"]["cores"] > 0, "cores of a processor")
    expect(base["model"] == "linear.onnx" and base["runs"] == 20, f"bench told {base}")

    def against(median, flags):
        (folder / "base.json").write_text(json.dumps({**base, "median_ms": median}))
        return f"linear.onnx --compare base.json {flags}"

    told = measured(against(1e9, "--fail-if-slower 5%"), folder)
    expect(told["passed"] and told["slower_percent"] < -99 and told["base_median_ms"] == 1e9, f"faster: {told}")
    told = measured(against(1e-9, "--fail-if-slower 5"), folder, 1)
    expect(not told["passed"] and told["slower_percent"] > 5, f"slower: {told}")
    measured(against(1e-9, ""), folder)
    call("bench " + against(1e-9, "--fail-if-slower 5 --iterations 9"), folder, 1, ["FAILED", "slower_percent"])
    call("bench " + against(1e9, "--fail-if-slower 5 --iterations 9"), folder, 0, ["PASSED"])
    call("bench " + against(1, "--fail-if-slower -5"), folder, 2, ["--fail-if-slower"])
    call("bench " + against(1, "--threads 2 --iterations 9"), folder, 0, ["'threads' was 1 in the base and is 2 now"])
    call("bench " + against(-1, ""), folder, 4, ["median_ms"])


def sweep_comparisons(folder, base):
    for row, median in zip(base["rows"], (1e9, 1e9, 1e9, 1e-9)):
        row["median_ms"] = median
    (folder / "rows.json").write_text(json.dumps(base))
    told = measured("linear.onnx --sweep batch=4,1 --sweep threads=1,2 --compare rows.json --fail-if-slower 5", folder, 1)
    slower = [(row["threads"], row["batch"]) for row in told["rows"] if row["slower_percent"] > 0]
    expect(slower == [(2, 4)] and not told["passed"], f"the slower rows are {slower}")
    measured("linear.onnx --threads 1 --batch-size 4 --compare rows.json --fail-if-slower 5", folder)
    call("bench linear.onnx --threads 1 --batch-size 3 --compare rows.json --iterations 9", folder, 4,
         ["'rows.json'", "batch 3, threads 1"])


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(folder)
        for line, code, texts in CASES:
            call(f"bench {line} --iterations 20", folder, code, texts)
        call("profile add.onnx --batch-size 5 --iterations 2 --no-optimize", folder, 0, ["[5, 3]"])
        call("profile doubled.onnx --batch-size 5", folder, 4, ["fixed"])
        rows = sweeps(folder)
        comparisons(folder)
        sweep_comparisons(folder, rows)
    return result()


sys.exit(main())
