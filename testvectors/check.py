"""Checks the vectors beside this file with the formulas of README.md, independently of the project's code."""
import base64, hashlib, json, math, pathlib

FOLDER = pathlib.Path(__file__).parent / "prefilter"
COUNTS = json.loads((FOLDER / "manifest.json").read_text())["vectors"]
M = 0xFFFFFFFF

def load(name):
    vectors = json.loads((FOLDER / name).read_text())
    assert name not in COUNTS or len(vectors) == COUNTS[name], f"{name} has {len(vectors)} vectors"
    return vectors

def fnv1a(data, beta=False):
    h = 0x811C9DC5
    for byte in data:
        h = (h * 0x01000193 & M) ^ byte if beta else (h ^ byte) * 0x01000193 & M
    return h

def murmur3(data, seed):
    rotate = lambda x, n: (x << n | x >> 32 - n) & M
    mix = lambda k: rotate(k * 0xCC9E2D51 & M, 15) * 0x1B873593 & M
    h, whole = seed, len(data) & ~3
    for i in range(0, whole, 4):
        h = (rotate(h ^ mix(int.from_bytes(data[i:i + 4], "little")), 13) * 5 + 0xE6546B64) & M
    h ^= mix(int.from_bytes(data[whole:], "little")) ^ len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & M
    h = (h ^ h >> 13) * 0xC2B2AE35 & M
    return h ^ h >> 16

def indices(key, v, beta=False):
    h1, h2 = fnv1a(key.encode(), beta), murmur3(key.encode(), v["murmurSeed"])
    return [(h1 + i * h2 & M) % v["bitCount"] for i in range(v["hashCount"])]

def sizes(n, p, rule):
    whole = math.ceil if rule == "ceil" else lambda x: math.floor(x + 0.5)
    bits = max(1, whole(-n * math.log(p) / math.log(2) ** 2))
    return bits, max(1, whole(bits / n * math.log(2)))

def bits(v, beta=False):
    data = bytearray((v["bitCount"] + 7) // 8)
    for i in (i for key in v["keys"] for i in indices(key, v, beta)):
        data[i // 8] |= 1 << i % 8
    return bytes(data)

for v in load("hashes.json"):
    data = bytes.fromhex(v["utf8Hex"])
    assert fnv1a(data) == v["fnv1a32"] and all(murmur3(data, int(s)) == h for s, h in v["murmur3_32"].items()), v
for v in load("indices.json"):
    assert indices(v["input"], v) == v["indices"], v
for v in load("sizing.json"):
    assert sizes(v["n"], v["p"], v["rule"]) == (v["bitCount"], v["hashCount"]), v
for v in load("filters.json"):
    assert sizes(len(v["keys"]), v["falsePositiveTolerance"], v["rule"]) == (v["bitCount"], v["hashCount"]), v
    assert base64.b64decode(v["data"]) == bits(v) and hashlib.sha256(bits(v)).hexdigest() == v["tag"], v
beta = load("beta_2025.json")
assert base64.b64decode(beta["data"]) == bits(beta, beta=True) != bits(beta)
