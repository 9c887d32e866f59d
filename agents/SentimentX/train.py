#!/usr/bin/env python3
"""Trains the model of SentimentX. Standard library only; deterministic (own shuffle, fixed seed); about two minutes.

    python3 agents/SentimentX/train.py ../shared/data/sentiment/twitter_financial_news_sent_train.csv

Data: texts with labels 0 bearish, 1 bullish, 2 neutral. Every text whose token hash is 0 modulo 5 is held out: it is
never seen in training, and texts that differ only in their links fall on the same side. The tokens and features are
those of TextFeatures.swift, and must stay so: SentimentXTests compares this file's held-out scores with its own.

Model: softmax regression on hashed binary features (words, word pairs, character 4- and 5-grams inside words; Weinberger
et al. 2009, "Feature hashing for large scale multitask learning"), divided by the root of their number; AdaGrad (Duchi
et al. 2011) with averaging over the second half; classes weighted by the inverse root of their frequency; int8 weights;
one temperature for calibrated probabilities (Guo et al. 2017), fitted on fold 1 by a model that has not seen fold 1.
"""
import csv
import math
import os
import re
import struct
import sys

BUCKET_BITS = 15
EPOCHS = 10
RATE = 0.3
DECAY = 3e-3
CLASS_WEIGHT_POWER = 0.5
MAX_TEXT_BYTES = 4096
MASK64 = (1 << 64) - 1
TOKEN = re.compile(rb"[a-z]+(?:'[a-z]+)?|[+-]?[$]?[0-9][0-9.,]*%?|[?!]")


