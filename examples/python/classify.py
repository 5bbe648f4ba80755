#!/usr/bin/env python3
"""Names what is in a picture:   classify.py MODEL.onnx PICTURE [LABELS.txt]

The model takes one float tensor [1, 3, height, width] and gives one score a class. The picture is a
binary PPM, or whatever Pillow reads. RUNTIME=onnxruntime runs the same with onnxruntime."""
import importlib
import os
import sys

import numpy as np

ort = importlib.import_module(os.environ.get("RUNTIME", "treadle"))  # import treadle as ort


def read_picture(path):
    """uint8 [height, width, 3]"""
    with open(path, "rb") as file:
        data = file.read()
    if not data.startswith(b"P6"):
        from PIL import Image

        return np.asarray(Image.open(path).convert("RGB"))
    _, width, height, _ = data.split(maxsplit=4)[:4]
    return np.frombuffer(data, np.uint8)[-int(width) * int(height) * 3:].reshape(
        int(height), int(width), 3)


def preprocess(picture, height, width):
    """The middle of the picture, nearest pixels, with ImageNet's mean and deviation, NCHW."""
    step = min(picture.shape[0] / height, picture.shape[1] / width)
    rows = ((picture.shape[0] - step * height) / 2 + step * (np.arange(height) + 0.5)).astype(int)
    columns = ((picture.shape[1] - step * width) / 2 + step * (np.arange(width) + 0.5)).astype(int)
    x = picture[rows][:, columns].astype(np.float32) / 255
    x = (x - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return x.transpose(2, 0, 1)[np.newaxis]


def main(model, picture, labels=None):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    [image] = session.get_inputs()
    height, width = (d if isinstance(d, int) else 224 for d in image.shape[2:])
    x = preprocess(read_picture(picture), height, width)
    scores = session.run([session.get_outputs()[0].name], {image.name: x})[0].reshape(-1)
    names = open(labels, encoding="utf-8").read().splitlines() if labels else range(len(scores))
    for best in scores.argsort()[::-1][:5]:
        print(f"{scores[best]:9.4f}  {names[best]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
