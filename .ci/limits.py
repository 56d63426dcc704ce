"""The table of limits, against the sources.

    limits.py            checks docs/limits.md
    limits.py --missing  prints the constants that it lacks, each with its value

Each constant whose name has the word MAX, MIN or LIMIT stands in a table of docs/limits.md with its file and its value.
A limit of what comes from outside names tests, which must exist; the other table says what else a constant is.
A value is a number with a unit, such as `16 MiB` or `14 days`, or the source text as code.
"""

import ast
import operator
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path("docs/limits.md")
NAME = re.compile(r"(^|_)(MAX|MIN|LIMIT)(_|$)")
CONSTANT = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?const\s+([A-Z0-9_]+)\s*:\s*[^=]+=\s*(.*)$")
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "ms": 0.001, "s": 1, "minutes": 60, "hours": 3600, "days": 86400}
LARGEST = {"u8": 2**8 - 1, "u16": 2**16 - 1, "u32": 2**32 - 1}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
}


def files():
    listed = subprocess.run(["git", "ls-files", "*.rs"], check=True, capture_output=True, text=True)
    return [Path(name) for name in listed.stdout.split()]


def is_product(path):
    """Whether a file is part of what ships."""
    parts = path.parts
    if parts[0] in {"fuzz", "benches", "interop-cases"} or "src" not in parts or "tests" in parts:
        return False
    return not path.stem.endswith("tests")


def constants(texts):
    """The source text of each constant, by file and name."""
    found = {}
    for path, text in texts.items():
        if not is_product(path):
            continue
        text = re.split(r"^\s*mod tests\s*\{", text, maxsplit=1, flags=re.MULTILINE)[0]
        lines = iter(text.splitlines())
        for line in lines:
            match = CONSTANT.match(line)
            if match:
                value = match[2]
                while not value.rstrip().endswith(";"):
                    value += " " + next(lines).strip()
                found[str(path), match[1]] = " ".join(value.rstrip().rstrip(";").split())
    return found


def evaluated(text, path, found):
    """The value of the source text of a constant, or None if it is no arithmetic."""
    text = re.sub(r"Duration::from_secs\(", "(", text)
    text = re.sub(r"Duration::from_millis\(([^()]*)\)", r"((\1) * 0.001)", text)
    text = re.sub(r"\b(u8|u16|u32)::MAX\b", lambda match: str(LARGEST[match[1]]), text)
    text = re.sub(r"\s+as\s+\w+", "", text)
    text = re.sub(r"(?<=\d)_(?=\d)", "", text)
    text = re.sub(r"\b(?:\w+::)*(\w+)::(\w+)\b", r"\1__of__\2", text)

    def value(node):
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.BinOp(left, kind, right) if type(kind) in OPERATORS:
                return OPERATORS[type(kind)](value(left), value(right))
            case ast.Name(name):
                module, _, own = name.rpartition("__of__")
                keys = [key for key in found if key[1] == own]
                if module:
                    keys = [key for key in keys if Path(key[0]).stem == module]
                crate = path.split("/")[0]
                same = [key for key in keys if key[0] == path and not module]
                near = [key for key in keys if key[0].startswith(crate + "/")]
                values = {evaluated(found[key], key[0], found) for key in same or near or keys}
                if len(values) == 1:
                    return values.pop()
        raise ValueError(ast.dump(node))

    try:
        return value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, TypeError):
        return None


def stated(cell):
    """The value of a cell: a number with a unit."""
    number, _, unit = cell.partition(" ")
    number = number.replace(",", "")
    try:
        return (float(number) if re.search(r"[.e]", number) else int(number)) * UNITS.get(unit, 1)
    except ValueError:
        return None


def rows(page):
    """The rows of the tables that begin with a column `constant`: header and cells."""
    header = None
    for line in page.splitlines():
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header is None:
            header = cells
        elif header[0] == "constant" and not set(cells[0]) <= set("-: "):
            yield dict(zip(header, cells))


def tests(texts):
    """The names of all tests."""
    function = re.compile(r"#\[(?:tokio::)?test\b(?:[^{;]*?)\bfn\s+(\w+)", re.DOTALL)
    return {match[1] for text in texts.values() for match in function.finditer(text)}


def main():
    texts = {path: path.read_text() for path in files()}
    found = constants(texts)
    limits = {key: text for key, text in found.items() if NAME.search(key[1])}
    page = PAGE.read_text() if PAGE.exists() else ""
    table = {(row["where"].strip("`"), row["constant"].strip("`")): row for row in rows(page)}
    if sys.argv[1:] == ["--missing"]:
        for (path, name), text in limits.items():
            if (path, name) not in table:
                print(path, name, text, evaluated(text, path, found), sep="\t")
        return 0
    known = tests(texts)
    wrong = [f"{path}: {name} is not in the table" for path, name in limits if (path, name) not in table]
    for (path, name), row in table.items():
        if (path, name) not in limits:
            wrong.append(f"{path} has no constant {name}")
            continue
        text, value = limits[path, name], row["value"]
        is_same = value == f"`{text}`" or stated(value) == evaluated(text, path, found) is not None
        if not is_same:
            wrong.append(f"{path}: {name} is {text}, and the table says {value}")
        if "tests" in row:
            named = re.findall(r"`(\w+)`", row["tests"])
            if not named:
                wrong.append(f"{path}: {name} has no test")
            wrong += [f"{path}: {name}: there is no test {test}" for test in named if test not in known]
    for line in wrong:
        print(f"{PAGE}: {line}", file=sys.stderr)
    print(f"{len(limits)} constants, {len(table)} rows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
