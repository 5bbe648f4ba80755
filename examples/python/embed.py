#!/usr/bin/env python3
"""Compares sentences by a transformer, whatever their length:   embed.py [MODEL.onnx]

The model is an encoder with inputs [batch, sequence] (input_ids, attention_mask, token_type_ids)
and the last hidden state as output, such as all-MiniLM; without one, a small one with random
weights is built. Words are hashed to tokens: a real tokenizer goes in their place.
RUNTIME=onnxruntime runs the same with onnxruntime."""
import importlib
import os
import sys
import zlib

import numpy as np

ort = importlib.import_module(os.environ.get("RUNTIME", "treadle"))  # import treadle as ort

SENTENCES = ["the cat sat on the mat", "a cat sat upon a mat", "stocks fell",
             "shares of all the large banks lost value again on Friday afternoon"]
VOCABULARY, WIDTH = 1000, 32
ENCODER = """<ir_version: 8, opset_import: ["": 17]>
encoder (int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask)
     => (float[batch, sequence, hidden] last_hidden_state) {
  x = Gather(words, input_ids)
  present = Cast<to = 1>(attention_mask)
  one = Constant<value_float = 1.0>()
  far = Constant<value_float = -10000.0>()
  absent = Sub(one, present)
  bias = Mul(absent, far)
  axis = Constant<value_ints = [1]>()
  mask = Unsqueeze(bias, axis)
  q = MatMul(x, wq)
  k = MatMul(x, wk)
  v = MatMul(x, wv)
  kt = Transpose<perm = [0, 2, 1]>(k)
  scores = MatMul(q, kt)
  masked = Add(scores, mask)
  weights = Softmax<axis = -1>(masked)
  attended = MatMul(weights, v)
  sum = Add(x, attended)
  normal = LayerNormalization(sum, scale)
  inner = MatMul(normal, wi)
  active = Relu(inner)
  outer = MatMul(active, wo)
  last_hidden_state = Add(normal, outer)
}"""


def small_model():
    import onnx.parser
    from onnx import numpy_helper

    model = onnx.parser.parse_model(ENCODER)
    rng = np.random.default_rng(1)
    shapes = {"words": [VOCABULARY, WIDTH], "wi": [WIDTH, 4 * WIDTH], "wo": [4 * WIDTH, WIDTH],
              "wq": [WIDTH, WIDTH], "wk": [WIDTH, WIDTH], "wv": [WIDTH, WIDTH]}
    weights = {n: rng.normal(size=s).astype(np.float32) / 6 for n, s in shapes.items()}
    weights["scale"] = np.ones(WIDTH, np.float32)
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return model.SerializeToString()


def tokenize(sentences):
    """The ids, padded with 0 to the longest sentence, and 1 where there is a token."""
    ids = [[1 + zlib.crc32(w.encode()) % (VOCABULARY - 1) for w in s.split()] for s in sentences]
    tokens = np.zeros((len(ids), max(map(len, ids))), np.int64)
    for row, words in zip(tokens, ids):
        row[:len(words)] = words
    return tokens, (tokens != 0).astype(np.int64)


def embed(session, sentences):
    """One vector of length 1 a sentence: the mean of its tokens' hidden states."""
    tokens, mask = tokenize(sentences)
    feed = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
    wanted = {i.name for i in session.get_inputs()}
    [hidden] = session.run(None, {n: x for n, x in feed.items() if n in wanted})
    pooled = (hidden * mask[..., np.newaxis]).sum(1)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def main(model=None):
    session = ort.InferenceSession(model or small_model(), providers=["CPUExecutionProvider"])
    for port in session.get_inputs():
        print(port.name, port.type, port.shape)
    alone = np.concatenate([embed(session, [s]) for s in SENTENCES])
    together = embed(session, SENTENCES)
    print("padding moves an embedding by less than 0.05:", abs(alone - together).max() < 0.05)
    for sentence, row in zip(SENTENCES, alone @ alone.T):
        print(" ".join(f"{s:6.3f}" for s in row), "", sentence)


if __name__ == "__main__":
    main(*sys.argv[1:])
