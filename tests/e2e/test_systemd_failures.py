"""What goes away under a running unit, or is not there when it starts: the database, and room on the disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.handbook import shell_block
from support.postgres import PostgresServer
from support.unit import SECTION, Unit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STATE = "/var/lib/private/digestd"
SECRET = "correct-horse"


def test_a_database_that_is_away_at_start_is_waited_for(unit: Unit, database_server: PostgresServer) -> None:
    unit.configure("one")
    unit.publish("one", 2)
    database_server.start()
    database_server.create_database("digestd")
    database_server.stop()
    url = f"postgresql://postgres:{SECRET}@/digestd?host=/srv/postgresql"
    commands = shell_block(SECTION, "credentials.conf").replace(
        "postgresql://digestd:PASSWORD@db.example.org/digestd", url
    )
    assert url in commands
    assert unit.machine.run(f"cd digestd\n{commands}", check=False).stderr.startswith(
        "Job for digestd.service failed"
    )
    unit.machine.wait_until(lambda: int(unit.show("NRestarts")) >= 2, "second restart")
    said = [line for line in unit.journal() if line.startswith("digestd: ")]
    assert said[0].startswith("digestd: the database postgresql+psycopg://postgres:***@/digestd?host=")
    assert said[0].endswith("; check database.url and that the database is up")
    assert "digestd.service: Main process exited, code=exited, status=69/UNAVAILABLE" in unit.journal()
    database_server.start()
    unit.wait_for_property("ActiveState", "active")
    unit.machine.wait_until(lambda: unit.kept() == ["one-0", "one-1"], "articles")

    # It came as a credential, and nowhere else.
    unit.machine.run(f"grep -q {SECRET} /run/credentials/digestd.service/database_url")
    secret = unit.machine.says("stat -c '%a' /run/credentials/digestd.service/database_url")
    assert secret in ("400", "440")
    assert "DATABASE_URL_FILE=/run/credentials/digestd.service/database_url" in unit.show("Environment")
    environment = unit.machine.says(f"tr '\\0' '\\n' < /proc/{unit.show('MainPID')}/environ")
    assert SECRET not in environment + "\n".join(unit.journal())

    # And while it runs: nothing is restarted, nothing is lost.
    pid = unit.show("MainPID")
    database_server.stop()
    unit.publish("one", 4)
    unit.wait_for("worker.store.unavailable")
    unit.machine.wait_until(
        lambda: unit.show("StatusText").startswith("the database is away since "), "status"
    )
    database_server.start()
    unit.wait_for("worker.store.recovered")
    unit.machine.wait_until(lambda: unit.kept() == [f"one-{number}" for number in range(4)], "articles")
    assert (unit.show("MainPID"), unit.show("ActiveState")) == (pid, "active")


@pytest.fixture
def small_disk(unit: Unit) -> Iterator[None]:
    """The state directory on a disk of 16 MB."""
    unit.configure("news")
    unit.machine.run(
        f"install -d -m 0700 /var/lib/private {STATE} && mount -t tmpfs -o size=16m tmpfs {STATE}"
    )
    yield
    unit.machine.run(f"systemctl stop digestd; umount {STATE}")


def test_a_full_disk_is_lived_through(unit: Unit, small_disk: None) -> None:
    unit.publish("news", 3)
    unit.start()
    unit.machine.wait_until(lambda: {"304"} & {line[:3] for line in unit.requests("news")}, "unchanged poll")
    known = unit.requests("news")[-1].split()[1]
    pid = unit.show("MainPID")
    unit.machine.run(f"cat /dev/zero > {STATE}/filler", check=False)
    unit.publish("news", 400)
    (full, *_) = unit.wait_for("worker.store.unavailable")
    assert full["error"] == (
        "the database sqlite:////var/lib/digestd/digestd.db cannot be used just now: database or disk is full"
    )
    unit.machine.wait_until(
        lambda: unit.show("StatusText").startswith("the database is away since "), "status"
    )
    assert (unit.show("ActiveState"), unit.show("MainPID")) == ("active", pid)
    assert len(unit.kept()) == 3
    # Whoever asks for what it could not keep asks as if it had never seen it.
    assert {line.split()[1] for line in unit.requests("news")} == {"-", known}
    unit.machine.run(f"rm {STATE}/filler")
    unit.machine.wait_until(lambda: len(unit.kept()) >= 400, "articles of the whole document", 60)
    assert unit.kept() == sorted(f"news-{number}" for number in range(400))
    assert len(unit.events("worker.store.recovered")) == len(unit.events("worker.store.unavailable"))
    assert (unit.show("ActiveState"), unit.show("MainPID"), unit.show("NRestarts")) == ("active", pid, "0")


def test_a_start_on_a_full_disk_succeeds_when_there_is_room(unit: Unit, small_disk: None) -> None:
    unit.publish("news", 3)
    unit.machine.run(f"cat /dev/zero > {STATE}/filler", check=False)
    unit.machine.run("systemctl start --no-block digestd")
    unit.machine.wait_until(lambda: int(unit.show("NRestarts")) >= 1, "restart")
    assert any("database or disk is full" in line for line in unit.journal())
    unit.machine.run(f"rm {STATE}/filler")
    unit.wait_for_property("ActiveState", "active")
    unit.machine.wait_until(lambda: unit.kept() == ["news-0", "news-1", "news-2"], "articles")
