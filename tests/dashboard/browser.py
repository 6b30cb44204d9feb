"""The page in headless Chromium, by what stands on it."""

import json
import shutil
import time
from urllib.parse import quote, urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

PATIENCE = 20
# Requests count a little longer than they take, as an answer may lead to another request.
COUNTED = """{
    const fetch = window.fetch;
    window.underWay = 0;
    window.fetch = (...request) => {
        window.underWay += 1;
        return fetch(...request).finally(() => setTimeout(() => { window.underWay -= 1; }, 250));
    };
}"""


def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = found("chromium")
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--lang=en"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(found("chromedriver")))


def found(program):
    path = shutil.which(program)
    assert path, f"expected {program} to be installed"
    return path


class Page:
    def __init__(self, address):
        self.address = address
        self.driver = chromium()
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": COUNTED})
        self.size(1440, 1000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    # Things that a person does.

    def size(self, width, height, scale=1):
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name):
        media = {"features": [{"name": "prefers-color-scheme", "value": name}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def open(self, collection=None, view="query"):
        place = "" if collection is None else f"#/{quote(collection, safe='')}/{view}"
        self.driver.get(f"{self.address}/dashboard{place}")

    def press(self, selector, text):
        """Presses the button or link that says so."""
        self.wait(lambda: self.saying(selector, text), f"{selector} that says {text!r}")[0].click()

    def type(self, selector, text):
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector, value):
        Select(self.one(selector)).select_by_value(value)

    def keys(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def typed(self, body, tokens=""):
        """Types a request, and asks by the keyboard."""
        self.press(".choice button", "JSON")
        self.type("textarea.whole", body)
        self.type("form.request input[placeholder^='what']", tokens)
        self.keys(Keys.CONTROL, Keys.ENTER)
        self.wait(lambda: self.all(".plan"), "an answer")
        self.settled()

    # Things that a person sees.

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.wait(lambda: self.all(selector), selector)[0]

    def saying(self, selector, text):
        return [element for element in self.all(selector) if element.text == text]

    def texts(self, selector):
        """Texts as they are in the document: also those that are clipped or closed."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((it) => it.textContent)", selector)

    def attributes(self, selector, name):
        return [element.get_attribute(name) for element in self.all(selector)]

    def run(self, script, *arguments):
        return self.driver.execute_script(f"return {script}", *arguments)

    def wait(self, condition, what):
        limit = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < limit, f"expected {what} within {PATIENCE} s, got: {self.one('body').text}"
            time.sleep(0.05)
        return value

    def settled(self):
        """Waits until no request is under way, nor was a moment ago."""
        self.wait(lambda: self.run("window.underWay === 0 && !document.querySelector('main [role=status]')"), "all answers")

    def complaints(self):
        """Messages of the console, but notes."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def origins(self):
        """Origins that were asked for anything since the last call."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        urls = [it["params"]["request"]["url"] for it in events if it["method"] == "Network.requestWillBeSent"]
        return {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls) if parts.scheme != "data"}
