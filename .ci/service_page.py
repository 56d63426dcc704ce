"""The page of the service's admin address in headless Chromium, on narrow and wide screens: lists with levels, queries,
findings of the doctor, and a source that is away.

    service_page.py CHROMIUM FOLDER      FOLDER gets the screenshots
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

USE_CASE = "com.example.app.url.filtering"
LISTS = f"""out = "state"
[[source]]
name = "phishing"
path = "phishing.txt"
levels = ["family", "essential"]
[[source]]
name = "trackers"
path = "trackers.txt"
levels = ["family"]
[service]
use_case = "{USE_CASE}"
"""


def configure(folder):
    (folder / "phishing.txt").write_text("".join(f"login{n}.phish.example\n" for n in range(40)))
    (folder / "trackers.txt").write_text("".join(f"t{n}.tracker.example\n" for n in range(60)))
    (folder / "lists.toml").write_text(LISTS)
    settings = {"users": [{"tokens": ["AAAA"]}], "usecases": [], "doctorReport": "doctor.json"}
    (folder / "service.json").write_text(json.dumps(settings))


class Service:
    """`pir-server` with its lists, ready."""

    def __init__(self, folder):
        arguments = "--config service.json --lists lists.toml --listen 127.0.0.1:0 --admin 127.0.0.1:0".split()
        self.process = subprocess.Popen(["pir-server", *arguments], cwd=folder, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.url, self.admin = (self.process.stdout.readline().split()[-1] for _ in range(2))
        deadline = time.monotonic() + 120
        while not self.ready():
            assert time.monotonic() < deadline and self.process.poll() is None, "the service is not ready"
            time.sleep(0.2)

    def ready(self):
        try:
            return urllib.request.urlopen(self.admin + "/readyz").status == 200
        except urllib.error.HTTPError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ask(folder, service):
    """One lookup, and the doctor's report for the page."""
    common = ["--server", service.url, "--token", "AAAA"]
    query = ["urlfilter", "query", *common, "--usecase", USE_CASE, "--filter", f"{service.url}/filter/{USE_CASE}"]
    subprocess.run([*query, "https://t1.tracker.example/"], check=False, stdout=subprocess.DEVNULL, cwd=folder)
    doctor = ["urlfilter", "doctor", *common, "--bundle-id", USE_CASE.removesuffix(".url.filtering"), "--json"]
    report = subprocess.run(doctor, check=False, capture_output=True, cwd=folder).stdout
    (folder / "doctor.json").write_bytes(report)


def look(browser, address, width, theme, picture, expected):
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=False, color_scheme=theme)
    page = context.new_page()
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(address)
    for text in expected:
        assert page.get_by_text(text).first.is_visible(), text
    assert page.locator("svg").count() == 6
    # Nothing is wider than the screen.
    for element in page.locator("h1, h2, p, table, figure, footer").all():
        box = element.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, (element.inner_text(), box)
    # No column is too narrow for its words.
    for cell in page.locator("td").all():
        assert cell.bounding_box()["width"] >= 120, cell.inner_text()
    elsewhere = [url for url in requested if not url.startswith(address)]
    assert not elsewhere, elsewhere
    page.screenshot(path=picture, full_page=True)
    context.close()


def main(chromium, pictures):
    pictures = Path(pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = Path(folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        configure(folder)
        service = Service(folder)
        try:
            ask(folder, service)
            known = [USE_CASE, "phishing", "trackers", "essential", "queries: now", "Doctor"]
            for width, theme in ((400, "light"), (1280, "dark")):
                look(browser, service.admin, width, theme, pictures / f"service-{width}.png", known)
                print(f"+ the service's page, {width} pixels wide")
        finally:
            service.stop()
        # A source that is away is seen, and what it had stays blocked.
        (folder / "trackers.txt").unlink()
        service = Service(folder)
        try:
            deadline = time.monotonic() + 60
            while "trackers.txt" not in urllib.request.urlopen(service.admin + "/").read().decode():
                assert time.monotonic() < deadline, "the source that is away is not on the page"
                time.sleep(0.2)
            look(browser, service.admin, 400, "light", pictures / "service-away-400.png", [USE_CASE, "trackers"])
            print("+ the service's page with a source that is away")
        finally:
            service.stop()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
