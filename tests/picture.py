"""Make docs/map.png: the demo's map with one subdistrict opened, as a reader sees it.

Run by ``make picture``; needs a Chromium.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "map.png"


def main() -> None:
    """Run the demo, open the page, choose a place in the highest tier, take the picture."""
    chromium = shutil.which("chromium") or sys.exit("no Chromium on this machine")
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([Path(sys.executable).with_name("wadi"), "demo", "--out", out], check=True)
        country = Path(out) / "demo"
        run = country / json.loads((country / "latest.json").read_text("utf-8"))["path"]
        table = pd.read_csv(run / "tables" / "subdistricts.csv")
        driest = table[table["risk_tier"] == "A"].sort_values("hazard_drought", ascending=False)["pcode"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto((run / "site" / "index.html").as_uri() + f"#lang=en&place={driest.iloc[0]}")
            page.wait_for_timeout(1500)
            PICTURE.parent.mkdir(exist_ok=True)
            page.screenshot(path=str(PICTURE))
            browser.close()


if __name__ == "__main__":
    main()
