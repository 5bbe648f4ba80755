"""Strings."""
import re

import numpy as np

import draw
from case import Case, operator


@operator("StringConcat", since=20)
def string_concat(d):
    return Case([d.array("string", s) for s in d.broadcast(2)])


@operator("StringSplit", since=20)
def string_split(d):
    return Case([d.array("string", d.shape(0, 4, empty=0))],
                d.some(delimiter=d.pick([" ", ",", "a", "-", ""]), maxsplit=d.int(0, 3)), outputs=2)


@operator("StringNormalizer", since=10)
def string_normalizer(d):
    x = d.array("string", [d.int(1, 6)] if d.maybe() else [1, d.int(1, 6)])
    given = d.some(case_change_action=d.pick(["LOWER", "UPPER", "NONE"]), stopwords=list(
        d.pick([["a", "ab"], ["b c"], ["0"]])), is_case_sensitive=d.int(0, 1))
    fold = (lambda w: w) if given.get("is_case_sensitive", 0) else str.lower

    def normalized():
        stop = {fold(w) for w in given.get("stopwords", ())}
        change = {"LOWER": str.lower, "UPPER": lambda w: "".join(
            c.upper() if len(c.upper()) == 1 else c for c in w)}.get(
                given.get("case_change_action"), lambda w: w)
        left = [change(w) for w in x.reshape(-1) if fold(w) not in stop] or [""]
        return [np.array(left, object).reshape(x.shape[:-1] + (len(left),))]

    return Case([x], given, numpy=normalized)


@operator("RegexFullMatch", since=20)
def regex_full_match(d):
    pattern = d.pick([r"[a-z]+", r"\d+", r"-?\d+(\.\d+)?", r"a.*", r"(a|b|ab)", r".*ß.", r"[^ ]*"])
    x = d.array("string", d.shape(0, 5))

    def match():
        found = [re.fullmatch(pattern, w) is not None for w in x.reshape(-1)]
        return [np.array(found, bool).reshape(x.shape)]

    return Case([x], {"pattern": pattern}, numpy=match)


@operator("TfIdfVectorizer", since=9)
def tfidf(d):
    words, most = d.maybe(), d.int(1, 3)
    pool, counts, at = [], [], 0
    for n in range(1, 4):
        counts.append(at)
        grams = {tuple(d.int(0, 4) for _ in range(n)) for _ in range(d.int(1, 3))}
        for gram in sorted(grams) if n <= most else ():
            pool += gram
            at += n
    counts = counts[:most]
    ends = counts[1:] + [len(pool)]
    grams = sum((e - s) // n for n, (s, e) in enumerate(zip(counts, ends), 1))
    attributes = {"mode": d.pick(["TF", "IDF", "TFIDF"]), "min_gram_length": d.int(1, most),
                  "max_gram_length": most, "max_skip_count": d.int(0, 3), "ngram_counts": counts,
                  "ngram_indexes": d.permutation(grams)}
    attributes |= d.some(weights=[d.float(0.1, 2) for _ in range(grams)])
    shape = [d.int(1, 7)] if d.maybe() else [d.int(1, 3), d.int(1, 7)]
    tokens = d.random.integers(0, 5, shape)
    if words:
        attributes["pool_strings"] = [f"w{i}" for i in pool]
        text = np.empty(tuple(shape), object)
        text.reshape(-1)[:] = [f"w{i}" for i in tokens.reshape(-1)]
        return Case([text], attributes)
    attributes["pool_int64s"] = pool
    return Case([tokens.astype(draw.numpy_dtype(d.pick(["int32", "int64"])))], attributes)
