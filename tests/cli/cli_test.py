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

    from inputs import prepare
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

TOOL = os.environ["TREADLE_TOOL"]

CASES = [
    ("--version", 0, ["treadle"]),
    ("--help", 0, ["run", "bench", "inspect"]),
    ("", 2, ["run", "bench"]),
    ("fly", 2, ["unknown command 'fly'"]),
    ("runn", 2, ["unknown command 'runn'", "did you mean 'run'"]),
    ("rnu", 2, ["did you mean 'run'"]),
    ("help", 0, ["inspect", "Exit codes"]),
    ("help ops", 0, ["--json"]),
    ("run", 2, ["treadle run: MODEL is required; usage: treadle run [OPTIONS] MODEL"]),
    ("run add.onnx --thread 1", 2, ["treadle run: there is no flag '--thread'; did you mean '--threads'?"]),
    ("run add.onnx --wavelength=red", 2, ["there is no flag '--wavelength'; treadle run --help lists them"]),
    ("run add.onnx --threads", 2, ["treadle run: --threads wants a value"]),
    ("compare add.onnx add.onnx b.onnx", 2, ["'b.onnx' is one word too many; usage: treadle compare [OPTIONS] A [B]"]),
    ("--json info", 2, ["treadle: there is no flag '--json' here: the flags of a command follow it"]),
    ("run add.onnx", 2, ["'x'", "'x' is not given", "--fill"]),
    ("run add.onnx --input xy.npz", 0, ["sum", "act", "float[2, 3]"]),
    ("run add.onnx --input x=x.npy --input y=fortran.npy", 0, ["sum"]),
    ("run add.onnx --input x=[[1,2,3]] --input y=[[4,5,6.5]]", 0, ["[5, 7, 9.5]"]),
    ("run add.onnx --input x=[[1,2,3]] --input y=7", 4, ["'y'", "rank 2"]),
    ("run add.onnx --input x=[[1,2,3]] --input y=[[4,5],6]", 4, ["--input", "'y'", "lists and elements side by side"]),
    ("run loop.onnx --input n=3 --input x=[1,2]", 0, ["[8, 16]"]),
    ("run loop.onnx --input n=3.5 --input x=[1,2]", 4, ["'n'", "3.5 is no int64"]),
    ("run loop.onnx --input n=3x --input x=[1,2]", 2, ["3x"]),
    ("run add.onnx --input x.npy --fill zeros", 0, ["float[2, 3]"]),
    ("run add.onnx --input x.npy --fill zeros --shape y:2x3", 0, ["sum"]),
    ("run add.onnx --input xy.npz --outputs act", 0, ["act"]),
    ("run add.onnx --input xy.npz --outputs acts", 4, ["'acts'", "did you mean 'act'"]),
    ("run add.onnx --input typo.npz", 4, ["'yy'", "did you mean 'y'"]),
    ("run add.onnx --input x=x.npy --input y=wide.npy", 4, ["'y'", "[2, 4]", "float[N, 3]"]),
    ("run add.onnx --input x=x.npy --input y=flat.npy", 4, ["'y'", "rank 2"]),
    ("run add.onnx --input x=x.npy --input y=double.npy", 4, ["'y'", "double", "float"]),
    ("run add.onnx --input x=x.npy --input y=missing.npy", 4, ["missing.npy"]),
    ("run add.onnx --input x=x.npy --input y=cut.npy", 4, ["'y'", "'cut.npy'", "20 bytes"]),
    ("run add.onnx --input x=x.npy --input y=objects.npy", 4, ["'objects.npy'", "type '|O' are"]),
    ("run add.onnx --input cut.npz", 4, ["cut.npz"]),
    ("run add.onnx --input overlapping.npz", 4, ["'overlapping.npz'", "overlaps"]),
    ("run add.onnx --input x=x.npy --input y=complex.npy", 4, ["'y'", "c8"]),
    ("run add.onnx --input x=x.npy --input y=big.npy", 4, ["'y'", "big-endian"]),
    ("run add.onnx --input x=x.npy --input y=broken.pb", 4, ["'y'", "broken.pb"]),
    ("run add.onnx --input x=labels.txt", 2, ["labels.txt"]),
    ("run add.onnx --fill random --shape x", 2, ["--shape"]),
    ("run add.onnx --fill random --shape z:1x3", 4, ["'z'"]),
    ("run add.onnx --fill random --shape x:2x", 2, ["--shape", "x:2x"]),
    ("run add.onnx --fill random --shape x:99999999999999999999x3", 2, ["--shape", "x:9"]),
    ("run add.onnx --fill random --shape x:9999999999999x9999999999999", 2, ["--shape", "overflows"]),
    ("run add.onnx --fill sometimes", 2, ["--fill"]),
    ("run add.onnx --fill ones --threads many", 2, ["--threads"]),
    ("run add.onnx --fill ones --threads -1", 2, ["--threads"]),
    ("run add.onnx --fill ones --device abacus", 5, ["abacus"]),
    ("run add.onnx --fill ones --skip-pass nonsense", 2, ["'nonsense' is no pass. The passes are: ", "fold_constants"]),
    ("run add.onnx --fill ones --skip-pass eliminat", 2, ["--skip-pass", "did you mean 'eliminate'? The passes are: "]),
    ("run add.onnx --fill ones --shape x:2x3 --shape y:5x3", 4, ["'y'"]),
    ("run missing.onnx --fill ones", 4, ["missing.onnx"]),
    ("run truncated.onnx --fill ones", 3, ["truncated.onnx"]),
    ("run text.onnx --fill ones", 3, ["text.onnx"]),
    ("run empty.onnx --fill ones", 3, ["empty.onnx"]),
    ("run lfs.onnx --fill ones", 3, ["lfs.onnx", "LFS"]),
    ("run . --fill ones", 4, []),
    ("run external_missing.onnx --fill ones", 3, ["'w'", "nowhere.data"]),
    ("run external_short.onnx --fill ones", 3, ["'w'", "too short"]),
    ("run external_outside.onnx --fill ones", 3, ["'w'", "outside"]),
    ("run huge.onnx --fill ones", 3, ["'w'", "max_bytes"]),
    ("check huge.onnx", 3, ["max_bytes"]),
    ("run bomb.onnx --fill ones", 3, ["function 'F", "max_nodes"]),
    ("run expand.onnx --device reference --input one.npz", 5, ["'y'", "Expand"]),
    ("run twice.onnx --fill ones --save-outputs twice.npz", 0, ["y  float[2]"]),
    ("run defaults.onnx --overridable y --input x.npy", 0, ["[5, 6, 7, 8, 9, 10]"]),
    ("run defaults.onnx --overridable y --input xy.npz", 0, ["act  float[2, 3]  [0, 0, 0, 0, 0, 0]"]),
    ("optimize defaults.onnx kept.onnx --overridable y", 0, []),
    ("run kept.onnx --overridable y --input x.npy", 0, ["[5, 6, 7, 8, 9, 10]"]),
    ("inspect trained.onnx", 0, ["ignored", "TrainingInfoProto"]),
    ("check trained.onnx", 0, ["ignored", "TrainingInfoProto"]),
    ("optimize loop.onnx out.onnx", 0, ["3 nodes -> 2"]),
    ("optimize trained.onnx out.onnx", 0, ["not kept", "TrainingInfoProto"]),
    ("run unknown.onnx --fill ones", 3, ["Frobnicate", "Defrob"]),
    ("run gather.onnx --input index.npz", 4, ["Gather", "9"]),
    ("run divide.onnx --input divide.npz --save-outputs q.npz", 0, []),
    ("run loop.onnx --input three.npz --save-outputs loop.npz", 0, []),
    ("run loop.onnx --input forever.npz --timeout 0.5", 6, ["0.5"]),
    ("run shapes.onnx --input goodshape.npz", 0, ["float[3, 2]"]),
    ("run shapes.onnx --input badshape.npz", 4, ["Reshape"]),
    ("run shapes.onnx --input hugeshape.npz", 4, ["Reshape"]),
    ("run picture.onnx --input broken.png", 4, ["broken.png"]),
    ("run picture.onnx --input broken.jpg", 4, ["broken.jpg"]),
    ("run add.onnx --input x=broken.png", 4, ["rank 4"]),
    ("run picture.onnx --fill ones --topk 2 --labels labels.txt", 0, ["red"]),
    ("run picture.onnx --fill ones --topk 2 --labels none.txt", 4, ["none.txt"]),
    ("run add.onnx --test-data .", 4, ["output_N.pb"]),
    ("run add.onnx --input x=x.npy --input x=x.npy", 2, ["'x'", "twice"]),
    ("run add.onnx --fill ones --timeout -1", 2, ["--timeout"]),
    ("run add.onnx --fill ones --timeout nan", 2, ["--timeout"]),
    ("run add.onnx --fill ones --save-outputs pipe.npz", 4, ["'pipe.npz'", "not a regular file"]),
    ("inspect add.onnx --dot pipe.npz", 4, ["'pipe.npz'", "not a regular file"]),
    ("optimize add.onnx pipe.npz", 4, ["'pipe.npz'", "not a regular file"]),
    ("bench add.onnx --duration 0.05", 0, ["min_ms", "peak_rss_mb"]),
    ("profile add.onnx --iterations 2 --trace trace.json", 0, ["all steps"]),
    ("inspect add.onnx", 0, ["float[N, 3]", "nodes", "ir_version         8", "opset              ai.onnx 17"]),
    ("inspect add.onnx --json", 0, ['"ir_version": 8', '"ai.onnx": 17']),
    ("inspect add.onnx --show placement", 0, ["cpu"]),
    ("inspect add.onnx --show passes", 0, ["nodes"]),
    ("inspect add.onnx --show memory", 0, ["arena"]),
    ("inspect square.onnx", 0, ["multiply-adds  0.262 M"]),
    ("inspect norank.onnx", 0, ["Relu", "nodes"]),
    ("inspect norank.onnx --json", 0, ["--shape x:..."]),
    ("inspect norank.onnx --show placement", 2, ["--shape x:..."]),
    ("inspect norank.onnx --show placement --shape x:2x3", 0, ["Relu"]),
    ("inspect nonzero.onnx --show placement", 0, ["NonZero", "shapes depend on data", "MatMul", "planned in the run"]),
    ("inspect add.onnx --show colours", 2, ["colours", "attrs"]),
    ("inspect linear.onnx --show weights", 0, ["0.000 MB  w  float[2, 3]  [1, 2, 3, 4, 5, 6]"]),
    ("inspect branch.onnx --show weights", 0, ["  w  float[3, 2]", "  v  float[3, 2]"]),
    ("inspect square.onnx --show attrs", 0, ["(Softmax)", "    axis = 0"]),
    ("inspect window.onnx --show metadata,attrs", 0, ["-- metadata", "graph_name         g"]),
    ("inspect loop.onnx --show placement", 0, ["Loop", "shapes depend on data"]),
    ("inspect add.onnx --dot add.dot", 0, []),
    ("optimize add.onnx out.onnx", 0, ["nodes"]),
    ("optimize add.onnx nowhere/out.onnx", 4, ["nowhere"]),
    ("compare add.onnx out.onnx", 0, ["PASSED"]),
    ("compare add.onnx --devices cpu,reference", 0, ["PASSED"]),
    ("compare add.onnx --devices cpu", 2, ["--devices"]),
    ("compare add.onnx", 2, ["--devices"]),
    ("compare add.onnx gather.onnx", 4, []),
    ("compare add.onnx infinite/add.onnx", 0, ["PASSED: add.onnx beside infinite/add.onnx"]),
    ("check add.onnx", 0, ["valid"]),
    ("check truncated.onnx", 3, ["truncated.onnx"]),
    ("check nosuch.onnx", 4, ["nosuch.onnx"]),
    ("ops", 0, ["Conv", "treadle.FusedConv"]),
    ("ops Conv", 0, ["dilations"]),
    ("ops Convv", 4, ["did you mean 'Conv'"]),
    ("info", 0, ["threads", "oneDNN 3."]),
    # A comparison fails: exit 1.
    ("run add.onnx --test-data sets/test_data_set_0", 0, ["equal", "sum", "act"]),
    ("run add.onnx --test-data sets", 1, ["test_data_set_0", "test_data_set_1", "DIFFER sum", "6 of 6 elements"]),
    ("run add.onnx --test-data sets/test_data_set_1", 1, ["DIFFER sum", "at [0, 0]", "expected -1"]),
    ("run add.onnx --test-data sets/test_data_set_1 --atol 1.5", 0, ["equal", "sum"]),
    ("run add.onnx --test-data sets/test_data_set_0 --outputs act", 0, ["act"]),
    ("run add.onnx --test-data infinite", 1, ["DIFFER sum", "expected inf"]),
    ("run map.onnx --test-data map", 0, ["equal"]),
    ("run map.onnx --test-data mapkey", 1, ["DIFFER", "keys", "expected 8"]),
    ("run map.onnx --test-data mapvalue", 1, ["DIFFER", "values", "expected 0.25"]),
    ("compare doubled.onnx tripled.onnx", 1, ["FAILED", "DIFFER", "part at node", "tensor"]),
    ("compare doubled.onnx tripled.onnx --no-optimize", 1, ["(Mul), tensor 't'"]),
    ("compare doubled.onnx tripled.onnx --no-optimize --all-layers", 1, ["DIFFER", " t:", " u:", " y:", "(Mul)"]),
    ("compare doubled.onnx doubled.onnx --all-layers", 0, ["PASSED"]),
    ("optimize noisy.onnx noisy_out.onnx", 1, ["nothing was written", "'y'"]),
    ("optimize noisy.onnx noisy_out.onnx --no-check", 0, ["not checked (--no-check)"]),
    ("optimize gather.onnx o1.onnx --val-range 50,60", 0, ["not checked", "does not run"]),
    ("optimize doubled.onnx o2.onnx", 0, ["checked: max error"]),
    ("optimize doubled.onnx o3.onnx --device cpu", 2, ["--device"]),
    ("check add.onnx --threads 1", 2, ["--threads"]),
    ("check unknown.onnx", 3, ["Frobnicate", "Defrob"]),
    # Sizes of symbolic dimensions.
    ("inspect window.onnx", 0, ["float[N, 3, H, W]", "as in --shape H=8,W=8"]),
    ("inspect window.onnx --shape H=8,W=8", 0, ["float[1, 3, 8, 8]"]),
    ("inspect window.onnx --shape x:1x3x5x5", 0, ["multiply-adds", "0.001 M", "float[1, 3, 5, 5]"]),
    ("inspect window.onnx --shape H=5,W=5 --show layers,memory", 0, ["-- layers", "Conv", "-- memory", "arena"]),
    ("inspect window.onnx --shape x:1x3x1x1", 0, ["not at these shapes"]),
    ("inspect window.onnx --shape x:1x3x1x1 --show layers", 4, ["--shape", "[1, 3, 1, 1]"]),
    ("inspect window.onnx --show layers", 2, ["as in --shape H=8,W=8"]),
    ("inspect window.onnx --dot window.dot", 0, []),
    ("inspect branch.onnx", 0, ["parameters     12 ", "0.000 M"]),
    ("bench linear.onnx --train --duration 0.05 --batch-size 4", 0, ["start_ms", "steps_per_s", "loaded_rss_mb"]),
    ("bench linear.onnx --train --duration 0.05 --loss cross_entropi", 2, ["did you mean 'cross_entropy'"]),
    ("bench linear.onnx --train --duration 0.05 --set momentom=1", 2, ["--set", "did you mean 'momentum'"]),
    ("bench linear.onnx --train --duration 0.05 --set momentum", 2, ["KEY=VALUE"]),
    ("bench linear.onnx --train --duration 0.05 --memory-budget 1.5KB", 0, ["arena_mb"]),
    ("bench linear.onnx --train --duration 0.05 --memory-budget none", 0, ["arena_mb"]),
    ("bench linear.onnx --train --memory-budget 12XB", 2, ["--memory-budget", "as in 500MB"]),
    ("bench linear.onnx --train --duration 0.05 --batch xy.npz", 4, ["lacks 'target'"]),
    ("bench add.onnx --train --duration 0.05", 4, ["nothing to train"]),
    ("profile linear.onnx --train --batch-size 4 --top 3", 0, ["GFLOP/s", "all steps"]),
    ("bench window.onnx --duration 0.05", 2, ["--shape H=8,W=8"]),
    ("bench window.onnx --duration 0.05 --shape x:1x3x1x1", 4, ["--shape"]),
    ("run add.onnx --fill ones --shape x:4x3", 0, ["sum  float[4, 3]"]),
    ("run add.onnx --fill ones --shape N=4", 0, ["sum  float[4, 3]"]),
    ("run add.onnx --fill ones --shape M=4", 4, ["'M'", "did you mean 'N'"]),
    ("run add.onnx --fill ones --shape x:2x3,y:2,3", 0, ["sum  float[2, 3]"]),
    ("run add.onnx --input xy.npz --shape x:4x3", 4, ["'x'", "[2, 3]", "[4, 3]"]),
    ("run add.onnx --fill ones --shape x:2xx3", 2, ["--shape"]),
    ("run ids.onnx --fill random --shape B=2,S=3", 0, ["float[2, 3, 2]"]),
    ("run ids.onnx --fill random", 2, ["as in --shape S=8"]),
    ("run ids.onnx --fill zeros --shape time=8", 4, ["no input has a dimension 'time'; they have 'B', 'S'"]),
    ("run unsized.onnx --fill random", 2, ["as in --shape x:0:1x8"]),  # no name of a dimension but x:0_dim1
    ("run unsized.onnx --fill random --shape x:0:1x8", 0, ["float[1, 8]"]),
    ("run ids.onnx --fill random --shape S=3 --val-range 7,9", 4, ["--fill zeros"]),
    # Pictures.
    ("run bytes.onnx --input plain.png", 0, ["uint8[1, 2, 2, 3]  [10, 20, 30, 40"]),
    ("run bytes.onnx --input plain.png --color bgr", 0, ["[30, 20, 10, 60"]),
    ("run bytes.onnx --input wide.png", 0, ["[10, 20, 30, 40, 50, 60, 70"]),
    ("run bytes.onnx --input alpha.png", 0, ["[10, 20, 30, 40, 50, 60, 70"]),
    ("run bytes.onnx --input gamma.png", 0, ["[10, 20, 30, 40, 50, 60, 70"]),
    ("run bytes.onnx --input turned.png", 0, ["[100, 110, 120, 70, 80, 90, 40"]),
    ("run bytes.onnx --input gray.png", 0, ["[10, 10, 10, 20"]),
    ("run bytes.onnx --input three.png --resize stretch", 0, ["[127, 127, 127, 135, 135, 135, 127"]),  # 126.5 and less
    ("run bytes.onnx --input plain.png --shape N=2", 0, ["uint8[2, 2, 2, 3]"]),
    ("run bytes.onnx --input cut.png", 4, ["cut.png", "PNG"]),
    ("run chw.onnx --input plain.png --scale 1", 0, ["float[3, 2, 2]  [10, 40, 70, 100, 20"]),
    ("run chw.onnx --input plain.png --scale 1/10 --mean 1,2,3 --std 1,1,10", 0, ["[0, 3, 6, 9, 0, 3"]),
    ("run chw.onnx --input plain.png --mean 1,2", 2, ["--mean", "3 channels"]),
    ("run chw.onnx --input plain.png --std 0", 2, ["--std"]),
    ("run chw.onnx --input plain.png --scale 1/0", 2, ["--scale"]),
    ("run chw.onnx --input plain.png --color gbr", 2, ["--color"]),
    # Other files, values and numbers.
    ("run same.onnx --input ONLY.NPZ", 4, ["'anything'"]),
    ("run same.onnx --input x=ONLY.NPZ", 0, ["[0, 1, 2, 3, 4, 5]"]),
    ("run same.onnx --input nan.npy", 0, ["5 NaN", "5 infinite", "mean 1"]),
    ("run same.onnx --input scores.npy --topk 2", 0, ["row 0", "row 1", "     1           3", "     2           8"]),
    ("run same.onnx --input scores.npy --labels indexed.txt", 0, ["two", "zero", "(no label)"]),
    ("run same.onnx --input scores.npy --labels comma.txt", 0, ["0,5 litres", "plain"]),
    ("run named.onnx --input scores.npy --topk 2", 0, ["rot", "blau", "(no label)"]),
    ("run named.onnx --input scores.npy --labels labels.txt", 0, ["red", "green", "blue"]),
    ("run same.onnx --input scores.npy --topk 0", 2, ["--topk"]),
    ("run same.onnx --input x.npy --save-outputs y.npy", 0, []),
    ("run add.onnx --input xy.npz --save-outputs two.npy", 2, ["two.npy"[-4:], "2"]),
    ("run add.onnx --input xy.npz --save-outputs y.txt", 2, ["y.txt"]),
    ("run add.onnx --test-data sets --input x.npy", 2, ["--input", "--test-data"]),
    ("run add.onnx --fill ones --timeout 0", 2, ["--timeout"]),
    ("bench add.onnx --duration -1", 2, ["--duration"]),
    ("profile add.onnx --iterations 0", 2, ["--iterations"]),
    ("profile add.onnx --top -1", 2, ["--top"]),
    ("check normed.onnx", 3, ["BatchNormalization", "'scale' has shape [2], expected [3]"]),
    ("run map.onnx --fill ones", 0, ["a sequence of 1", "int64[2]  [7, 3]"]),
    ("bench add.onnx --iterations 7 --export-times times.json", 0, ["runs                    7"]),
    ("bench add.onnx --iterations 0", 2, ["--iterations"]),
    ("version", 0, ["treadle "]),
    ("check add.onnx --strict", 0, ["valid"]),
    ("check trained.onnx --strict", 1, ["ignored", "TrainingInfoProto"]),
    ("profile doubled.onnx --no-optimize --fastest --iterations 3 --sort op", 0, ["all steps"]),
    ("profile doubled.onnx --sort colour", 2, ["--sort", "time"]),
    ("inspect doubled.onnx --pass nonsense", 2, ["--pass", "fold_constants"]),
    ("inspect doubled.onnx --pass eliminate", 0, ["nodes          3, optimized to 3"]),
    # The optimizer.
    ("optimize --list-passes", 0, ["expand_composites\n", "fold_constants\n", "dead_code\n"]),
    ("optimize", 2, ["IN is required"]),
    ("optimize linear.onnx", 2, ["OUT is required"]),
    ("optimize constants.onnx --print-after expand_composites", 0, ["# after expand_composites", "Sqrt (", "y = Mul (x, r)"]),
    ("optimize constants.onnx --print-after fold_constants,dead_code o5.onnx", 0, ["{1, 2, 3}", "checked: max error"]),
    ("optimize constants.onnx --print-after folding", 2, ["--print-after", "fold_constants"]),
    ("optimize tile.onnx o6.onnx", 0, ["2 nodes -> 1"]),
    ("optimize tile.onnx o6.onnx --fold-limit 1000", 0, ["2 nodes -> 2"]),
    ("optimize tile.onnx o6.onnx --fold-limit little", 2, ["--fold-limit"]),
    ("optimize add.onnx sized.onnx --overwrite-input-shape x:4x3,y:4,3", 0, ["checked"]),
    ("inspect sized.onnx", 0, ["x  float[4, 3]", "act  float[4, 3]"]),
    ("optimize add.onnx sized2.onnx --overwrite-input-shape N=5", 0, ["checked"]),
    ("inspect sized2.onnx", 0, ["x  float[5, 3]", "act  float[5, 3]"]),
    ("optimize doubled.onnx sized3.onnx --overwrite-input-shape x:7x1x2", 0, ["checked"]),
    ("inspect sized3.onnx", 0, ["x  float[7, 1, 2]", "y  float[7, 1, 2]"]),
    ("optimize add.onnx o7.onnx --overwrite-input-shape z:4x3", 4, ["no input 'z'"]),
    ("optimize add.onnx o7.onnx --overwrite-input-shape M=3", 4, ["'M'", "did you mean 'N'"]),
    ("optimize add.onnx o7.onnx --overwrite-input-shape x:4x3,y:4x2", 4, ["--overwrite-input-shape", "(Add)"]),
    ("optimize add.onnx o7.onnx --overwrite-input-shape x", 2, ["--overwrite-input-shape"]),
    # Inputs as JSON, outputs that are asserted.
    ("run add.onnx --input xy.json", 0, ["[0, -1, -2, -3, -4, -5]"]),
    ("run add.onnx --input x=x.json --input y=xy.json", 0, ["[0, -1, -2, -3, -4, -5]"]),
    ("run same.onnx --input null.json", 0, ["nan"]),
    ("run same.onnx --input ragged.json", 4, ["'ragged.json', input 'x'", "a list of 1 beside one of 2"]),
    ("run same.onnx --input mixed.json", 4, ["side by side"]),
    ("run same.onnx --input word.json", 4, ["is no float"]),
    ("run same.onnx --input broken.json", 4, ["'broken.json' is no JSON"]),
    ("run same.onnx --input deep.json", 4, ["32 lists"]),
    ("run same.onnx --input sun.json", 4, ["'sun'"]),
    ("run same.onnx --input nested.json", 4, ["'nested.json'", "256"]),
    (f"run same.onnx --test-data {'x' * 300}", 4, ["too long", "xxx"]),
    ("run ids.onnx --input half.json", 4, ["0.5 is no int64"]),
    ("run doubled.onnx --input x.json --outputs all --no-optimize", 0, ["t  float", "u  float", "y  float"]),
    ("run same.onnx --input nan.npy --check-nan", 1, ["tensor 'y' holds 5 NaN"]),
    ("run same.onnx --input x.npy --check-nan", 0, []),
    ("run add.onnx --input xy.npz --assert-outputs sum.npz", 0, ["equal  sum"]),
    ("run add.onnx --input xy.npz --assert-outputs sum_apart.npz", 1, ["DIFFER sum", "expected -1"]),
    ("run add.onnx --input xy.npz --assert-outputs sum_apart.npz --atol 0,sum:1.5", 0, ["equal  sum"]),
    ("run add.onnx --input xy.npz --assert-outputs sum_apart.npz --atol 2,sum:0.5", 1, ["DIFFER sum"]),
    ("run add.onnx --input xy.npz --assert-outputs sum.npz --atol sun:1", 2, ["'sun'", "did you mean 'sum'"]),
    ("run add.onnx --input xy.npz --assert-outputs sum.npz --rtol sum:x", 2, ["--rtol"]),
    ("run add.onnx --input xy.npz --assert-outputs named_sun.npz", 4, ["'sun'", "did you mean 'sum'"]),
    ("run add.onnx --test-data sets --check-nan", 2, ["--check-nan"]),
    ("run add.onnx --fill ones --save-outputs - --json", 2, ["--save-outputs"]),
    ("compare doubled.onnx tripled.onnx --atol y:1e9", 0, ["PASSED"]),
    ("compare doubled.onnx tripled.onnx --atol z:1e9", 2, ["--atol", "'z'"]),
]
JSON = ["run add.onnx --input xy.npz --json", "bench add.onnx --duration 0.05 --json", "inspect add.onnx --json",
        "profile add.onnx --iterations 2 --json", "compare add.onnx --devices cpu,reference --json", "ops --json",
        "info --json", "version --json", "check add.onnx --json", "optimize add.onnx out2.onnx --json",
        "optimize --list-passes --json", "optimize add.onnx --print-after dead_code --json"]


def call(line, folder):
    done = subprocess.run([TOOL, *line.split()], capture_output=True, text=True, cwd=folder, timeout=60)
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
