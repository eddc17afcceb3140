"""Which URLs can be polled at all: their form, their length, and ports that nothing is fetched from. Pure.

What reads commands line by line (SMTP, Redis, memcached) can find some in a request for a URL that somebody made up.
The list of ports is that of the Fetch standard, which browsers keep (https://fetch.spec.whatwg.org/#port-blocking),
with databases, queues and what machines are run with. Left out are 1 and 9, which people give for "nobody answers
here", and all from 32768 on, where systems take the ports that nobody chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

MAX_URL_CHARACTERS = 8192
"""RFC 9110, 4.1 asks for 8,000 at least. What is longer costs its storage, its log and its request at every poll."""

_SERVICES: tuple[tuple[str, Iterable[int]], ...] = (
    ("mail", (25, 109, 110, 143, 220, 465, 587, 993, 995, 4190)),
    # SQL Server, Oracle, MySQL, PostgreSQL and a pooler, CouchDB, Redis and its sentinel, Neo4j, InfluxDB.
    (
        "databases",
        (1433, 1434, 1521, 2483, 2484, 3306, 5432, 5433, 6432, 5984, 6379, 6380, 26379, 7687, 8086),
    ),
    # Cassandra, Elasticsearch, memcached, CockroachDB, MongoDB, RethinkDB.
    ("databases", (9042, 9160, 9200, 9300, 11211, 26257, 27017, 27018, 27019, 28015)),
    ("message queues", (1883, 4222, 5671, 5672, 8883, 9092)),
    # ZooKeeper, Docker, etcd, Erlang, Consul, the agent of Kubernetes, WinRM.
    ("running machines", (2181, 2375, 2376, 2379, 2380, 4369, 8300, 10250, 10255, 5985, 5986)),
    ("shells and desktops", (22, 23, 87, 95, 107, 512, 513, 514, 3389, 5900, 5901, 6000)),
    ("files", (20, 21, 69, 115, 137, 138, 139, 445, 548, 873, 989, 990, 2049, 3659, 4045, 6566, 10080)),
    ("directories", (43, 79, 105, 389, 427, 636, 3268, 3269)),
    ("names, time and networks", (37, 42, 53, 111, 123, 135, 161, 162, 179)),
    ("news and chat", (119, 194, 433, 532, 563, 5222, 5269, *range(6665, 6670), 6679, 6697)),
    ("telephony", (554, 1719, 1720, 1723, 5060, 5061)),
    ("other protocols", (7, 11, 13, 15, 17, 19, 77, 101, 102, 103, 104, 113, 117, 515, 526, 530, 531, 540)),
    ("other protocols", (556, 601)),
)
_REFUSED: Mapping[int, str] = {port: service for service, ports in _SERVICES for port in ports}


def port_problem(port: int) -> str | None:
    """Why nothing is fetched from `port`, or None."""
    service = _REFUSED.get(port)
    return None if service is None else f"port {port} is for {service}, and nothing is fetched from it"


def url_problem(url: str) -> str | None:
    """Why `url` cannot be polled, or None: it must be http or https, with a host, on one line without blanks, not too
    long, and not for a port of something else."""
    if len(url) > MAX_URL_CHARACTERS:
        return f"has more than {MAX_URL_CHARACTERS} characters"
    if not url.isprintable() or " " in url:
        return "a URL holds no blanks or control characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Python's message would quote a piece of a password with an unquoted character in it.
        return (
            "not a URL: its host or port cannot be read (write /, : and @ in a password as %2F, %3A and %40)"
        )
    if parts.scheme not in {"http", "https"}:
        return "must start with http:// or https://"
    if not parts.hostname or port == 0:
        return "names no host to ask" if not parts.hostname else "port 0 cannot be asked"
    return None if port is None else port_problem(port)
