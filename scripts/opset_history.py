#!/usr/bin/env python3
"""Writes importer/onnx/history.inc: what each version of each ONNX operator accepts.

usage: opset_history.py [--check] FILE    (needs the PyPI package onnx; --check compares, exit 1)
A row is {kind, domain, since, inputs, outputs, attributes}: for each input and output a mask of
element types in hexadecimal (bit = TensorProto.DataType; bit 31 = an optional, bit 0 = a sequence
or map), '?' where it may be absent, '*' where it repeats. No inputs, outputs and attributes:
deprecated.
"""
import sys

import onnx
from onnx import defs, helper

OLDEST = 7  # the writer goes no lower
DOMAINS = ["", "ai.onnx.ml", "ai.onnx.preview"]


def mask(types):
    bits = 0
    for text in types:
        inner = text[7:-1] if text.startswith("tensor(") else ""
        name = {"float": "FLOAT", "double": "DOUBLE"}.get(inner, inner.upper())
        other = 31 if text.startswith("optional(") else 0
        bits |= 1 << (onnx.TensorProto.DataType.Value(name) if name else other)
    return bits


def params(schema, formals):
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    words = []
    for p in formals:
        option = {"Optional": "?", "Variadic": "*"}.get(str(p.option).split(".")[-1], "")
        words.append(f"{mask(allowed.get(p.type_str, [p.type_str])):x}{option}")
    return " ".join(words)


def rows():
    schemas = {}
    for s in defs.get_all_schemas_with_history():
        if s.domain in DOMAINS:
            schemas.setdefault((s.domain, s.name), {})[s.since_version] = s
    for (domain, name), versions in sorted(schemas.items()):
        first = max((v for v in versions if v <= OLDEST), default=0) if not domain else 0
        previous = None
        for version in sorted(v for v in versions if v >= first):
            s = versions[version]
            row = ("", "", "") if s.deprecated else (
                params(s, s.inputs), params(s, s.outputs), " ".join(sorted(s.attributes)))
            if row != previous:
                yield f'{{"{name}", "{domain}", {version}, "{row[0]}", "{row[1]}", "{row[2]}"}},'
            previous = row


def ir_versions():
    newest = {}
    for row in helper.VERSION_TABLE:
        ir, opset, ml = row[1], row[2], row[3]
        for domain, version in (("", opset), ("ai.onnx.ml", ml)):
            if (domain, version) not in newest:
                newest[domain, version] = ir
    return [f'{{"{d}", {v}, {ir}}},' for (d, v), ir in sorted(newest.items())
            if d or v >= OLDEST]


def main():
    check = "--check" in sys.argv
    path = [a for a in sys.argv[1:] if not a.startswith("--")][0]
    text = "".join(f"{line}\n" for line in
                   [f"// Made by scripts/opset_history.py from onnx {onnx.__version__}:"
                    " do not edit.",
                    "#ifdef TREADLE_OPERATORS", *rows(), "#else  // {domain, opset, IR version}",
                    *ir_versions(), "#endif"])
    if check:
        sys.exit(0 if open(path).read() == text else f"{path} differs from what {__file__} makes")
    open(path, "w").write(text)


main()
