"""Temperature, soil, greenness and dust of the synthetic country: physical, and with a truth that can be found."""

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from geodata import synthetic
from geodata.synthetic_land import cell_centres, grid_around_country, to_degrees

GRID = grid_around_country(0.2)
PLACES = np.stack(np.meshgrid(*cell_centres(GRID)), axis=-1)


@pytest.fixture(scope="module", params=(1, 2, 3))
def country(request):
    return synthetic.make_country(request.param)


def rain_of_a_year(country: synthetic.SyntheticCountry) -> np.ndarray:
    """Mean rain of a year, mm, on the 0.2 degree grid; NaN where no land is."""
    year = country.rain.sel(time=slice("1984", "2023")).coarsen(lat=2, lon=2).mean().sum("time") / 40
    return np.where(country.land.covers(GRID), year.to_numpy(), np.nan)


def plain_and_hills(country: synthetic.SyntheticCountry) -> tuple[np.ndarray, np.ndarray]:
    """Cells of the plain (100 to 230 mm a year) and of the hills (over 400 mm)."""
    rain = rain_of_a_year(country)
    return (rain > 100) & (rain < 230), rain > 400


def of_month(raster: xr.DataArray, *months: int) -> xr.DataArray:
    return raster.sel(time=raster.time.dt.month.isin(months))


def anomaly(raster: xr.DataArray) -> xr.DataArray:
    """Against the mean of the same calendar month."""
    by_month = raster.groupby("time.month")
    return by_month - by_month.mean()


# ------------------------------------------------------------------ temperature


def test_nights_are_cooler_than_days(country):
    """tmin < tmax wherever there is a value, by day and by month, and both have values at the same cells."""
    heat = country.temperature
    for high, low in ((heat.tmax_daily, heat.tmin_daily), (heat.tmax_monthly, heat.tmin_monthly)):
        assert (high.notnull() == low.notnull()).all()
        assert float((high - low).min()) > 2
        assert float((high - low).max()) < 35


def test_temperature_is_that_of_a_hot_plain_with_cooler_hills(country):
    """July days bring 43 to 46 degrees in the plain and several less in the hills; January 13 to 19 and far less."""
    plain, hills = plain_and_hills(country)
    usual = country.temperature.tmax_monthly.groupby("time.month").mean()
    july, january = usual.sel(month=7).to_numpy(), usual.sel(month=1).to_numpy()
    assert 43 < july[plain].mean() < 46
    assert july[hills].mean() < july[plain].mean() - 4
    assert 13 < january[plain].mean() < 19
    assert january[hills].mean() < january[plain].mean() - 4
    assert int(usual.mean(("lat", "lon")).idxmax()) in (7, 8)


def test_months_are_the_means_of_their_days(country):
    """To a tenth of a degree: both products are rounded to 0.1."""
    heat = country.temperature
    for daily, monthly in ((heat.tmax_daily, heat.tmax_monthly), (heat.tmin_daily, heat.tmin_monthly)):
        means = daily.resample(time="MS").mean()
        assert float(abs(means - monthly.sel(time=means.time)).max()) < 0.1


def test_temperature_covers_the_record_and_every_cell_of_the_country(country):
    """The last days and the cells of daily rain, the months of rain; no cell that touches the country is empty."""
    heat = country.temperature
    assert heat.tmax_daily.time.equals(country.daily_rain.time[-heat.tmax_daily.sizes["time"] :])
    assert str(heat.tmax_daily.time.values[0])[:10] == "2011-10-01"
    assert heat.tmax_monthly.time.equals(country.rain.time)
    assert np.array_equal(heat.tmax_daily.lat, country.daily_rain.lat)
    lon, lat = PLACES[..., 0], PLACES[..., 1]
    touches = shapely.intersects(country.land.outline, shapely.box(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1))
    known = heat.tmax_daily.notnull().all("time").to_numpy()
    assert known[touches].all()
    assert not known.all()


