"""A browser as far as connecting a backend needs one: it keeps cookies, follows redirects and sends forms."""

import re
from html import unescape
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener

FORM = re.compile(r'<form method="post" action="([^"]*)"><input type="hidden" name="(\w+)" value="([^"]*)">')


class Refused(Exception):
    """A page that says why it does not go on."""


class Browser:
    def __init__(self):
        self.opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def open(self, request):
        """Where a request leads, as an address and a text."""
        try:
            with self.opener.open(request, timeout=20) as page:
                return page.url, page.read().decode()
        except HTTPError as error:
            text = re.sub("<[^>]*>", " ", error.read().decode())
            raise Refused(f"{error.code} {error.url}: {text[-400:]}") from None

    def send(self, page, name):
        """Sends the form of this name that stands in a page."""
        url, text = page
        for action, field, value in FORM.findall(text):
            if field == name:
                place = urlsplit(url)
                origin = {"Origin": f"{place.scheme}://{place.netloc}"}
                data = urlencode({field: unescape(value)}).encode()
                return self.open(Request(urljoin(url, unescape(action)), data, origin))
        raise Refused(f"no form `{name}` at {url}: {text[-400:]}")

    def connect(self, url):
        """Agrees to what weir asks at `url`, and to what the authorization server asks."""
        return self.send(self.open(url), "consent")
