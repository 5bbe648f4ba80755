"""Training on HDF5 files and on LMDB databases of Caffe's Datum, as on the same numbers in an .npz."""
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

try:
    import h5py
    import lmdb
    import numpy as np

    from command import TOOL, call, expect, result
except ImportError as missing:
    print("skipped: the Python packages h5py, lmdb and numpy are needed:", missing)
    sys.exit(77)

COUNT = 60


def trains_as(folder, model, want, got):
    """Two sources give the same losses, to the bit."""
    runs = []
    for data in (want, got):
        run = f"run-{data}"
        if not (folder / run).exists():
            call(f"train {model} --data {data} --epochs 2 --batch-size 16 --loss cross_entropy --out {run} "
                 "data.normalize=none loader.threads=3", folder)
        runs.append((folder / run / "metrics.jsonl").read_text())
    expect(runs[0] == runs[1], f"{got} trains otherwise than {want}")


# ---- Caffe's Datum, field by field

def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def datum(shape=None, data=b"", label=0, floats=(), encoded=False):
    out = b""
    for number, size in enumerate(shape or (), 1):
        out += varint(number << 3) + varint(size)
    if data:
        out += varint(4 << 3 | 2) + varint(len(data)) + data
    out += varint(5 << 3) + varint(label)
    for f in floats:
        out += varint(6 << 3 | 5) + struct.pack("<f", f)
    return out + (varint(7 << 3) + b"\1" if encoded else b"")


