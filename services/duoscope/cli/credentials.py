"""Reads `<data folder>/credentials.json`, which the first start wrote, for commands that need it."""

import json
from pathlib import Path

from duoscope.kernel.errors import invalid


def read(data_dir: Path) -> dict[str, str]:
    """The values of the file by name (identity/operators/bootstrap.py, Credentials); empty if there is no such file."""
    path = data_dir / "credentials.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise invalid(
            f"{path} may be read by the user who runs duoscope only: run this as that user, "
            "or give the API key with --api-key, and another --data-dir."
        ) from error
    except ValueError as error:
        raise invalid(f"{path} is damaged: mend it, or move it away and give the API key with --api-key.") from error
