"""Spectra, windows and pictures."""
import struct
import zlib

import numpy as np

import draw
from case import Case, operator
from draw import COMMON, FLOATS


@operator("DFT", since=17)
def dft(d):
    shape = d.shape(1, 4, empty=0, limit=300)
    inverse = d.int(0, 1)
    onesided = 0 if inverse and d.opset < 20 else d.int(0, 1)
    last = 2 if inverse or not onesided and d.maybe() else 1
    if inverse and onesided:
        last = 2
    rank = len(shape) + 1
    axis = d.int(0, rank - 2)
    if d.maybe():
        axis -= rank
    if inverse and onesided and shape[axis if axis >= 0 else axis + rank] < 2:
        onesided = 0
    inputs = [d.array(d.dtype(FLOATS[:2], "T1"), [*shape, last])]
    attributes = {"inverse": inverse, "onesided": onesided}
    length = d.int(1, 7) if d.maybe(0.4) and not (inverse and onesided) else None
    inputs.append(None if length is None else np.array(length, np.int64))
    if d.opset < 20:
        return Case(inputs, attributes | {"axis": axis}, rtol=1e-4)
    inputs.append(np.array(axis, np.int64))
    return Case(inputs, attributes, rtol=1e-4, constants=(2,) if d.maybe() else ())


@operator("STFT", since=17)
def stft(d):
    batch, length = d.int(1, 3), d.int(6, 20)
    frame, step = d.int(2, 6), d.int(1, 4)
    dtype = d.dtype(FLOATS[:2], "T1")
    window = d.array(dtype, [frame], 0, 1) if d.maybe() else None
    given = np.array(frame, np.int64) if window is None or d.maybe() else None
    inputs = [d.array(dtype, [batch, length, 1]), np.array(step, np.int64), window, given]
    return Case(inputs, d.some(onesided=d.int(0, 1)), rtol=1e-4)


@operator("HannWindow", "HammingWindow", "BlackmanWindow", since=17)
def window(d, name):
    kind = d.dtype(COMMON[:2] + ("int32",), "T2") if d.maybe(0.8) else "float"
    return Case([np.array(d.int(2, 20), d.pick([np.int32, np.int64]))],
                d.some(periodic=d.int(0, 1)) |
                {"output_datatype": draw.onnx_code(draw.numpy_dtype(kind))}, atol=1e-6,
                constants=(0,) if d.maybe() else ())


@operator("MelWeightMatrix", since=17)
def mel_weight_matrix(d):
    rate = d.pick([8000, 16000, 22050])
    low = d.float(0, rate / 8)
    kind = np.int64 if d.maybe() else np.int32
    return Case([np.array(d.int(1, 8), kind), np.array(d.pick([16, 32, 64]), kind),
                 np.array(rate, kind), np.array(low, np.float32),
                 np.array(d.float(rate / 4, rate / 2), np.float32)], atol=1e-5)


# ---- ImageDecoder: pictures written here, of formats that lose nothing

def png(pixels):
    height, width, channels = pixels.shape

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def bmp(pixels):
    height, width, _ = pixels.shape
    pad = b"\0" * (-3 * width % 4)
    data = b"".join(row[:, ::-1].tobytes() + pad for row in pixels[::-1])
    return (struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54) +
            struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(data), 0, 0, 0, 0) + data)


def pnm(pixels):
    height, width, channels = pixels.shape
    return b"P%d\n%d %d\n255\n" % (6 if channels == 3 else 5, width, height) + pixels.tobytes()


@operator("ImageDecoder", since=20)
def image_decoder(d):
    write = d.pick([png, bmp, pnm])
    channels = 1 if write is not bmp and d.maybe() else 3
    pixels = d.array("uint8", [d.int(1, 9), d.int(1, 9), channels], 0, 255)
    form = d.pick(["RGB", "BGR"])
    wanted = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels
    wanted = np.ascontiguousarray(wanted[:, :, ::-1] if form == "BGR" else wanted)
    if pixels.shape[2] == 1 and d.maybe():
        form, wanted = "Grayscale", pixels
    return Case([np.frombuffer(write(pixels), np.uint8)], {"pixel_format": form},
                numpy=lambda: [wanted])
