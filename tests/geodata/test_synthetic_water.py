"""Water month by month, rivers and farms of the synthetic country: they agree with the map and with each other."""

from graphlib import TopologicalSorter

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from scipy.stats import spearmanr

from geodata import synthetic
from geodata.synthetic_land import draw_land, grid_around_country, to_km
from geodata.synthetic_rivers import Network, draw_network
from geodata.synthetic_water import occurrence_of
from geodata.water_codes import month_weighted_occurrence

GRID = grid_around_country(0.05)
CROPS = {"wheat", "barley", "rice", "vegetables", "dates", "fodder"}
ANIMALS = {"sheep", "goats", "cattle", "buffaloes", "camels"}


@pytest.fixture(scope="module", params=(1, 2, 3))
def country(request):
    return synthetic.make_country(request.param)


def water_share(codes: np.ndarray) -> float:
    """Share of the cells seen that held water."""
    return float((codes == 2).sum() / (codes > 0).sum())


# ------------------------------------------------------------------ monthly water


def test_codes_are_those_of_the_monthly_history(country):
    """Whole codes 0, 1 and 2, every month of twenty complete years and of what followed."""
    history = country.waterways.water_history
    assert history.dtype == np.uint8
    assert np.unique(history).tolist() == [0, 1, 2]
    assert history.time.to_index().equals(pd.date_range("2004-01", "2024-03", freq="MS"))


def test_monthly_water_agrees_with_the_yearly_raster(country):
    """Per year, the mean over the months of the share of water among cells seen is that of the yearly raster."""
    inside = country.land.unit_of_cells(GRID) >= 0
    history, yearly = country.waterways.water_history, country.climate.water
    for year in sorted(set(range(2004, 2024)) - {int(country.truth.months_without_imagery[0][:4])}):
        months = history.sel(time=str(year)).to_numpy()[:, inside]
        shares = [water_share(codes) for codes in months if (codes > 0).mean() > 0.6]
        expected = float(yearly.sel(time=str(year)).to_numpy()[0, inside].mean())
        assert np.mean(shares) == pytest.approx(expected, rel=0.2), year


def test_water_is_high_in_spring_and_low_in_autumn(country):
    """And what is water at low water is water at high water, but for cells at the edge."""
    history = country.waterways.water_history.sel(time=slice("2004", "2013"))
    april, october = (history[history.time.dt.month == m].to_numpy() for m in (4, 10))
    seen = (april > 0) & (october > 0)
    assert (april[seen] == 2).mean() > 1.15 * (october[seen] == 2).mean()
    assert (april[seen & (october == 2)] == 2).mean() > 0.95


def test_clouds_hide_more_in_winter(country):
    """A quarter or so is unseen in January, next to nothing in July; outside the country nothing is observed."""
    history = country.waterways.water_history
    inside = country.land.unit_of_cells(GRID) >= 0
    seen = pd.Series((history.to_numpy() > 0)[:, inside].mean(axis=1), index=history.time.to_index())
    lost = seen.index.strftime("%Y-%m").isin(country.truth.months_without_imagery)
    usual = seen[~lost].groupby(seen.index[~lost].month).mean()
    assert 0.6 < usual[1] < 0.85
    assert usual[7] > 0.95
    assert (history.to_numpy()[:, ~country.land.covers(GRID)] == 0).all()
    assert seen[~lost].min() > 0.2


def test_occurrence_is_that_of_the_whole_years_of_the_history(country):
    """By `month_weighted_occurrence` to half a per cent; where the codes never saw anything, 255 and nothing else."""
    history, drawn = country.waterways.water_history, country.waterways.water_occurrence
    whole = history.sel(time=slice("2004", "2023")).astype("float32").assign_attrs(history.attrs)
    expected = month_weighted_occurrence(whole, min_months=1).to_numpy()
    image = drawn.to_numpy()[0].astype(float)
    assert ((image == 255) == np.isnan(expected)).all()
    seen = image != 255
    assert np.abs(image[seen] - expected[seen]).max() <= 0.5 + 1e-4
    assert seen.sum() > 0.4 * seen.size
    assert (seen == country.land.covers(GRID)).all()
    assert str(drawn.time.values[0])[:10] == "2023-12-31"


