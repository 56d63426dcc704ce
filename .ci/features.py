"""Prints the feature sets that each package must compile with, one on each line: the package, then the flags of cargo.

None, each feature alone, and the defaults if there are any: features only add, so that no set of them needs another than what its
members need.
"""

import json
import subprocess
import sys

metadata = json.loads(
    subprocess.check_output(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    )
)
features = {package["name"]: package["features"] for package in metadata["packages"]}
for name in sys.argv[1:]:
    print(name, "--no-default-features")
    for feature in sorted(features[name].keys() - {"default"}):
        print(name, "--no-default-features", "--features", feature)
    if features[name].get("default"):
        print(name)
