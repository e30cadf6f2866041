"""Which host an address names: only pages of this very host are answered."""

from urllib.parse import urlsplit


def host_of(url: str) -> str | None:
    """The host name of an address, lower-cased, without port; None if it has none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
