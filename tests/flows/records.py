"""Records of whole images in several files, as a data provider leaves them."""

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from rasterio.transform import from_origin


def write_file(path, days, values, crs="EPSG:4326"):
    """One file of whole images over four squares of a degree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".nc":
        coords = {"time": days, "lat": 31.75 - 0.5 * np.arange(4), "lon": 40.25 + 0.5 * np.arange(4)}
        rain = xr.DataArray(values, dims=("time", "lat", "lon"), coords=coords, attrs={"units": "mm/day"})
        rain.lat.attrs["units"], rain.lon.attrs["units"] = "degrees_north", "degrees_east"
        rain.to_dataset(name="rain").to_netcdf(path, encoding={"time": {"units": "days since 2000-01-01"}})
        return
    layout = {"height": 4, "width": 4, "count": len(days), "dtype": "float32", "crs": crs}
    with rasterio.open(path, "w", driver="GTiff", transform=from_origin(40, 32, 0.5, 0.5), **layout) as file:
        file.write(values)


def write_record(data, pattern, days, values, **how):
    """Files of a month, of a year, or one of all, as the pattern says."""
    by = [days.year * 0] if "{" not in pattern else [days.year, days.month] if "{MM}" in pattern else [days.year]
    for _, part in pd.Series(days, index=days).groupby(by):
        part = pd.DatetimeIndex(part)
        name = pattern.replace("{YYYY}", f"{part[0].year}").replace("{MM}", f"{part[0].month:02d}")
        write_file(data / name, part, values[days.isin(part)], **how)