def test_heat_wave_is_found(country):
    """In its heart most days are above the 95th percentile of the season and 42 degrees, and one is the record."""
    wave = country.truth.heat_wave
    cell = country.temperature.tmax_daily.sel(lat=wave.lat, lon=wave.lon, method="nearest").to_series()
    summer = cell[cell.index.month == 7]
    days = cell[wave.first : wave.last]
    hot = (days > summer.quantile(0.95)) & (days > 42)
    assert len(days) == 9
    assert hot.sum() >= 5
    assert hot[1:-1].rolling(3).sum().max() == 3
    assert wave.first <= str(cell.idxmax().date()) <= wave.last
    assert len(wave.pcodes) >= 3


def test_heat_wave_stays_where_it_was_planted(country):
    """Its heart is over four degrees warmer than July is; far away the same days are so by over three degrees less."""
    wave = country.truth.heat_wave
    warmer = of_month(anomaly(country.temperature.tmax_daily), 7).sel(time=slice(wave.first, wave.last)).mean("time")
    strength = wave.strength(PLACES)
    near, far = float(warmer.where(strength > 0.8).mean()), float(warmer.where(strength < 0.02).mean())
    assert near > 4
    assert near > far + 3


def test_droughts_are_warm(country):
    """The heart of the drought of the day is over one degree warmer than usual, and warmer than elsewhere."""
    drought = country.truth.drought
    warmer = anomaly(country.temperature.tmax_monthly).sel(time=slice(drought.first, drought.last)).mean("time")
    strength = drought.strength(PLACES)
    heart, far = float(warmer.where(strength > 0.8).mean()), float(warmer.where(strength < 0.05).mean())
    assert heart > 1
    assert heart > far + 0.7


def test_rainy_days_are_cooler_with_a_narrower_range(country):
    """Days of 5 mm and more against dry days of the same January in the same cell."""
    heat = of_month(country.temperature.tmax_daily, 1)
    rain = country.daily_rain.sel(time=heat.time)
    wet, dry = (rain >= 5).to_numpy(), (rain == 0).to_numpy()
    for values in (heat, heat - of_month(country.temperature.tmin_daily, 1)):
        of_its_month = values.groupby("time.year") - values.groupby("time.year").mean()
        assert float(of_its_month.where(wet).mean()) < float(of_its_month.where(dry).mean()) - 1


# ------------------------------------------------------------------ soil


def test_soil_empties_in_the_dry_summer(country):
    """In July and August the desert's years differ by less than 0.005 m3/m3; in January everywhere by more."""
    soil, rain = country.ground.soil_moisture, rain_of_a_year(country)
    spread = soil.groupby("time.month").std()
    assert float(spread.sel(month=[7, 8]).where(rain < 95).max()) < 0.005
    assert float(spread.sel(month=[1, 2, 3]).min()) > 0.005
    assert 0 < float(soil.min()) < float(soil.max()) < 0.5
    assert float(of_month(soil, 3).where(rain > 400).mean()) > 2 * float(of_month(soil, 3).where(rain < 95).mean())


def test_soil_is_dry_in_the_drought(country):
    """Over one standard deviation below normal in the heart in late winter, about normal far away."""
    drought = country.truth.drought
    soil = country.ground.soil_moisture
    score = anomaly(soil).groupby("time.month") / soil.groupby("time.month").std()
    spell = of_month(score, 1, 2, 3).sel(time=slice(drought.first, drought.last)).mean("time")
    strength = drought.strength(PLACES)
    heart, far = float(spell.where(strength > 0.8).mean()), float(spell.where(strength < 0.05).mean())
    assert heart < -1
    assert far > heart + 0.8


def test_soil_follows_the_rain_of_the_last_months(country):
    """March soil moisture and the rain of January to March rise and fall together in nearly every cell."""
    march = of_month(country.ground.soil_moisture, 3)
    three = country.rain.coarsen(lat=2, lon=2).mean().rolling(time=3).sum().sel(time=march.time)
    together = xr.corr(march, three.assign_coords(lat=march.lat, lon=march.lon), "time")
    assert float(together.median()) > 0.85
    assert float(together.min()) > 0.5


# ------------------------------------------------------------------ evaporation


def evaporated(country):
    """What evaporates, mm/month, upward: the file counts downward."""
    return -country.ground.evaporation