def png(grey):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_lmdb(path, values):
    with lmdb.open(str(path), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for i, value in enumerate(values):
            transaction.put(f"{i:08}".encode(), value)


def hdf5(folder):
    random = np.random.default_rng(0)
    x = random.normal(size=(COUNT, 4)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)
    call("new mlp points.onnx --classes 2 --input-shape 4 --hidden 8", folder)
    np.savez(folder / "points.npz", x=x, target=y)
    for name, names, dtype in (("points.h5", ("x", "target"), np.float32),
                               ("caffe.hdf5", ("data", "label"), np.float64)):
        with h5py.File(folder / name, "w") as file:
            file.create_dataset(names[0], data=x.astype(dtype), chunks=(7, 4), compression="gzip")
            file[names[1]] = y.astype(np.uint8)
            file.create_group("notes")
        trains_as(folder, "points.onnx", "points.npz", name)
    (folder / "parts").mkdir()
    for part in range(3):
        with h5py.File(folder / f"parts/{part}.h5", "w") as file:
            file["x"], file["target"] = x[part * 20:part * 20 + 20], y[part * 20:part * 20 + 20]
    trains_as(folder, "points.onnx", "points.npz", "parts")


def hdf5_refusals(folder):
    whole = (folder / "points.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[:len(whole) // 2])
    (folder / "junk.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"junk" * 100)
    for name, datasets in {"words": {"x": np.array([b"a", b"b"]), "target": np.arange(2)},
                           "short": {"x": np.zeros((3, 4)), "target": np.arange(2)},
                           "none": {"x": np.zeros((3, 4))},
                           "alone": {"target": np.arange(2)},
                           "scalar": {"x": np.float32(1), "target": np.arange(2)}}.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            for key, value in datasets.items():
                file[key] = value
    with h5py.File(folder / "parts/4.h5", "w") as file:
        file["x"], file["target"] = np.zeros((2, 5), np.float32), np.arange(2)
    with h5py.File(folder / "vast.h5", "w") as file:
        file.create_dataset("x", shape=(4, 1 << 40), dtype=np.float32, chunks=(1, 1024))
        file["target"] = np.arange(4)
    os.mkfifo(folder / "fifo.h5")  # to open it would hang
    for name in ("link", "fifo_link", "soft", "storage", "virtual"):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["target"] = np.arange(4)
            if name == "link":
                file["x"] = h5py.ExternalLink("points.h5", "/x")
            elif name == "fifo_link":
                file["x"] = h5py.ExternalLink("fifo.h5", "/x")
            elif name == "soft":
                file["group/a"] = h5py.ExternalLink("fifo.h5", "/")
                file["x"] = h5py.SoftLink("/group/a/x")
            elif name == "storage":
                file.create_dataset("x", (4, 2), np.uint8, external=[(str(folder / "points.npz"), 0, 8)])
            else:
                layout = h5py.VirtualLayout((4, 4), np.float32)
                layout[:] = h5py.VirtualSource("points.h5", "x", (COUNT, 4))[:4]
                file.create_virtual_dataset("x", layout)
    for data, texts in {"link.h5": ["'x'", "another file"], "fifo_link.h5": ["'x'", "another file"],
                        "soft.h5": ["'x'", "another file"], "storage.h5": ["'x'", "another file"],
                        "virtual.h5": ["'x'", "another file"], "cut.h5": ["cut.h5"], "junk.h5": ["junk.h5", "HDF5"],
                        "words.h5": ["'x'", "neither floats nor integers"],
                        "short.h5": ["'x'", "holds 3 samples, the target 2"],
                        "none.h5": ["no dataset 'target'"], "alone.h5": ["no dataset beside the target"],
                        "scalar.h5": ["'x'", "rank 0"], "parts": ["4.h5", "other datasets"],
                        "vast.h5": ["'x'", "samples of 1099511627776 numbers"]}.items():
        done = call(f"train points.onnx --data {data} --steps 2", folder, 4, texts)
        expect("HDF5-DIAG" not in done.stderr, f"{data}: HDF5 prints")


def lmdb_pictures(folder):
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (COUNT, 1, 8, 8), np.uint8)
    y = (x.reshape(COUNT, -1).mean(axis=1) > 127).astype(np.int64)
    call("new cnn pictures.onnx --classes 2 --input-shape 1x8x8 --filters 4", folder)
    np.savez(folder / "pictures.npz", x=x.astype(np.float32) / 255, target=y)
    write_lmdb(folder / "bytes", [datum(a.shape, a.tobytes(), int(b)) for a, b in zip(x, y)])
    write_lmdb(folder / "files", [datum(data=png(a[0]), label=int(b), encoded=True) for a, b in zip(x, y)])
    write_lmdb(folder / "floats", [datum(a.shape, label=int(b), floats=(a.astype(np.float32) / 255).ravel())
                                   for a, b in zip(x, y)])
    for got in ("bytes", "files", "floats"):
        trains_as(folder, "pictures.onnx", "pictures.npz", got)
    (folder / "bytes/data.mdb").rename(folder / "alone.mdb")
    trains_as(folder, "pictures.onnx", "pictures.npz", "alone.mdb")


def lmdb_refusals(folder):
    good = datum((1, 8, 8), bytes(64), 1)
    write_lmdb(folder / "junk", [b"\xff" * 20])
    write_lmdb(folder / "short", [good, datum((1, 8, 8), bytes(63), 1)])
    write_lmdb(folder / "other", [good, datum((1, 4, 4), bytes(16), 1)])
    write_lmdb(folder / "negative", [datum((1, (1 << 64) - 8, 8), bytes(64), 1)])
    write_lmdb(folder / "broken", [datum(data=b"no picture", encoded=True)])
    write_lmdb(folder / "empty", [])
    (folder / "rubbish.mdb").write_bytes(b"rubbish" * 3000)
    write_lmdb(folder / "cut", [good] * 500)
    os.truncate(folder / "cut/data.mdb", 8192)
    for data, texts in {"junk": ["no Datum", "'junk', entry '00000000'"], "cut": ["'cut'", "2 pages", "cut off"], "short": ["'00000001'", "[1, 8, 8] holds 63 bytes"],
                        "other": ["'00000001'", "[1, 4, 4]", "[1, 8, 8]"], "negative": ["-8"],
                        "broken": ["'broken'"], "empty": ["holds no entry"],
                        "rubbish.mdb": ["rubbish.mdb", "LMDB"]}.items():
        call(f"train pictures.onnx --data {data} --steps 20 data.val_split=0 data.normalize=none "
             "--loss cross_entropy", folder, 4, texts)


def lmdb_damage(folder):
    """LMDB's library follows the page numbers and offsets that it reads."""
    whole = (folder / "alone.mdb").read_bytes()
    page, (last,) = 4096, struct.unpack_from("<Q", whole, 4096 + 16 + 120)
    random, codes = np.random.default_rng(2), set()
    for number in range(60):
        bad = bytearray(whole)
        at = int(random.integers(1, last + 1)) * page + int(random.choice([0, 8, 10, 12, 14, 16, 18, 16 + 112, 4080]))
        if number % 3 == 0:  # where nodes begin: their sizes, keys and pages
            at += int(random.integers(0, page - 100))
        bad[at:at + 2] = random.choice([b"\xff\xff", b"\0\0", b"\xf0\x0f", b"\x01\x00", b"\x02\x02"])
        (folder / "damaged.mdb").write_bytes(bad)
        done = subprocess.run([TOOL, "train", "pictures.onnx", "--data", "damaged.mdb", "--epochs", "1"],
                              capture_output=True, text=True, cwd=folder, timeout=300)
        expect(done.returncode in (0, 4), f"damaged at {at}: exit {done.returncode} {done.stderr}")
        codes.add((done.returncode, "is damaged: page" in done.stderr))
    expect(codes >= {(0, False), (4, True)}, f"damage told {codes}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        call("new mlp x.onnx --classes 2 --input-shape 4", folder)
        (folder / "probe.h5").write_bytes(b"")
        (folder / "probe.mdb").write_bytes(b"")
        told = "".join(subprocess.run([TOOL, "train", "x.onnx", "--data", p], capture_output=True, text=True,
                                      cwd=folder).stderr for p in ("probe.h5", "probe.mdb"))
        if "made without" in told:
            print("skipped:", told)
            return 77
        for part in (hdf5, hdf5_refusals, lmdb_pictures, lmdb_refusals, lmdb_damage):
            part(folder)
    return result()


sys.exit(main())
