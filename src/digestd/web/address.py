"""Where the web server listens, and where it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or address, without brackets) and a TCP port; as text, `host:port` or `[host]:port`."""

    host: str
    port: int

    @classmethod
    def parse(cls, listen: str) -> Address:
        """Read `web.listen`, whose form :class:`digestd.config.WebSettings` has checked."""
        host, _, port = listen.rpartition(":")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"{self.url_host}:{self.port}"

    @property
    def url_host(self) -> str:
        """The host as it stands in a URL and in a Host header (RFC 3986, 3.2.2)."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host == "localhost" or (self._is_literal and ip_address(self.host).is_loopback)

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every address of this machine."""
        return self._is_literal and ip_address(self.host).is_unspecified

    @property
    def from_here(self) -> Address:
        """Where a client on this machine asks."""
        return Address("127.0.0.1", self.port) if self.is_wildcard else self

    @property
    def _is_literal(self) -> bool:
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True
