"""The page of `urlfilter demo --page` in headless Chromium, on narrow and wide screens.

    demo_page.py CHROMIUM FOLDER      FOLDER gets the screenshots
"""

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def look(browser, address, width, listed, folder):
    # Without scripts: the page must work all the same.
    context = browser.new_context(viewport={"width": width, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(address)
    page.get_by_label("URL").fill(listed)
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("heading", name="Blocked").wait_for()
    page.get_by_role("heading", name="What the service saw").wait_for()
    assert page.get_by_text("POST /queries").is_visible()
    page.screenshot(path=folder / f"demo-{width}.png", full_page=True)
    # Whatever is wider than the screen scrolls in its own place.
    size = page.locator("main").bounding_box()
    assert size["x"] >= 0 and size["x"] + size["width"] <= width, size
    # One of the examples, and what is no URL.
    page.locator(".examples button").last.click()
    page.get_by_role("heading", name="Allowed").wait_for()
    page.get_by_label("URL").fill('"><script>alert(1)</script>')
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("heading", name="No verdict").wait_for()
    elsewhere = [url for url in requested if not url.startswith(address)]
    assert not elsewhere, elsewhere
    context.close()


def main(chromium, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    demo = subprocess.Popen(["urlfilter", "demo", "--page"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = demo.stdout.readline().strip().removeprefix("page ")
        assert address.startswith("http://127.0.0.1:"), address
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            # Another URL each: what is known from before is not asked again.
            for width, listed in ((400, "https://www.phish.example/login?session=1"), (1280, "https://tracker.example/")):
                look(browser, address, width, listed, folder)
                print(f"+ the demo's page, {width} pixels wide")
            browser.close()
    finally:
        demo.terminate()
        demo.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
