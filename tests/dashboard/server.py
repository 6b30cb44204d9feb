"""A server of the program that is tested, with the sample collections."""

import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import samples

KEY = "a key of the test"


class Server:
    """Runs on a free port, over a directory that ends with it."""

    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory()
        arguments = ["serve", "--data", self.directory.name, "--listen", "127.0.0.1:0", "--backend", "cpu"]
        self.process = subprocess.Popen([program, *arguments, "--api-key", KEY, "--log", "warn"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), f"expected the server's address, got {line!r}"
        self.address = line.removeprefix("listening on ").strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()

    def ask(self, method, path, body=None):
        """Result of a request."""
        data = None if body is None else json.dumps(body, default=lambda array: array.tolist()).encode()
        headers = {"content-type": "application/json", "api-key": KEY}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code}: {error.read().decode()}") from None

    def fill(self):
        """Puts the samples in, and waits until nothing is to be done for them any more."""
        for name, (config, points) in samples.COLLECTIONS.items():
            path = path_of(name)
            self.ask("PUT", path, config)
            self.ask("PUT", f"{path}/points?wait=true", {"points": points()})
        self.ask("PUT", f"{path_of('passages')}/index?wait=true", {"field_name": "length", "field_schema": "integer"})
        for name in samples.COLLECTIONS:
            limit = time.monotonic() + 60
            while self.ask("GET", path_of(name))["status"] != "green":
                assert time.monotonic() < limit, f"expected {name} to become green within a minute"
                time.sleep(0.1)


def path_of(collection):
    return "/collections/" + urllib.parse.quote(collection, safe="")
