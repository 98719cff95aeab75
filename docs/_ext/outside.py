"""What a built site asks for: every address that a browser would load by itself must lie in the site.

Links that a reader may click are free to lead elsewhere; those that lead into the site must lead to a page
and a place that exist.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Loaded without being asked: by element and attribute.
LOADED = {
    "script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"),
    "video": ("src",), "audio": ("src",), "embed": ("src",), "object": ("data",),
    "image": ("href", "xlink:href"), "use": ("href",),
}  # fmt: skip
LOADING_RELATIONS = {
    "stylesheet",
    "preload",
    "icon",
    "shortcut",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "manifest",
}
IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
IN_SCRIPT = re.compile(r"\b(?:fetch|importScripts|import)\(\s*['\"](https?:)?//[^'\"]+")


class Page(HTMLParser):
    """Addresses of one page: `loaded` by the browser, `links` for a reader, `places` to link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self._style = self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by HTMLParser."""
        values = {name: value or "" for name, value in attrs}
        self._style, self._script = tag == "style", tag == "script"
        self.places |= {values[name] for name in ("id", "name") if name in values}
        self.loaded += [values[name].split(" ")[0] for name in LOADED.get(tag, ()) if name in values]
        if tag == "link" and LOADING_RELATIONS & set(values.get("rel", "").split()):
            self.loaded.append(values.get("href", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        self.loaded += in_style(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Called by HTMLParser."""
        if self._style:
            self.loaded += in_style(data)
        if self._script:
            self.loaded += [found[0] for found in IN_SCRIPT.finditer(data)]


def in_style(text: str) -> list[str]:
    """Addresses that a style sheet loads."""
    return [one or other for one, other in IN_STYLE.findall(text)]


def is_outside(address: str) -> bool:
    """Whether an address leads to another machine."""
    return bool(re.search(r"^(?:\w+:)?//|\(\s*['\"](?:https?:)?//", address)) and not address.startswith(
        "data:"
    )


def requests(folder: Path) -> list[str]:
    """`page: address` of all that the pages and style sheets of a folder load from elsewhere."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".html":
            loaded = Page(path.read_text("utf-8")).loaded
        elif path.suffix == ".css":
            loaded = in_style(path.read_text("utf-8"))
        elif path.suffix == ".js":
            loaded = [one[0] for one in IN_SCRIPT.finditer(path.read_text("utf-8"))]
        else:
            continue
        found += [f"{path.relative_to(folder)}: {address}" for address in loaded if is_outside(address)]
    return found


def broken_links(folder: Path) -> list[str]:
    """`page: link` of all links within a folder whose page or place is not there."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in ("", "#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.exists() or (place and target in pages and place not in pages[target].places):
                found.append(f"{path.relative_to(folder)}: {link}")
    return sorted(set(found))
