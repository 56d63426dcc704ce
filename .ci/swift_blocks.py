"""Writes the Swift blocks of a document to files, one each, and prints their names.

    swift_blocks.py DOCUMENT FOLDER
"""

import re
import sys
from pathlib import Path

document, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
blocks = re.findall(r"^```swift\n(.*?)^```$", document.read_text(), re.M | re.S)
if not blocks:
    sys.exit(f"{document}: no Swift")
for number, block in enumerate(blocks, 1):
    path = folder / f"block{number}.swift"
    path.write_text(block)
    print(path)