def test_evaporation_counts_downward_and_gives_back_about_the_rain(country):
    """No value above 0. Far from the river the plain gives back its rain over the years, to 5 %, and the hills, whose
    winters are too cold, less; fields by the river give back over twice theirs."""
    drawn = country.ground.evaporation
    assert float(drawn.max()) <= 0
    assert drawn.attrs["units"] == "mm/month"
    years = evaporated(country).sel(time=slice("2000", "2019")).sum("time") / 20
    rain = country.rain.sel(time=slice("2000", "2019")).coarsen(lat=2, lon=2).mean().sum("time").to_numpy() / 20
    far = shapely.distance(country.land.river, shapely.points(PLACES)) > 0.5
    share = (years / rain).where(far & drawn.notnull().all("time")).to_numpy()
    plain = (rain < 300) & np.isfinite(share)
    assert share[plain].min() > 0.95
    assert np.nanmax(share) < 1.05
    assert np.median(share[(rain > 400) & np.isfinite(share)]) < 0.9
    fields = shapely.distance(country.land.river, shapely.points(PLACES)) < 0.05
    assert float((years / rain).where(fields).median()) > 2


def test_evaporation_says_nothing_in_the_dry_summer_and_much_in_spring(country):
    """Away from fields the spread between years is under 2 mm in September, over 2 mm in April, everywhere."""
    far = shapely.distance(country.land.river, shapely.points(PLACES)) > 0.5
    spread = evaporated(country).groupby("time.month").std().where(far)
    assert float((spread.sel(month=9) < 2).where(spread.sel(month=9).notnull()).mean()) > 0.9
    assert float(spread.sel(month=4).min()) > 2


def test_drought_leaves_little_to_evaporate(country):
    """In the heart of the drought of the day less evaporates in its Aprils than in those of other years."""
    drought = country.truth.drought
    april = of_month(evaporated(country), 4)
    heart = april.where(drought.strength(PLACES) > 0.8).mean(("lat", "lon")).to_series()
    planted = heart.index.isin(drought.months())
    assert planted.sum() == 2
    assert heart[planted].mean() < 0.8 * heart[~planted].mean()


def test_warmth_and_not_water_decides_in_the_winter_of_the_hills(country):
    """Where over 400 mm fall, the warmer January evaporates more; in the plain it makes no such difference."""
    january = of_month(evaporated(country), 1)
    warm = of_month(country.temperature.tmax_monthly, 1).sel(time=january.time)
    rain = rain_of_a_year(country)
    hills = float(xr.corr(january, warm, "time").where(rain > 400).median())
    plain = float(xr.corr(january, warm, "time").where(rain < 200).median())
    assert hills > 0.2
    assert plain < hills - 0.4


# ------------------------------------------------------------------ greenness and surface temperature


def test_bare_desert_hardly_greens(country):
    """Where under 90 mm fall, away from the river, no month's greenness varies by 0.05; in the plain April's does."""
    ndvi, rain = country.ground.ndvi, rain_of_a_year(country)
    dry_land = shapely.distance(country.land.river, shapely.points(PLACES)) > 0.3
    bare, plain = (rain < 90) & dry_land, (rain > 150) & dry_land
    inside = country.land.covers(GRID)
    by_month = {m: np.quantile(of_month(ndvi, m).to_numpy()[:, inside], [0.02, 0.98], axis=0) for m in range(1, 13)}
    spread = {m: high - low for m, (low, high) in by_month.items()}
    assert bare.sum() >= 10
    assert max(s[bare[inside]].max() for s in spread.values()) < 0.05
    assert (spread[4][plain[inside]] > 0.05).mean() > 0.95
    assert -1 <= float(ndvi.min()) < float(ndvi.max()) <= 1


def test_greenness_and_surface_temperature_go_opposite_ways_but_in_the_cold(country):
    """Negatively correlated in March and April; positively in the January of the hills, where warmth is what lacks."""
    ndvi, lst = country.ground.ndvi, country.ground.lst
    rain = rain_of_a_year(country)
    coldest = rain > np.nanquantile(rain, 0.93)
    spring = [xr.corr(of_month(ndvi, m), of_month(lst, m), "time") for m in (3, 4)]
    january = xr.corr(of_month(ndvi, 1), of_month(lst, 1), "time")
    assert max(float(s.where(rain > 150).median()) for s in spring) < -0.5
    assert float(january.where(coldest).median()) > 0.3
    assert float((january.where(coldest) > 0).sum()) > 0.9 * coldest.sum()