def test_a_month_never_seen_is_left_out_of_the_occurrence():
    """Water in each January, land from March on, February never seen: 1 of 11 months, 9 %. Nothing ever seen: 255."""
    times = pd.date_range("2010-01", periods=24, freq="MS")
    codes = np.ones((24, 1, 2), dtype="uint8")
    codes[[0, 12], 0, 0], codes[[1, 13], 0, 0], codes[:, 0, 1] = 2, 0, 0
    history = xr.DataArray(codes, dims=("time", "lat", "lon"), coords={"time": times, "lat": [0.5], "lon": [0.5, 1.5]})
    assert occurrence_of(history, (2010, 2011)).values.tolist() == [[[9, 255]]]


def test_the_lake_is_always_water_and_a_lost_marsh_for_part_of_the_time(country):
    """Cells near 100 % exist; in the subdistricts that lost their marshes more ground comes and goes than stays."""
    unit, image = country.land.unit_of_cells(GRID), country.waterways.water_occurrence.to_numpy()[0]
    assert ((image >= 95) & (image != 255)).sum() >= 3
    for code in country.truth.lost_marsh_pcodes:
        inside = image[unit == country.subdistricts.index.get_loc(code)]
        changing = (inside >= 10) & (inside < 90)
        assert changing.sum() > ((inside >= 90) & (inside != 255)).sum(), code


def test_months_without_imagery_see_nothing(country):
    """Four months in a row, each of them without a single observation, and no other month like that."""
    history, lost = country.waterways.water_history, country.truth.months_without_imagery
    blank = (history == 0).all(("lat", "lon"))
    assert history.time.to_index()[blank.to_numpy()].strftime("%Y-%m").tolist() == list(lost)
    assert len(pd.period_range(lost[0], lost[-1], freq="M")) == len(lost) == 4


def test_years_without_imagery_have_no_observation_at_all():
    """In a short record they fall into the monthly history: code 0, not "land"."""
    options = synthetic.CountryOptions(seed=5, first="2009-01", daily_years=1, daily_rain_years=1, vegetation_years=1)
    country = synthetic.make_country(options=options)
    history, blind = country.waterways.water_history, country.truth.years_without_imagery
    assert set(blind) <= set(history.time.dt.year.to_numpy())
    for year in blind:
        assert int(history.sel(time=str(year)).max()) == 0
    area = country.waterways.reservoir_area.set_index("Year")["lake"]
    assert area.index[area.isna()].tolist() == list(blind)


def test_marshes_are_lost_in_the_monthly_history_too(country):
    """The water of each lost marsh over its last three years is about half of what it was before, or less."""
    unit, history, truth = country.land.unit_of_cells(GRID), country.waterways.water_history, country.truth
    for code in truth.lost_marsh_pcodes:
        codes = history.to_numpy()[:, unit == country.subdistricts.index.get_loc(code)]
        years = history.time.dt.year.to_numpy()
        assert water_share(codes[years >= 2021]) < 0.6 * water_share(codes[years < truth.marsh_loss.first_year])


def test_the_lake_has_an_area_in_every_year_with_imagery(country):
    """Wide table, years of the yearly raster; some 300 km2, nothing in years without imagery."""
    table = country.waterways.reservoir_area
    assert table.columns.tolist() == ["Year", "lake"]
    assert table["Year"].tolist() == list(range(1984, 2024))
    assert tuple(table.loc[table["lake"].isna(), "Year"]) == country.truth.years_without_imagery
    assert table["lake"].min() > 100
    assert table["lake"].max() < np.pi * 12**2


# ------------------------------------------------------------------ network


