"""Ports that nothing is fetched from: those of services that might take a request for something else. Pure.

What reads commands line by line (SMTP, Redis, memcached) can find some in a request for a URL that somebody made up.
The list is that of the Fetch standard, which browsers keep (https://fetch.spec.whatwg.org/#port-blocking), with
databases, queues and what machines are run with. Left out are 1 and 9, which people give for "nobody answers here", and
all from 32768 on, where systems take the ports that nobody chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def refused_service(port: int) -> str | None:
    """Say what `port` is for, when that is a reason not to fetch from it: "mail"; else None."""
    return _REFUSED.get(port)
