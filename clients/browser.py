"""Starts Chromium, to see pages as a user does."""

import os
import shutil
from pathlib import Path

from harness import PATIENCE
from selenium import webdriver

SCREENSHOTS = Path(os.environ["CODEX_PROXY_SCREENSHOTS"])
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def chromium(profile, *more):
    """Starts a browser with the directory `profile` and `more` flags. The caller must quit its driver."""
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for flag in (
        "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --no-proxy-server --hide-scrollbars --window-size=900,700"
    ).split():
        options.add_argument(flag)
    for flag in (f"--user-data-dir={profile}", *more):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_page_load_timeout(PATIENCE)
    return driver