def assert_it_is_a_network(network: Network) -> None:
    """One-way, without loss of names or shares, from the borders to the outlets."""
    kinds = {node.name: node.kind for node in network.nodes}
    assert len(kinds) == len(network.nodes)
    ways = TopologicalSorter({name: set() for name in kinds})
    for link in network.links:
        ways.add(link.target, link.source)
        assert 0 < link.share <= 1
        assert 0 <= link.loss < 0.3
    order = list(ways.static_order())  # raises on a cycle
    assert set(order) == set(kinds)
    shares = pd.Series([link.share for link in network.links]).groupby([k.source for k in network.links]).sum()
    entered = {link.target for link in network.links}
    assert shares.to_numpy() == pytest.approx(1, abs=1e-12)
    assert set(shares.index) == {name for name, kind in kinds.items() if kind != "outlet"}
    assert set(kinds) - entered == {name for name, kind in kinds.items() if kind == "border"}
    for nodes in network.served().values():
        assert sum(nodes.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("seed", range(4, 14))
def test_every_river_makes_a_network(seed):
    """Wherever the lake falls: two borders, one reservoir, two canals, two outlets, everybody by the river served."""
    rng = np.random.default_rng(seed)
    land = draw_land(rng, 60)
    network = draw_network(rng, land)
    assert_it_is_a_network(network)
    kinds = pd.Series([node.kind for node in network.nodes]).value_counts()
    assert kinds[["border", "reservoir", "canal", "outlet"]].tolist() == [2, 1, 2, 2]
    by_river = land.subdistricts.index[land.subdistricts["landscape"].isin(["river", "marsh"])]
    assert set(by_river) <= set(network.served())


def test_who_draws_where_follows_the_map(country):
    """Along the river everybody, in the plain some from a canal, in hills and desert hardly anybody."""
    network, units = country.waterways.network, country.subdistricts
    assert_it_is_a_network(network)
    served = network.served()
    kind = units["landscape"]
    assert set(kind.index[kind.isin(["river", "marsh"])]) <= set(served)
    away = kind.index[kind.isin(["desert", "mountain"])]
    assert len(set(away) & set(served)) <= 1  # the shore of the lake
    assert 15 < len(served) < 40
    assert any(len(nodes) == 2 for nodes in served.values())
    for name, line in network.lines.items():
        for pcode in (p for p, nodes in served.items() if name in nodes):
            shape = shapely.transform(units.geometry[pcode], to_km)
            assert shape.distance(line) < 30, (name, pcode)
    assert all(any(name in nodes for nodes in served.values()) for name in ("canal-1", "canal-2", "lake"))


def test_the_reservoir_has_what_it_needs(country):
    """Dead storage below the first below the capacity; it loses some two metres a year to the sun."""
    lake = next(node for node in country.waterways.network.nodes if node.kind == "reservoir")
    limits = lake.limits
    assert 0 < limits["dead_mm3"] < limits["initial_mm3"] < limits["capacity_mm3"]
    assert 0 < limits["release_share"] <= 1
    assert len(limits["evaporation_mm"]) == 12
    assert 1500 < sum(limits["evaporation_mm"]) < 2500
    assert limits["surface_km2"] == pytest.approx(country.waterways.reservoir_area["lake"].max(), rel=0.2)


# ------------------------------------------------------------------ inflow


def wide(country: synthetic.SyntheticCountry) -> pd.DataFrame:
    """Inflow, m3/s, (month, node)."""
    table = country.waterways.border_inflow
    return table.assign(month=pd.to_datetime(table["month"])).pivot(index="month", columns="node", values="inflow_m3s")


def test_inflow_is_complete_but_for_the_gap(country):
    """Every month of both borders, none negative; two months in a row are missing at one, years ago."""
    inflow, gap = wide(country), country.truth.inflow_gap
    assert set(inflow.columns) == {n.name for n in country.waterways.network.nodes if n.kind == "border"}
    assert inflow.index.equals(pd.date_range("2004-01", "2024-03", freq="MS"))
    assert inflow.min().min() > 0
    unknown = inflow.isna()
    assert inflow.index[unknown[gap.node]].strftime("%Y-%m").tolist() == list(gap.months)
    assert int(unknown.sum().sum()) == len(gap.months) == 2
    assert pd.Timestamp(gap.months[1]) - pd.Timestamp(gap.months[0]) <= pd.Timedelta(days=31)
    assert pd.Timestamp(gap.months[1]) < pd.Timestamp("2020-01-01")


def test_the_gap_does_not_reach_the_reservoir(country):
    """An unknown month above a reservoir would make its storage unknown for ever."""
    below = {country.truth.inflow_gap.node}
    for _ in country.waterways.network.links:
        below |= {link.target for link in country.waterways.network.links if link.source in below}
    assert "lake" not in below


def test_low_inflow_is_found(country):
    """In the planted months under 55 % of usual came over that border, to the end; the other had more than that."""
    inflow, low = wide(country), country.truth.low_inflow
    months = low.months()
    usual = inflow[:"2021-09"].groupby(inflow[:"2021-09"].index.month).mean()
    share = inflow.loc[months].sum() / usual.loc[months.month].sum()
    assert share[low.node] < 0.55
    assert share.drop(low.node).min() > share[low.node] + 0.15
    assert low.last == country.options.as_of
    assert country.truth.drought.first < low.first


def test_inflow_has_a_snowmelt_peak_and_follows_the_rain(country):
    """March to May bring over twice September's flow; yearly flow ranks with the rain of the wet half, damped."""
    inflow = wide(country)
    free = inflow.columns.drop(country.truth.low_inflow.node)[0]
    usual = inflow.groupby(inflow.index.month).mean()[free]
    assert usual[[3, 4, 5]].min() > 2 * usual[9]
    north = country.rain[:, :26].mean(("lat", "lon")).resample(time="YS").sum().to_series()
    damped = (0.65 * north + 0.35 * north.shift())["2004":"2023"]
    yearly = inflow[free].resample("YS").mean()["2004":"2023"]
    assert spearmanr(damped, yearly).statistic > 0.75


# ------------------------------------------------------------------ farms


def test_crops_stand_where_water_is(country):
    """Fields in served subdistricts alone, on less land than there is; a row for each crop, zeros included."""
    area, served = country.farms.irrigated_area, country.waterways.network.served()
    units = country.subdistricts
    table = area.pivot(index="pcode", columns="crop", values="hectares")
    assert set(table.columns) == CROPS
    assert not table.isna().any(axis=None)
    assert set(units.index) - set(table.index) == set(country.truth.fields_unknown)
    total = table.sum(axis=1)
    assert (total[total.index.isin(served)] > 0).mean() > 0.9
    assert (total[~total.index.isin(served)] == 0).all()
    assert (total < 0.6 * 100 * units["area_km2"][total.index]).all()
    assert 150_000 < total.sum() < 500_000
    north = pd.Series(country.land.centres_km()[:, 1] > 0, index=units.index)
    no_rice = units.index[~units["landscape"].isin(["river", "marsh"]) | north].intersection(table.index)
    assert (table.loc[no_rice, "rice"] == 0).all()
    assert table["wheat"].sum() > table["rice"].sum() > 0


def test_herds_graze_where_they_belong(country):
    """Buffaloes by the water, camels in the desert, sheep everywhere; a row for each animal, zeros included."""
    table = country.farms.livestock.pivot(index="pcode", columns="animal", values="head")
    kind = country.subdistricts["landscape"][table.index]
    assert set(table.columns) == ANIMALS
    assert not table.isna().any(axis=None)
    assert set(country.subdistricts.index) - set(table.index) == set(country.truth.herds_unknown)
    assert (table.loc[~kind.isin(["river", "marsh"]), "buffaloes"] == 0).all()
    assert (table.loc[kind == "marsh", "buffaloes"] > 0).all()
    assert (table.loc[kind != "desert", "camels"] == 0).all()
    assert (table["sheep"] > 0).all()
    assert table["sheep"].sum() > table["cattle"].sum()


def test_no_unknown_user_draws_on_the_network(country):
    """An unknown user would make all supply below it unknown, so only the unserved are uncounted."""
    unknown = {*country.truth.fields_unknown, *country.truth.herds_unknown}
    assert len(country.truth.fields_unknown) == len(country.truth.herds_unknown) == 3
    assert not unknown & set(country.waterways.network.served())