def fnv1a64(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK64
    return value


def tokens(text):
    data = text.encode("utf-8")[:MAX_TEXT_BYTES].replace(b"\xe2\x80\x99", b"'").lower()
    found = []
    for word in data.split():
        if word.startswith((b"http:", b"https:")):
            continue
        if word[:1] == b"@":
            found.append(b"@")
        elif word[:1] == b"$" and word[1:2].isalpha():
            found.append(b"$t")
        else:
            found.extend(shape(token) for token in TOKEN.findall(word))
    return found


def shape(token):
    """Numbers become their kind: "+18%" is "+0%", "$1.2" is "$0"."""
    if not (token[:1].isdigit() or token[:1] in b"+-$"):
        return token
    sign = token[:1] if token[:1] in b"+-" else b""
    if token[-1:] == b"%":
        return sign + b"0%"
    return sign + (b"$0" if b"$" in token else b"0")


def buckets(words):
    found = set()
    padded = [b"<"] + words + [b">"]
    for previous, word in zip(padded, padded[1:]):
        found.add(b"2" + previous + b" " + word)
    for word in words:
        found.add(b"1" + word)
        if word[:1].isalpha():
            marked = b"^" + word + b"$"
            for size in (4, 5):
                for start in range(len(marked) - size + 1):
                    found.add(b"4" + marked[start : start + size])
    return sorted({fnv1a64(feature) & ((1 << BUCKET_BITS) - 1) for feature in found})


def shuffled(count, state):
    """Fisher-Yates with xorshift64 (Marsaglia 2003)."""
    order = list(range(count))
    for index in range(count - 1, 0, -1):
        state ^= (state << 13) & MASK64
        state ^= state >> 7
        state ^= (state << 17) & MASK64
        other = state % (index + 1)
        order[index], order[other] = order[other], order[index]
    return order


def softmax(scores, temperature=1.0):
    top = max(scores)
    raised = [math.exp((score - top) / temperature) for score in scores]
    total = sum(raised)
    return [value / total for value in raised]


def scores(row, weights, bias):
    result = list(bias)
    if row:
        scale = 1 / math.sqrt(len(row))
        for kind in range(3):
            column = weights[kind]
            result[kind] += scale * sum(column[index] for index in row)
    return result


def train(rows, labels):
    size = 1 << BUCKET_BITS
    weights = [[0.0] * size for _ in range(3)]
    squares = [[1e-6] * size for _ in range(3)]
    summed = [[0.0] * size for _ in range(3)]
    bias, bias_sum, averaged = [0.0] * 3, [0.0] * 3, 0
    counts = [labels.count(kind) for kind in range(3)]
    class_weight = [(len(labels) / (3 * count)) ** CLASS_WEIGHT_POWER for count in counts]
    for epoch in range(EPOCHS):
        for index in shuffled(len(rows), 0x9E3779B97F4A7C15 + epoch):
            row, label = rows[index], labels[index]
            chances = softmax(scores(row, weights, bias))
            chances[label] -= 1
            scale = 1 / math.sqrt(len(row)) if row else 0.0
            for kind in range(3):
                gradient = chances[kind] * class_weight[label]
                bias[kind] -= 0.01 * gradient
                column, square = weights[kind], squares[kind]
                gradient *= scale
                for bucket in row:
                    value = gradient + DECAY * column[bucket]
                    square[bucket] += value * value
                    column[bucket] -= RATE * value / math.sqrt(square[bucket])
        if epoch >= EPOCHS // 2:
            averaged += 1
            for kind in range(3):
                bias_sum[kind] += bias[kind]
                column, total = weights[kind], summed[kind]
                for bucket in range(size):
                    total[bucket] += column[bucket]
    return [[value / averaged for value in column] for column in summed], [value / averaged for value in bias_sum]


def fit_temperature(rows, labels, weights, bias):
    pairs = [(scores(row, weights, bias), label) for row, label in zip(rows, labels)]

    def loss(temperature):
        return -sum(math.log(softmax(values, temperature)[label] + 1e-12) for values, label in pairs)

    return min((step / 100 for step in range(50, 301, 5)), key=loss)


def quantise(weights):
    scale = max(abs(value) for column in weights for value in column) / 127
    return scale, [[max(-127, min(127, round(value / scale))) for value in column] for column in weights]


def report(rows, labels, weights, bias, temperature):
    confusion = [[0] * 3 for _ in range(3)]
    for row, label in zip(rows, labels):
        chances = softmax(scores(row, weights, bias), temperature)
        confusion[label][chances.index(max(chances))] += 1
    total = sum(map(sum, confusion))
    accuracy = sum(confusion[kind][kind] for kind in range(3)) / total
    f1 = []
    for kind in range(3):
        predicted = sum(confusion[other][kind] for other in range(3))
        f1.append(2 * confusion[kind][kind] / (sum(confusion[kind]) + predicted))
    majority = max(sum(line) for line in confusion) / total
    print(f"held out {total}: accuracy {accuracy:.4f} (majority class {majority:.4f}), "
          f"macro F1 {sum(f1) / 3:.4f} (majority class {2 * majority / (1 + majority) / 3:.4f}); F1 bearish {f1[0]:.4f}, "
          f"bullish {f1[1]:.4f}, neutral {f1[2]:.4f}; temperature {temperature}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        data = [(tokens(row["text"]), int(row["label"])) for row in csv.DictReader(file)]
    folds = [fnv1a64(b" ".join(words)) % 5 for words, _ in data]
    rows, labels = [buckets(words) for words, _ in data], [label for _, label in data]

    def pick(wanted):
        chosen = [index for index, fold in enumerate(folds) if fold in wanted]
        return [rows[index] for index in chosen], [labels[index] for index in chosen]

    temperature = fit_temperature(*pick({1}), *train(*pick({2, 3, 4})))
    weights, bias = train(*pick({1, 2, 3, 4}))
    scale, whole = quantise(weights)
    model = struct.pack("<4sHBBf3ff", b"QPSX", 1, BUCKET_BITS, 3, scale, *bias, temperature)
    model += bytes(whole[kind][bucket] & 0xFF for bucket in range(1 << BUCKET_BITS) for kind in range(3))
    model += struct.pack("<Q", fnv1a64(model))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.bin")
    with open(path, "wb") as file:
        file.write(model)
    print(f"{path}: {len(model)} bytes, seen {len(pick({1, 2, 3, 4})[0])} texts")
    report(*pick({0}), [[value * scale for value in column] for column in whole], bias, temperature)


if __name__ == "__main__":
    main()
