"""Types and traits of other crates in public signatures, against the allow-lists of the manifests.

    public_types.py FOLDER MANIFEST...

FOLDER has what `rustdoc --output-format json` wrote. A manifest lists what is allowed under
[package.metadata.public-types] allowed, as paths where `*` stands for anything. The standard library is always allowed.
"""

import fnmatch
import json
import sys
import tomllib
from pathlib import Path

STANDARD = {"std", "core", "alloc"}


class Crate:
    """The public part of a crate, and what it names of others."""

    def __init__(self, description):
        self.index = description["index"]
        self.paths = description["paths"]
        # The path of each thing of another crate, with one place that names it.
        self.named = {}
        self.seen = set()
        self.visit(description["root"], [])

    def item(self, number):
        return self.index.get(str(number))

    def name(self, number, place):
        """Notes a type or trait, if it is one of another crate."""
        known = self.paths.get(str(number))
        if known and known["crate_id"] != 0 and known["path"][0] not in STANDARD:
            self.named.setdefault("::".join(known["path"]), "::".join(place))

    def signature(self, part, place):
        """Notes each type and trait in a part of a signature."""
        if isinstance(part, list):
            for inner in part:
                self.signature(inner, place)
        elif isinstance(part, dict):
            if isinstance(part.get("id"), int) and "path" in part:
                self.name(part["id"], place)
            for inner in part.values():
                self.signature(inner, place)

    def visit(self, number, place, inherits=False):
        """An item, if it is public; `inherits` if it is as public as what it is part of."""
        item = self.item(number)
        if item is None or (number, tuple(place)) in self.seen:
            return
        visible = item["visibility"] == "public" or inherits and item["visibility"] == "default"
        if not visible:
            return
        self.seen.add((number, tuple(place)))
        (kind, inner), = item["inner"].items()
        place = place + [item["name"]] if item["name"] else place
        if kind == "module":
            for part in inner["items"]:
                self.visit(part, place)
        elif kind == "use":
            self.reexport(inner, place)
        elif kind in ("struct", "union", "enum", "variant", "trait"):
            self.composite(kind, inner, place)
        elif kind not in ("macro", "proc_macro", "extern_crate"):
            # Functions, constants, statics, aliases, fields and associated items.
            self.signature(inner, place)

    def reexport(self, inner, place):
        target = inner["id"]
        if target is None:
            return
        if self.item(target) is None:
            self.name(target, place)
            return
        if inner["is_glob"]:
            (kind, module), = self.item(target)["inner"].items()
            parts = module["items"] if kind == "module" else module.get("variants", [])
            for part in parts:
                self.visit(part, place)
        else:
            self.visit(target, place, inherits=True)

    def composite(self, kind, inner, place):
        self.signature(inner.get("generics"), place)
        self.signature(inner.get("bounds"), place)
        # Fields of variants, variants, and items of traits are as public as what has them.
        shape = inner.get("kind")
        fields = inner.get("fields", [])
        if isinstance(shape, dict):
            fields = shape.get("tuple") or (shape.get("plain") or shape.get("struct") or {}).get("fields", [])
        for part in fields:
            self.visit(part, place, inherits=kind == "variant")
        for part in inner.get("variants", []) + inner.get("items", []):
            self.visit(part, place, inherits=True)
        for number in inner.get("impls", []):
            self.implementation(self.item(number), place)

    def implementation(self, item, place):
        inner = item["inner"]["impl"]
        if inner["is_synthetic"] or inner["blanket_impl"]:
            return
        self.signature([inner["trait"], inner["generics"]], place)
        for number in inner["items"]:
            part = self.item(number)
            # Methods of a trait have the signatures that the trait gives them.
            if inner["trait"] is None:
                self.visit(number, place)
            elif part and "assoc_type" in part["inner"]:
                self.signature(part["inner"], place)


def main(folder, *manifests):
    problems = []
    for manifest in manifests:
        package = tomllib.loads(Path(manifest).read_text())
        library = package.get("lib", {}).get("name", package["package"]["name"]).replace("-", "_")
        allowed = package["package"].get("metadata", {}).get("public-types", {}).get("allowed")
        if allowed is None:
            problems.append(f"{manifest}: [package.metadata.public-types] allowed = [...] is missing")
            allowed = []
        named = Crate(json.loads((Path(folder) / f"{library}.json").read_text())).named
        fits = lambda path, patterns: any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
        for path, place in sorted(named.items()):
            if not fits(path, allowed):
                problems.append(f"{manifest}: {place} names {path}, which is not allowed there")
        for pattern in allowed:
            if not any(fits(path, [pattern]) for path in named):
                problems.append(f"{manifest}: {pattern} is allowed, and nothing public names it")
        print(f"{library}: {len(named)} types and traits of other crates")
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
