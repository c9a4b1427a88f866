"""The registry: from a block of the country file to values."""

import pickle
import subprocess
import sys
from typing import get_args

import numpy as np
import rasterio
from rasterio.transform import from_origin

from geodata.rasters import RasterStack
from geodata.schema import Findings
from geodata.sources import READERS, read_source

BLOCK = {
    "reader": "raster_stack",
    "path": "r.{YYYY}.{MM}.tif",
    "quantity": "anomaly",
    "label": {"en": "Greenness"},
    "units": "1",
    "cadence": "month",
    "licence": "CC0",
    "attribution": "nobody",
}


def _write(path, value):
    profile = {"driver": "GTiff", "count": 1, "height": 2, "width": 3, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", **profile, transform=from_origin(40, 34, 0.5, 0.5)) as file:
        file.write(np.full((2, 3), value, "float32"), 1)


def test_a_block_becomes_the_options_of_its_reader():
    assert READERS["raster_stack"] is RasterStack
    assert READERS["raster_stack"].model_validate(BLOCK).units == "1"


def test_every_reader_answers_to_its_name():
    """A line of the registry that names another module's reader would read a block as something else."""
    for name, model in READERS.items():
        assert get_args(model.model_fields["reader"].annotation) == (name,)
    assert {"evapotranspiration", "raster_stack", "reservoir_table", "unit_table"} <= set(READERS)
    assert len(READERS) == len(set(READERS))


def test_the_registry_lists_readers_without_importing_them():
    code = "import sys, geodata.sources as s; list(s.READERS); print({'rasterio', 'pyet'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_reading_a_source_gives_its_values_and_its_files(tmp_path):
    for month, value in ((1, -0.5), (2, 0.25)):
        _write(tmp_path / f"r.2019.{month:02d}.tif", value)
    (tmp_path / "r.2019.xx.tif").write_bytes(b"not part of the stack")
    options = RasterStack.model_validate(BLOCK)
    values = read_source(options, tmp_path, Findings("sources.ndvi"))
    assert values.isel(lat=0, lon=0).values.tolist() == [-0.5, 0.25]
    assert [p.name for p in options.files(tmp_path)] == ["r.2019.01.tif", "r.2019.02.tif"]


def test_options_and_errors_travel_between_processes():
    options = RasterStack.model_validate(BLOCK)
    assert pickle.loads(pickle.dumps(options)) == options
