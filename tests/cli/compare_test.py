"""What decides in treadle compare: six ones beside five of them and a 4, so that the figures are known."""
import json
import math
import pathlib
import sys
import tempfile

try:
    import numpy as np

    from command import call, expect, result
    from inputs import prepare
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

BOTH = "compare same.onnx drifted.onnx --fill ones --shape x:2x3 "
CASES = [
    ("", 1, ["DIFFER", "mean error", "PSNR", "1 of 6 elements"]),
    ("--stat max", 1, ["1 of 6 elements"]),
    ("--stat median", 0, ["PASSED"]),
    ("--stat mean", 1, ["the mean of the errors is above its tolerance by 0.49"]),
    ("--stat mean --atol 0.499", 0, []),  # and 0.0015 of rtol
    ("--stat mean --atol 0.499 --rtol 0", 1, []),
    ("--stat quantile", 1, ["the quantile 0.99 of the errors"]),
    ("--stat quantile:0.8", 0, []),
    ("--stat quantile:0.84", 1, []),
    ("--stat quantile:0", 2, ["--stat"]),
    ("--stat median:0.5", 2, ["--stat"]),
    ("--stat mode", 2, ["--stat", "median"]),
    ("--cosine 0.8", 0, ["PASSED"]),
    ("--cosine 0.81", 1, ["cosine 0.80", "expected 0.81"]),
    ("--cosine 0.8 --atol 0", 1, ["1 of 6 elements"]),
    ("--cosine 0.8 --stat median", 0, []),
    ("--cosine y:0.8", 0, []),
    ("--cosine 0.1,y:0.9", 1, ["cosine"]),
    ("--cosine z:0.8", 2, ["--cosine", "'z'"]),
    ("--cosine much", 2, ["--cosine"]),
    ("--psnr 10.2", 0, []),
    ("--psnr 10.3", 1, ["psnr 10.28"]),
    ("--cosine 0.8 --psnr 10.3", 1, ["psnr 10.28"]),
    ("--save-diff d.npz", 1, ["DIFFER"]),
    ("--save-diff d.txt", 2, ["'d.txt' is no .npz"]),
]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(folder)
        for flags, code, texts in CASES:
            call(BOTH + flags, folder, code, texts)
        saved = dict(np.load(folder / "d.npz"))
        expect(list(saved) == ["y"] and saved["y"].tolist() == [[0, 0, 0], [0, 0, -3]], f"--save-diff wrote {saved}")
        told = json.loads(call(BOTH + "--json", folder, 1).stdout)["tensors"][0]
        expect(told["mean_absolute"] == 0.5 and math.isclose(told["cosine"], 9 / math.sqrt(6 * 21))
               and math.isclose(told["psnr"], 10 * math.log10(16 / 1.5)), f"compare told {told}")
        # A model and its copy in half precision: by their numbers, whichever comes first.
        mixed = "--fill random --shape x:20x30 --save-diff rounded.npz "
        call("compare same.onnx half.onnx " + mixed, folder, 0, ["PASSED"])
        rounded = dict(np.load(folder / "rounded.npz"))["y"]
        expect(rounded.dtype == np.float32 and 0 < abs(rounded).max() < 2e-3, f"--save-diff of two widths: {rounded}")
        call("compare same.onnx half.onnx --rtol 1e-5 --atol 0 " + mixed, folder, 1, ["DIFFER"])
        call("compare half.onnx same.onnx --rtol 0 --atol 0 " + mixed, folder, 0, ["PASSED"])
        call("compare same.onnx whole.onnx " + mixed, folder, 4, ["'x'", "int32"])
        call("compare nosuch.onnx half.onnx --stat mode", folder, 2, ["--stat"])
        # NaN and infinities in the same places are equal; a map is no tensor, and compared as ever.
        call("compare same.onnx same.onnx --input nan.npy --cosine 1 --psnr 300 --stat mean", folder, 0, ["PASSED"])
        call("compare map.onnx map.onnx --cosine 0.9", folder, 0, ["PASSED"])
        call("compare map.onnx map.onnx --save-diff d.npz", folder, 4, ["no tensor of numbers"])
    return result()


sys.exit(main())
