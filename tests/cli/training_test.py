"""Training from the command line: new networks, runs, what they leave, and what is refused."""
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx

    from command import TOOL, call, expect, result
    from inputs import png
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

NEW = ["mlp --input-shape 1x8x8 --hidden 100", "cnn --input-shape 1x8x8", "lenet", "resnet18 --input-shape 3x32x32",
       "mobilenetv2 --input-shape 3x32x32", "unet --input-shape 1x31x32 --filters 4", "char-rnn --hidden 32",
       "transformer --hidden 32 --input-shape 16"]


def new_networks(folder):
    for line in NEW:
        kind = line.split()[0]
        call(f"new {line} --classes 5 {kind}.onnx", folder, 0, ["parameters"])
        onnx.checker.check_model(str(folder / f"{kind}.onnx"), full_check=True)
        call(f"run {kind}.onnx --fill zeros", folder, 0, ["scores  float[1, 5"])
    call("new mlpp x.onnx", folder, 4, ["did you mean 'mlp'"])
    call("new mlp x.onnx --input-shape 3y3", folder, 2, ["--input-shape"])
    call("new unet x.onnx --input-shape 1x4x4", folder, 4, ["from 16 on"])


def make_data(folder):
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 4)).astype(np.float32) * 3 + 5
    y = (x.sum(axis=1) > 20).astype(np.int64)
    np.savetxt(folder / "points.csv", np.column_stack([x, y]), delimiter=",", fmt=["%.6f"] * 4 + ["%d"])
    np.savez(folder / "points.npz", x=x, target=y)
    (folder / "job.toml").write_text("""# two classes of points
model = "net.onnx"
out = "by_job"
epochs = 4
[data]
path = "points.csv"
[loader]
batch_size = 30
[train]
optimizer = "momentum"
rate = 0.05
seed = 3
""")


# ---- A parser of event files that shares nothing with the writer: bit by bit, and field by field.

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def fields(message):
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        size = {0: None, 1: 8, 2: None, 5: 4}[key & 7]
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        if size is None:
            size = varint()
        yield key >> 3, message[at:at + size]
        at += size


def read_events(path):
    data, at, scalars, graphs, histograms, version = path.read_bytes(), 0, {}, 0, set(), None
    while at < len(data):
        length, = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(data[at:at + 8]), "checksum of a length"
        event = data[at + 12:at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(event), "checksum of an event"
        at += 16 + length
        event = dict(fields(event))
        version = event.get(3, version)
        graphs += 4 in event
        for _, value in fields(event.get(5, b"")):
            value = dict(fields(value))
            if 2 in value:
                scalars.setdefault(value[1].decode(), []).append((event.get(2, 0), struct.unpack("<f", value[2])[0]))
            if 5 in value:
                histograms.add(value[1].decode())
    return version, scalars, graphs, histograms


def check_events(run, losses):
    version, scalars, graphs, histograms = read_events(next(run.glob("events.out.tfevents.*")))
    expect(version == b"brain.Event:2", f"the event file's version is {version}")
    read = scalars.get("train/loss", [])
    expect([step for step, _ in read] == list(range(1, len(losses) + 1)) and
           np.allclose([loss for _, loss in read], losses), "the event file's losses differ from metrics.jsonl")
    expect(graphs == 1 and "layer1.weight" in histograms, f"{graphs} graphs, histograms {histograms}")
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        print("not read back by TensorBoard itself: the Python package tensorboard is not installed")
        return
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "histograms": 0})  # 0: all
    events.Reload()
    expect(np.allclose([s.value for s in events.Scalars("train/loss")], losses), "TensorBoard reads other losses")
    expect(sum(h.histogram_value.num == 32 for h in events.Histograms("layer1.weight")) == 4,
           "TensorBoard reads other histograms")
    expect([n.op for n in events.Graph().node].count("Gemm") == 2, "TensorBoard reads another graph")


