"""What the variables of a run are called and what they are told in: the words beside the numbers of every table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import xarray as xr

from geodata.schema import ContractError
from maps.words import LANGUAGES, in_language, load_catalogue

from .settings import Settings


def dictionary(cube: xr.Dataset, settings: Settings) -> pd.DataFrame:
    """Every variable of the cube with its words.

    Parameters
    ----------
    cube : Dataset; of a hazard or an indicator the attribute ``block`` names it
    settings : of the country

    Returns
    -------
    DataFrame, sorted by name
        name, unit, meaning, block (empty where no hazard or indicator made it) and ``label_<language>`` of the block.
    """
    rows = []
    for name in sorted(str(v) for v in cube.data_vars if f"{v}_status" in cube):
        attrs = cube[name].attrs
        block = str(attrs.get("block", ""))
        labels = labels_of(block, settings) if block else dict.fromkeys(LANGUAGES, "")
        words = {f"label_{lang}": labels[lang] for lang in LANGUAGES}
        rows.append({"name": name, "unit": attrs["units"], "meaning": attrs["long_name"], "block": block} | words)
    return pd.DataFrame(rows)


def labels_of(name: str, settings: Settings) -> dict[str, str]:
    """Label of a hazard or an indicator by language: its own, else that of the catalogues, else its name."""
    blocks: Mapping[str, object] = {**settings.hazards, **settings.indicators}
    if name not in blocks:
        raise ContractError(f"block {name!r}: in no country file, expected one of {', '.join(sorted(blocks))}")
    own = dict(getattr(blocks[name], "label", {}))
    plain = name.replace("_", " ")
    return {
        lang: in_language(own, lang)[0] or load_catalogue(lang).words.get(f"hazard.{name}", plain) for lang in LANGUAGES
    }


def meanings(words: pd.DataFrame) -> dict[str, str]:
    """Name -> what it is, in English, with its unit."""
    said = words["label_en"].where(words["label_en"] == "", words["label_en"] + ": ") + words["meaning"]
    return dict(zip(words["name"], said + " (" + words["unit"] + ")", strict=True))
