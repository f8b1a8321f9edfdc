"""Headless Chromium over its debugging pipe: pages are opened, pressed, typed into and asked without a driver."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")


class Browser:
    """One page. `requests` are the addresses that it asked for, `complaints` what its console was told."""

    def __init__(self, folder):
        (r, w), (r2, w2) = os.pipe(), os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (r, w2)]  # clear of 3 and 4, where Chromium looks

        def placed():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, preexec_fn=placed, pass_fds=(3, 4), **quiet)
        for fd in (r, w2, *high):
            os.close(fd)
        self.to, self.answers = os.fdopen(w, "wb"), os.fdopen(r2, "rb")
        self.number, self.session, self.rest = 0, None, b""
        self.requests, self.complaints = [], []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Send a command and wait for its result."""
        self.number += 1
        told = {"id": self.number, "method": method, "params": parameters}
        self.to.write(json.dumps(told | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        self.to.flush()
        while True:
            message = self.read()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def read(self):
        """The next message; events are noted."""
        while b"\0" not in self.rest:
            more = os.read(self.answers.fileno(), 2**16)
            if not more:
                raise EOFError("Chromium ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(message)
        kind = message.get("method")
        if kind == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        elif kind in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(message["params"])[:500])
        return message

    def open(self, url, width=1300, height=900, dark=False):
        """Load a page and wait for `data-ready` on its body."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url="about:blank")
        self.ask("Page.navigate", url=url)
        end = time.monotonic() + 60
        while self.get("document.body && document.body.dataset.ready") != "yes":
            if time.monotonic() > end:
                raise TimeoutError(f"{url}: {self.complaints}")
            time.sleep(0.05)

    def get(self, expression):
        """Value of an expression of the page's script."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def text(self, selector):
        """Text of the first element that fits."""
        return self.get(f"document.querySelector({selector!r}).textContent")

    def place(self, selector):
        """Middle of an element, scrolled into view."""
        box = "(e.scrollIntoView({block: 'center'}), e.getBoundingClientRect().toJSON())"
        box = self.get(f"(e => {box})(document.querySelector({selector!r}))")
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def mouse(self, x, y, press=True):
        """Move to a place, and press there."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if press else ():
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, *names, shift=False):
        """Press keys one after the other."""
        codes = {
            "Enter": 13,
            "Tab": 9,
            "Home": 36,
            "End": 35,
            "ArrowLeft": 37,
            "ArrowUp": 38,
            "ArrowRight": 39,
            "ArrowDown": 40,
        }
        for name in names:
            how = {"key": name, "code": name, "windowsVirtualKeyCode": codes.get(name, 0), "modifiers": 8 * shift}
            typed = {"text": "\r"} if name == "Enter" else {"text": name} if len(name) == 1 else {}
            self.ask("Input.dispatchKeyEvent", type="keyDown", **how, **typed)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **how)

    def screenshot(self):
        """PNG of what is in view, base64."""
        return self.ask("Page.captureScreenshot")["data"]

    def close(self):
        """End Chromium."""
        with contextlib.suppress(RuntimeError, EOFError, OSError):
            self.session = None
            self.ask("Browser.close")
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.to, self.answers):
            with contextlib.suppress(OSError):
                pipe.close()
