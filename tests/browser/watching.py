"""A page that is watched: whatever it complains of, and whoever it asks, is written down."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response

#: Said by Chromium of an answer that is an error: the test that asks for one expects it.
_OF_AN_ANSWER = "Failed to load resource: the server responded with a status of 4"


class Watch:
    """What all pages of a context do that they should not."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.wrong: list[str] = []
        self.asked: list[str] = []  #: addresses, in order
        self._host = urlsplit(origin).netloc
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " event => console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`))"
        )
        context.on("console", self._said)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("weberror", lambda error: self.wrong.append(f"error: {error.error}"))
        context.on("dialog", self._dialog)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_OF_AN_ANSWER):
            self.wrong.append(f"console: {message.text} at {message.location.get('url')}")

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc != self._host:
            self.wrong.append(f"asked another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.wrong.append(f"{response.status} of {response.url}")

    def _dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def forget(self) -> None:
        """From here on."""
        self.asked.clear()


def texts(page: Page, selector: str) -> list[str]:
    """Of all elements that match, as they are shown."""
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def chosen(page: Page) -> str:
    """Id of the chosen row."""
    found: Any = page.evaluate("document.querySelector('#calls tr[aria-selected=true]')?.dataset.id || ''")
    return str(found)


def focused(page: Page) -> str:
    """What has the focus: tag and name."""
    script = (
        "(() => { const it = document.activeElement;"
        " return `${it.tagName.toLowerCase()} ${it.getAttribute('aria-label') || it.textContent.trim()}` })()"
    )
    return str(page.evaluate(script))


def longest(page: Page) -> str:
    """Address of the conversation with the most calls, of those that are listed."""
    script = """[...document.querySelectorAll(".talks tbody tr")]
      .map((row) => [Number(row.querySelector("[data-unit]").textContent), row.querySelector("a.row").href])
      .sort((one, other) => other[0] - one[0])[0][1]"""
    return str(page.evaluate(script))