def runs(folder):
    call("new mlp net.onnx --classes 2 --input-shape 4 --hidden 8", folder)
    done = call("train job.toml histograms=true --json", folder, 0, ["epoch 4"])
    told = json.loads(done.stdout or "{}")
    expect(told.get("steps") == 32 and told["last"].get("val_accuracy", 0) > 0.9, f"train told {told}")
    run = folder / "by_job"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    expect([line["step"] for line in lines] == list(range(1, 33)) and all("loss" in line for line in lines),
           "metrics.jsonl has not one line a step")
    expect(len((run / "metrics.csv").read_text().splitlines()) == 33, "metrics.csv has not one line a step")
    expect(len((run / "epochs.jsonl").read_text().splitlines()) == 4, "epochs.jsonl has not one line an epoch")
    expect((run / "curves/loss.png").read_bytes()[:4] == b"\x89PNG", "curves/loss.png is no PNG")
    check_events(run, [line["loss"] for line in lines])
    # The same by flags; again by the resolved job: bit for bit.
    call("train net.onnx --data points.csv --batch-size 30 --optimizer momentum --lr 0.05 --seed 3 --epochs 4 "
         "--out by_flags", folder)
    expect((folder / "by_flags/metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes(),
           "flags train otherwise than the job")
    call("train by_job/job.toml out=again", folder)
    expect((folder / "again/metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes(),
           "the resolved job trains otherwise")
    call("train by_job/job.toml", folder, 4, ["holds a run already"])
    call("train net.onnx --data points.csv --batch-size 30 --optimizer momentum --lr 0.05 --seed 3 --epochs 6 "
         "--out by_flags --resume", folder, 0, ["epoch 6"])
    cosine = "train net.onnx --data points.csv --schedule cosine --out by_cosine --epochs "
    call(cosine + "2", folder)
    call(cosine + "3 --resume", folder, 4, ["other options", "epochs = 2, now 3", "[train] steps"])
    call("train by_job/job.toml epochs=6 resume=true", folder, 0, ["epoch 6"])
    expect(len((run / "metrics.jsonl").read_text().splitlines()) == 48, "resuming to 6 epochs")
    expect((run / "metrics.jsonl").read_bytes() == (folder / "by_flags/metrics.jsonl").read_bytes(),
           "flags resume otherwise than the job")


def progress(folder):
    """A bar on a terminal, plain lines elsewhere."""
    words = "train net.onnx --data points.csv --epochs 1"
    plain = call(words, folder, 0, ["epoch 1"]).stderr
    terminal, ours = os.openpty()
    subprocess.run([TOOL, *words.split()], cwd=folder, stdout=subprocess.DEVNULL, stderr=ours, timeout=300, check=True)
    os.close(ours)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    expect("\repoch 1 [" not in plain and "\x1b" not in plain, f"a bar where there is no terminal: {plain}")
    expect("epoch 1 [" in shown and "\r\x1b[K" in shown and "epoch 1  step" in shown, f"no bar on a terminal: {shown}")


def own_losses(folder):
    formula = "cross_entropy(scores, target) + 0.01*mean(scores^2)"
    call(["train", "net.onnx", "--data", "points.csv", "--epochs", "1", "--out", "by_formula", "--loss", formula], folder)
    call("train by_job/job.toml out=told steps=1 epochs=0", folder, 0, ["a step of 30 samples takes", "of buffers"])
    call("train by_formula/job.toml epochs=2 resume=true", folder, 0, ["epoch 2"])
    told = json.loads(call("eval by_formula --data points.csv --json", folder).stdout or "{}")
    expect(told.get("accuracy", 0) > 0.5, f"eval by a formula told {told}")
    call(["train", "net.onnx", "--data", "points.csv", "--loss", "cross_entropy(score, target)"], folder, 4,
         ["line 1, column 15", "no value 'score'", "did you mean 'scores'?"])
    call("train net.onnx --data points.csv --loss zzz", folder, 2, ["There are: cross_entropy, nll", "a formula"])
    call("train net.onnx --data points.csv --optimizer zzz", folder, 2, ["There are: sgd, momentum"])


def exports(folder):
    call("export again again.onnx", folder, 0, ["32 steps"])
    onnx.checker.check_model(str(folder / "again.onnx"), full_check=True)
    told = json.loads(call("eval again --data points.csv --json", folder).stdout or "{}")
    expect(told.get("accuracy", 0) > 0.9 and told["samples"] == 60, f"eval told {told}")
    whole = json.loads(call("eval again.onnx --data points.csv --json", folder).stdout or "{}")
    expect(whole.get("samples") == 300 and whole["accuracy"] > 0.9, f"eval of the model told {whole}")
    parts = [json.loads(call(f"eval again.onnx --data points.csv --split {split} --json", folder).stdout or "{}")
             for split in ("val", "train")]
    expect([part.get("samples") for part in parts] == [60, 240], f"eval --split of a model told {parts}")
    call("export again raw.onnx --embed-preprocess", folder)
    x = np.load(folder / "points.npz")["x"]
    words = dict((p.key, p.value) for p in onnx.load(folder / "again.onnx").metadata_props)["treadle.preprocess"]
    mean, std = (np.array([float(v) for v in part.split("=")[1].split(",")]) for part in words.split()[1:])
    np.save(folder / "raw.npy", x[:5])
    np.save(folder / "ready.npy", ((x[:5] - mean) / std).astype(np.float32))
    call("run raw.onnx --input raw.npy --save-outputs a.npy", folder)
    call("run again.onnx --input ready.npy --save-outputs b.npy", folder)
    expect(np.allclose(np.load(folder / "a.npy"), np.load(folder / "b.npy"), rtol=1e-4, atol=1e-5),
           "--embed-preprocess changes the outputs")
    try:
        import onnxruntime
    except ImportError:
        return
    session = onnxruntime.InferenceSession(str(folder / "raw.onnx"))
    y = session.run(None, {session.get_inputs()[0].name: x[:5]})[0]
    expect(np.allclose(y, np.load(folder / "a.npy"), rtol=1e-5, atol=1e-5), "onnxruntime gives other outputs")


def pictures(folder):
    """`run` prepares a picture as the trainer did, and as the graph of --embed-preprocess."""
    random = np.random.default_rng(3)
    for name, least in {"bright": 120, "dark": 0}.items():
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(4):
            rows = random.integers(least, least + 100, (8, 8)).tolist()
            (folder / "photos" / name / f"{i}.png").write_bytes(png(8, 8, 8, 0, rows))
    call("new mlp photos.onnx --classes 2 --input-shape 1x8x8 --hidden 8", folder)
    call("train photos.onnx --data photos --epochs 3 --batch-size 4 --out of_photos data.split_tail=true "
         "data.val_split=0.125", folder)
    call("export of_photos ready.onnx", folder)
    call("export of_photos embedded.onnx --embed-preprocess", folder)
    shown = json.loads(call("eval of_photos --data photos --json", folder).stdout or "{}")
    scores = []
    for model in ("ready", "embedded"):
        call(f"run {model}.onnx --input photos/dark/3.png --save-outputs {model}.npy", folder)
        scores.append(np.load(folder / f"{model}.npy"))
    expect(np.allclose(*scores, rtol=1e-4, atol=1e-5), f"scores {scores}")
    loss = np.log(np.exp(scores[0]).sum()) - scores[0][0, 1]  # of what is validated, the last of all
    expect(shown.get("samples") == 1 and np.isclose(shown["loss"], loss, rtol=1e-4), f"eval {shown}, run {loss}")


def finetunes(folder):
    done = call("finetune again.onnx --data points.csv --train-last 1 --epochs 1 --out tuned", folder, 0,
                ["trains 18 of 58 parameters"])
    weights = [{w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(folder / name).graph.initializer}
               for name in ("again.onnx", "tuned/model.onnx")]
    expect((weights[0]["layer1.weight"] == weights[1]["layer1.weight"]).all(), "a frozen weight changed")
    expect((weights[0]["head.weight"] != weights[1]["head.weight"]).any(), "the head did not train")
    call("finetune again.onnx --data points.csv --replace-head 2 --lora 2 --epochs 1 --out lora", folder, 0, ["trains"])
    names = {w.name for w in onnx.load(folder / "lora/model.onnx").graph.initializer}
    expect(not any("lora" in name for name in names), f"LoRA was not merged: {names}")
    call("finetune again.onnx --data points.csv --train-last 1 --lora 2", folder, 2, ["give one of them"])


def searches(folder):
    line = "sweep net.onnx --data points.csv --vary train.rate=1e-4:1 --vary train.optimizer=sgd|adam --epochs 2 " \
           "--out search --seed 5 --json --trials "
    first = json.loads(call(line + "3", folder).stdout or "{}")
    expect(len(first.get("trials", [])) == 3, f"sweep told {first}")
    lines = (folder / "search/trials.jsonl").read_text().splitlines()
    call(line + "5", folder)
    after = (folder / "search/trials.jsonl").read_text().splitlines()
    expect(after[:3] == lines and len(after) == 5, "a sweep does not go on where it was")
    expect((folder / "search/trials.png").exists(), "a sweep left no plot")
    # The same trials at once: those that were stopped at the median too.
    half = line.replace("--out search", "--out half").replace("--epochs 2", "--epochs 4")
    call(half + "6", folder)
    call(half + "12", folder)
    call(half.replace("--out half", "--out whole") + "12", folder)
    parts, whole = ([json.loads(text) for text in (folder / name / "trials.jsonl").read_text().splitlines()]
                    for name in ("half", "whole"))
    expect(any(t["stopped"] for t in whole) and all(1 <= len(t["epochs"]) <= 4 for t in whole), f"trials {whole}")
    expect(parts[:3] == whole[:3], "the first trials of a sweep differ")
    for number, trial in enumerate(parts):  # what stops one is the median of those before it
        for epoch in range(len(trial["epochs"])):
            before = sorted(t["epochs"][epoch] for t in parts[:number] if len(t["epochs"]) > epoch)
            above = len(before) >= 3 and trial["epochs"][epoch] > before[len(before) // 2]
            expect(above == (trial["stopped"] and epoch + 1 == len(trial["epochs"])), f"trial {number + 1}: {parts}")
    call(half + "13 --monitor val_accurcy", folder, 4, ["no epoch has a number 'val_accurcy'", "'val_accuracy'"])
    with open(folder / "half/trials.jsonl", "a", encoding="utf-8") as lines:
        lines.write('{"fields": 3}\n')
    call(half + "14", folder, 4, ["trials.jsonl' line 13"])
    on = "sweep net.onnx --data points.csv --steps 2 --trials 2 --out "
    call(on + "search --vary train.rate=1e-4:1", folder, 4,
         ["'search' holds a search over other fields (train.rate, train.optimizer)", "--out"])
    call(on + "s --vary train.rat=1e-4:1", folder, 2, ["--vary: train.rat=", "did you mean 'train.rate'"])
    call(on + "s --vary train.optimizer=sgd|adamm", folder, 2, ["--vary: ", "did you mean 'adam'"])
    expect(not (folder / "s").exists(), "a sweep that was refused left a folder")
    done = call(on + "sizes --vary loader.batch_size=10:100 --json", folder)
    sizes = [trial["fields"][0].partition("=")[2] for trial in json.loads(done.stdout or "{}").get("trials", [])]
    expect(len(sizes) == 2 and all(size.isdigit() for size in sizes), f"sizes of batches drawn: {sizes}")


def refusals(folder):
    bad = folder / "bad.toml"
    for text, texts in {
        'model = "net.onnx"\n[loader]\nbatch_sze = 3\n': ["bad.toml line 3", "did you mean 'loader.batch_size'"],
        'model = "net.onnx"\nepochs = "many"\n': ["bad.toml line 2", "'epochs' wants an integer"],
        '[train]\noptimzer = "sgd"\n': ["bad.toml line 2", "did you mean 'train.optimizer'"],
        "[train]\nrate = fast\n": ["bad.toml line 2"],
        "[loader\n": ["bad.toml line 1"],
        'epochs = 1\n[data]\npath = "points.csv"\n': ["there is no model"],
        'model = "net.onnx"\n': ["there are no data"],
    }.items():
        bad.write_text(text)
        call("train bad.toml", folder, 2, texts)
    call("train net.onnx --data points.csv --loss cross_entrpy", folder, 2, ["did you mean 'cross_entropy'"])
    call("train net.onnx --data points.csv --optimizer adamm", folder, 2, ["did you mean 'adam'"])
    call("train net.onnx --data points.csv --epochs 0", folder, 2, ["--epochs"])
    call("train net.onnx --data points.csv --steps 0", folder, 2, ["--steps"])
    call("train net.onnx --data points.csv --steps 1 --epochs 1", folder, 2, ["--epochs and --steps", "one of them"])
    call("train job.toml --steps 3 --out by_steps", folder, 0, ["3 steps"])  # which tells epochs
    call("finetune net.onnx --data points.csv --steps 1", folder, 0, ["treadle: nothing of this run is kept"])
    call("train net.onnx --data points.csv --steps 1", folder, 0, ["nothing of this run is kept"])
    call("train net.onnx augment.mixup=0.2 --data points.csv --steps 1", folder, 4, ["kl or bce_with_logits"])
    call("train net.onnx augment.mixup=0.2 --data points.csv --steps 1 --loss kl --out mixed", folder)
    for rule, rate in {"adam": 0.001, "lion": 0.0001, "adadelta": 1}.items():
        call(f"train net.onnx --data points.csv --steps 1 --optimizer {rule} --out by_{rule}", folder)
        with open(folder / f"by_{rule}/metrics.jsonl", encoding="utf-8") as lines:
            expect(json.loads(next(lines))["rate"] == rate, f"{rule}'s usual rate is not {rate}")
    call("train net.onnx loader.batch_sizes=[30,60,120] --data points.csv --epochs 4 --out sizes", folder)
    expect(len((folder / "sizes/metrics.jsonl").read_text().splitlines()) == 8 + 4 + 2 + 2, "steps by batch sizes")
    call("train net.onnx loader.batch_sizes=[30,0] --data points.csv", folder, 4, ["a batch of 0 samples"])
    call("train net.onnx monitor=val_accurcy --data points.csv --epochs 1", folder, 0, ["did you mean 'val_accuracy'"])
    bytes_name = b"points\xff.csv"
    os.symlink(b"points.csv", os.path.join(os.fsencode(folder), bytes_name))
    call(["train", "net.onnx", "--epochs", "1", "--data", bytes_name], folder)
    call(["train", "net.onnx", "--epochs", "1", "--data", bytes_name, "--out", "no_text"], folder, 2,
         ["'data.path' cannot be kept in job.toml", "no UTF-8"])
    data = dict(np.load(folder / "points.npz"))
    data["x"][290:, 2] = np.nan
    np.savez(folder / "nan.npz", **data)
    call("train net.onnx --data nan.npz --mean 0 --std 1 --epochs 1 --no-shuffle --val-split 0 --out nan", folder, 4,
         ["the loss of step 10 is not finite", "holds nan"])
    call("train net.onnx --data points.csv --epochs 1 --out nan", folder)  # no checkpoint was there
    expect(len(list((folder / "nan").glob("events.*"))) == 1, "events of the failed run stay")
    call("train net.onnx --data points.csv --epochs 1 --out nan", folder, 4, ["holds a run already"])
    np.savetxt(folder / "real.csv", np.random.default_rng(1).normal(size=(50, 5)), delimiter=",")
    call("train net.onnx --data real.csv", folder, 4, ["real.csv' line 1", "no class", "data.regression=true"])
    call("train new.kind=mlp --data real.csv", folder, 4, ["real.csv' line 1", "no class", "data.regression=true"])
    call("train new.kind=mlp --data real.csv data.regression=true --epochs 1", folder, 0, ["val_rmse"])
    np.savetxt(folder / "prices.csv", np.arange(100).reshape(20, 5) * 1000, delimiter=",", fmt="%d")
    call("train net.onnx --data prices.csv", folder, 4, ["99001 classes", "the model 2 outputs", "data.regression=true"])
    call("train new.kind=mlp --data prices.csv", folder, 4, ["99001 classes in 16 samples", "data.regression=true"])
    np.savez(folder / "parts.npz", x=data["x"], target=np.linspace(0, 1, 300, dtype=np.float32))
    call("train net.onnx --data parts.npz --loss cross_entropy --epochs 1 --mean 0 --std 1", folder, 4,
         ["a target is 0.", "whole numbers"])
    call("train --help", folder, 0, ["wav hdf5 lmdb"])
    call("train net.onnx --data nan.npz --epochs 1 --val-split 0", folder, 4, ["sample 290 of", "holds nan"])
    call("train net.onnx --data nowhere", folder, 4, ["nowhere"])
    (folder / "bomb.csv.gz").write_bytes(gzip.compress(b"0\n" * (33 << 20)))
    call("train net.onnx --data bomb.csv.gz", folder, 4, ["bomb.csv.gz", "67108864 bytes when decompressed"])
    call("train net.onnx --data points.csv --batch-size 0", folder, 4, ["batch of 0"])
    call("train net.onnx --data points.csv --epochs two", folder, 2, ["--epochs: 'two' is not an integer"])
    call("train --fields", folder, 0, ["| `loader.batch_size` | `32` |", "| `train.optimizer` |"])
    listed = call("train --fields", folder).stdout
    documented = (pathlib.Path(os.environ["TREADLE_SOURCE"]) / "docs/training.md").read_text(encoding="utf-8")
    expect(listed in documented, "docs/training.md does not list the fields as `treadle train --fields` does")
    call("train net.onnx --data points.csv --find-lr", folder, 0, ["suggestion: --lr"])
    call("export nowhere x.onnx", folder, 4, ["nowhere"])


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_data(folder)
        new_networks(folder)
        for part in (runs, progress, own_losses, exports, pictures, finetunes, searches, refusals):
            part(folder)
    return result()


sys.exit(main())
