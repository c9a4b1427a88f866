"""The registry of readers: a new source is one reader module, one line here, and its config block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .options import SourceOptions, describe_missing, nearest
from .schema import Finding, Findings, InputError

_WHERE = {
    "dtm_idp_list": "displacement:DtmIdpList",
    "raster_stack": "rasters:RasterStack",
    "residents_raster": "residents:ResidentsRaster",
    "residents_table": "residents:ResidentsTable",
    "unit_table": "tables:UnitTable",
}


class _Readers(Mapping[str, type[SourceOptions]]):
    """Reader name -> option model. A reader's module is imported when it is first asked for."""

    def __getitem__(self, name: str) -> type[SourceOptions]:
        module, _, model = _WHERE[name].partition(":")
        found: type[SourceOptions] = getattr(import_module(f"{__package__}.{module}"), model)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_WHERE)

    def __len__(self) -> int:
        return len(_WHERE)


READERS: Mapping[str, type[SourceOptions]] = _Readers()


def source_options(name: str, block: Mapping[str, Any], *, file: str = "country file") -> SourceOptions:
    """Typed options of the block `sources.<name>` of a country file.

    Parameters
    ----------
    name : str
        Name of the source; findings speak of `sources.<name>`.
    block : mapping
        The block as written; its key `reader` chooses the model.
    file : str
        The country file, as findings name it.

    Raises
    ------
    InputError
        With one finding for each key that is unknown, absent or wrong.
    """
    log = Findings(f"sources.{name}")
    reader = block.get("reader")
    if not isinstance(reader, str) or reader not in _WHERE:
        raise log.fail(
            file=file,
            field=f"sources.{name}.reader",
            found=describe_missing(str(reader), READERS),
            expected="the name of a reader",
        )
    model = READERS[reader]
    try:
        return model.model_validate(dict(block))
    except ValidationError as error:
        raise InputError(validation_findings(error, f"sources.{name}", file, model.model_fields)) from None


def validation_findings(
    error: ValidationError, block: str, file: str, known: Mapping[str, Any] | None = None
) -> list[Finding]:
    """One finding for each fault of a block that its option model refused."""
    return [
        Finding("error", block, file, ".".join([block, *map(str, fault["loc"])]), *_found_expected(fault, known or {}))
        for fault in error.errors(include_url=False)
    ]


def _found_expected(fault: Any, known: Mapping[str, Any]) -> tuple[str, str]:
    key = str(fault["loc"][-1]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        hint = nearest(key, known)
        return "an unknown key", f"{hint!r}, perhaps" if hint else f"one of {', '.join(sorted(known))}"
    if fault["type"] == "missing":
        return "nothing", f"a value for {key!r}"
    return repr(fault.get("input")), str(fault["msg"])


def read_source(options: SourceOptions, root: Path, log: Findings, subdistricts: Any = None) -> Any:
    """Values of one source, read and checked; raises InputError with everything found wrong.

    Parameters
    ----------
    options : SourceOptions
        From `source_options`.
    root : Path
        The data folder.
    log : Findings
        Collects what was found and mended on the way.
    subdistricts : GeoDataFrame or None
        The subdistricts table; rasters are clipped to its bounds, tables are joined to it.

    Returns
    -------
    What the reader of this source gives: a raster, a table by unit, or displacement sites.
    """
    values = options.read(root, log, subdistricts)
    log.stop()
    return values


def input_files(options: SourceOptions, root: Path) -> list[Path]:
    """Files that `options` is read from, sorted: what the receipt hashes."""
    return sorted(options.files(root))
