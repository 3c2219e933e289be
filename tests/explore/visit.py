"""A page in a browser that notes everything that it complains of, and everything that it asks for."""

import re

OWN = r"http://127\.0\.0\.1:|file:|about:|data:,"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


class Visit:
    """One look at the explorer."""

    def __init__(self, browser, viewport=WIDE, scheme="light"):
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints, self.asked = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, address, link=""):
        self.page.goto("about:blank")
        self.page.goto(address + link)
        self.page.wait_for_selector("body[data-shown]")
        return self.page

    def go(self, link):
        self.page.evaluate("link => { location.hash = link; }", link)
        self.settle()

    def settle(self):
        """Wait until the page shows what the address says."""
        for _ in range(200):
            if self.page.evaluate("document.body.dataset.shown === location.hash"):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(self.page.evaluate("[document.body.dataset.shown, location.hash]"))

    def until(self, said, wanted=True):
        """Wait for the address to say something; the page's policy forbids Playwright's own wait."""
        for _ in range(100):
            if (said in self.page.evaluate("location.hash")) == wanted:
                return self.settle()
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{said!r}: {self.page.evaluate('location.hash')}")

    def rows(self):
        """How many rows are listed."""
        self.settle()
        return int(re.match(r"[\d,]+", self.page.locator(".total").inner_text())[0].replace(",", ""))

    def well_behaved(self):
        """Ends the look: nothing was complained of, nothing asked of elsewhere."""
        self.context.close()
        assert self.complaints == []
        assert [url for url in self.asked if not re.match(OWN, url)] == []
