#!/usr/bin/env python3
"""Puts what compare.py measured into a document.

usage: bench_table.py RESULTS.json MACHINE DOCUMENT.md
Replaces what stands between the lines `<!-- bench -->` and `<!-- /bench -->`.
"""
import json
import math
import pathlib
import sys

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def milliseconds(run):
    return f"{run['min_ms']:.3g}" if "min_ms" in run else "failed"


def table(rows, machine):
    peers = [key for key in rows[0] if isinstance(rows[0][key], dict) and key != "treadle"]
    lines = [f"Measured on {machine}; minimum latency in milliseconds.", "",
             "| network | threads | Treadle | " + " | ".join(peers) + " | × | outputs |",
             "|" + "---|" * (len(peers) + 5)]
    for row in rows:
        cells = [pathlib.Path(row["model"]).stem, str(row["threads"]),
                 *(milliseconds(row[who]) for who in ["treadle", *peers]),
                 "-" if math.isnan(row["ratio"]) else f"{row['ratio']:.2f}", row["equal"]]
        lines.append("| " + " | ".join(cells) + " |")
    for threads in sorted({row["threads"] for row in rows}):
        ratios = [r["ratio"] for r in rows if r["threads"] == threads and r["ratio"] > 0]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            lines += ["", f"Geometric mean at {threads} thread(s): {mean:.2f}."]
    return "\n".join(lines)


def replaced(document, text):
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        sys.exit(f"bench_table: the document must have one {BEGIN} and one {END}")
    head, rest = document.split(BEGIN)
    return f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def main():
    results, machine, path = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    rows = json.loads(pathlib.Path(results).read_text())
    path.write_text(replaced(path.read_text(), table(rows, machine)))


if __name__ == "__main__":
    main()
