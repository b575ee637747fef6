"""The input of the batches that are measured."""

from __future__ import annotations

import json
from pathlib import Path


def write_items(file: Path, rows: int) -> str:
    """Write ``rows`` invented rows, and return the file's name."""
    with file.open("w") as opened:
        for number in range(1, rows + 1):
            item = {
                "key": f"customer-{number:07}",
                "firstName": "Johanna",
                "lastName": f"Nowakowska-{number}",
                "personalNumber": f"{number:011}",
                "email": f"customer-{number}@example.org",
            }
            opened.write(json.dumps(item) + "\n")
    return str(file)