def test_vegetation_withers_and_bare_ground_is_hot(country):
    """Spring greenness falls in the drought; by day the surface of the summer desert is hotter than the air."""
    drought = country.truth.drought
    spring = of_month(anomaly(country.ground.ndvi), 3, 4).sel(time=slice(drought.first, drought.last)).mean("time")
    strength = drought.strength(PLACES)
    assert float(spring.where(strength > 0.8).mean()) < -0.03
    assert float(spring.where(strength < 0.05).mean()) > float(spring.where(strength > 0.8).mean()) + 0.03
    july, air = of_month(country.ground.lst, 7), of_month(country.temperature.tmax_monthly, 7)
    assert float((july - air).where(rain_of_a_year(country) < 90).min()) > 5


# ------------------------------------------------------------------ curve numbers and dust


def test_curve_numbers_are_whole_and_follow_the_land(country):
    """0 to 100 in every subdistrict; the desert sheds more than the hills; nothing outside the country."""
    number = country.ground.curve_number
    unit = country.land.unit_of_cells(grid_around_country(0.1))
    values = number.to_numpy()[unit >= 0]
    kind = country.subdistricts["landscape"].to_numpy()[unit[unit >= 0]]
    assert not np.isnan(values).any()
    assert (values == np.round(values)).all()
    assert values.min() > 30
    assert values.max() < 100
    assert values[kind == "desert"].mean() > values[kind == "mountain"].mean() + 10
    assert number.isnull().any()


def test_dust_is_counted_in_all_districts_but_one(country):
    """Whole days, no more than the month has, every month of thirty years; the silent district has no row."""
    dust, truth = country.ground.dust_days, country.truth
    months = pd.date_range("1994-01", "2024-03", freq="MS")
    districts = set(country.subdistricts["adm2_pcode"])
    assert set(dust["adm2_pcode"]) == districts - {truth.dust_unknown}
    assert truth.dust_unknown in districts
    assert len(dust) == (len(districts) - 1) * len(months)
    assert sorted(dust["month"].unique()) == months.strftime("%Y-%m").tolist()
    assert not dust.duplicated(["adm2_pcode", "month"]).any()
    assert (dust["dust_days"] <= pd.PeriodIndex(dust["month"], freq="M").days_in_month).all()
    assert (dust["dust_days"] >= 0).all()
    assert pd.api.types.is_integer_dtype(dust["dust_days"])


def test_dust_blows_in_spring_and_in_the_dry(country):
    """May brings several times December's dust, and the dusty months of a district are its dry ones."""
    dust = country.ground.dust_days.assign(of_year=lambda d: d["month"].str[5:])
    usual = dust.groupby("of_year")["dust_days"].mean()
    assert usual["05"] > 3 * usual["12"]
    unit = country.land.unit_of_cells(grid_around_country(0.1))
    rain = pd.Series(country.rain.to_numpy()[:, unit >= 0].mean(axis=1), index=country.rain.time.to_index())
    six = rain.rolling(6).sum()
    april = dust[dust["of_year"] == "04"].groupby("month")["dust_days"].sum()
    april = april.drop(country.truth.dusty_spring.first[:4] + "-04")
    assert np.corrcoef(april, six[pd.DatetimeIndex(april.index)])[0, 1] < -0.2


def test_dusty_spring_is_found(country):
    """Its heart had at least twice its usual dust, more than in any other spring."""
    spring = country.truth.dusty_spring
    strength = pd.Series(spring.strength(to_degrees(country.land.centres_km())), index=country.subdistricts.index)
    by_district = strength.groupby(country.subdistricts["adm2_pcode"]).mean()
    heart = set(by_district.index[by_district > 0.6])
    dust = country.ground.dust_days
    inside = dust[dust["adm2_pcode"].isin(heart) & dust["month"].str[5:].isin(["03", "04", "05"])]
    total = inside.groupby(inside["month"].str[:4])["dust_days"].sum().drop("2024")
    assert len(heart) >= 2
    assert len(spring.months()) == 3
    assert total.idxmax() == spring.first[:4]
    assert total.max() > 2 * total.drop(total.idxmax()).mean()
