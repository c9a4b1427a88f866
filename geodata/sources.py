"""The registry of readers: a new source is one reader module, one line here, and its config block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from .options import SourceOptions
from .schema import Findings

_WHERE = {
    "category_table": "categories:CategoryTable",
    "displacement_table": "displacement_table:DisplacementTable",
    "dtm_api": "displacement_table:DtmApi",
    "dtm_idp_list": "displacement:DtmIdpList",
    "dtm_returnee_list": "displacement:DtmReturneeList",
    "evapotranspiration": "evapotranspiration:Evapotranspiration",
    "hdx_hapi_idps": "displacement_table:HdxHapiIdps",
    "raster_stack": "rasters:RasterStack",
    "reservoir_table": "reservoirs:ReservoirTable",
    "residents_raster": "residents:ResidentsRaster",
    "residents_table": "residents:ResidentsTable",
    "unit_table": "tables:UnitTable",
    "water_network": "network:WaterNetwork",
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


def read_source(options: SourceOptions, root: Path, log: Findings, subdistricts: Any = None) -> Any:
    """Values of one source, read and checked; raises InputError with everything found wrong.

    Parameters
    ----------
    options : SourceOptions
        Of the reader that the block of the country file names.
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
