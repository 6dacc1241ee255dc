"""What a page and its charts say, read back; and text that a page must not take for markup."""

import base64
import hashlib
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

PAYLOAD = "<script>alert(1)</script>\"'>&amp;{{ 7 * 7 }}$x^$"


class Tags(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def policy(self):
        """What the page may load and run."""
        return next(attrs["content"] for attrs in self.named("meta") if "http-equiv" in attrs)

    @property
    def charts(self):
        """The source of each vector drawing."""
        head = "data:image/svg+xml;base64,"
        images = [attrs["src"] for attrs in self.named("img")]
        return [base64.b64decode(src.removeprefix(head)) for src in images if head in src]


def digest(code):
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def assert_asks_for_nothing(page):
    """Nothing is loaded from elsewhere, and no element has a style or a script of its own."""
    for tag, attrs in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert "style" not in attrs, "the policy would ignore it"
        assert not any(name.startswith("on") for name in attrs)
        assert attrs.get("src", "data:").startswith("data:")


def assert_draws_alone(chart):
    """A drawing is well-formed, runs nothing and names nothing outside of itself."""
    for element in ElementTree.fromstring(chart).iter():
        assert not element.tag.endswith("}script")
        for name, value in element.attrib.items():
            assert not name.endswith("href") or value.startswith("#")


def plain(text):
    return text.replace("\u00a0", " ")


def texts(axes):
    return [text.get_text() for text in axes.texts]
