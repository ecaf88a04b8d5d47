"""The programs of Apache Kafka, fetched once by Maven from their coordinates and kept."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geomon.errors import UnavailableError

__all__ = ["NEWEST", "OLDER", "Java", "find_java", "kafka_jars"]

#: The pinned versions; each is one that the tests run on.
NEWEST = "4.4.0"
OLDER = "3.9.2"

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# Kafka's own jars carry no writer of logs: what it has to say would be lost.
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>geomon</groupId><artifactId>kafka</artifactId><version>{version}</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""
FETCH_TIMEOUT_S = 600.0
#: Kafka's major version -> the oldest Java that runs its broker.
JAVA_NEEDED = {3: 11, 4: 17}


class Java:
    """A Java runtime: where it is, and which version."""

    def __init__(self, binary: str, version: str) -> None:
        self.binary = binary
        self.version = version

    @property
    def major(self) -> int:
        """8, 11, 17, 21 and so on; 8 calls itself 1.8."""
        first, _, rest = self.version.partition(".")
        return int(re.match(r"\d+", rest if first == "1" else first).group())  # type: ignore[union-attr]


def find_java(version: str) -> Java:
    """Find a Java (that of JAVA_HOME, then of PATH) that runs this version of Kafka.

    Raises `UnavailableError` when there is none, or only one that is too old.
    """
    home = os.environ.get("JAVA_HOME")
    binary = shutil.which("java", path=f"{home}/bin") if home else None
    binary = binary or shutil.which("java")
    needed = JAVA_NEEDED.get(_major(version), max(JAVA_NEEDED.values()))
    if binary is None:
        raise UnavailableError(f"no Java: Kafka {version} needs Java {needed} or newer on PATH")
    told = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r'version "(\d[^"]*)"', told.stderr + told.stdout)
    if found is None:
        raise UnavailableError(f"{binary} is no Java that runs: {_first_line(told.stderr)}")
    java = Java(binary, found[1])
    if java.major < needed:
        raise UnavailableError(
            f"Java {java.version} is too old: Kafka {version} needs Java {needed} or newer"
        )
    return java


def kafka_jars(version: str) -> Path:
    """Give the folder with the jars of a version, fetching them when they are not there.

    It lies in GEOMON_KAFKA_CACHE, else in the user's cache folder. Several processes may ask at
    once: one fetches, the others wait. Raises `UnavailableError` when they cannot be had.
    """
    _major(version)
    folder = _cache() / f"kafka-{version}"
    if folder.is_dir():
        return folder
    mvn = shutil.which("mvn")
    if mvn is None:
        raise UnavailableError(f"no Maven to fetch Kafka {version} with: install it (mvn on PATH)")
    try:
        with _one_at_a_time(folder.parent):
            if not folder.is_dir():
                _fetch(mvn, version, folder)
    except OSError as error:
        raise UnavailableError(f"{folder.parent}: {error.strerror or error}") from None
    return folder


def _cache() -> Path:
    named = os.environ.get("GEOMON_KAFKA_CACHE")
    if named:
        return Path(named).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "geomon"


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two Mavens at once would fetch everything twice, and share a repository not made for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of by the kernel, however this process ends
        yield


def _fetch(mvn: str, version: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as work:
        pom = Path(work, "pom.xml")
        pom.write_text(POM.format(version=version))
        jars = Path(work, "jars")
        try:
            told = subprocess.run(  # noqa: S603
                [
                    *(mvn, "-q", "-B", "-f", str(pom), PLUGIN),
                    *("-DincludeScope=runtime", f"-DoutputDirectory={jars}"),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=FETCH_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(
                f"Kafka {version} cannot be fetched: Maven took more than {FETCH_TIMEOUT_S:g} s"
            ) from None
        if told.returncode or not (jars / f"kafka_2.13-{version}.jar").exists():
            why = _first_line(told.stdout + told.stderr)
            raise UnavailableError(f"Kafka {version} cannot be fetched: {why}")
        jars.rename(folder)  # whole or not at all


def _first_line(text: str) -> str:
    """Give the first line that says something, without colours and Maven's own marks."""
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines():
        said = line.removeprefix("[ERROR]").removesuffix("-> [Help 1]").strip()
        if said:
            return said
    return "it said nothing"


def _major(version: str) -> int:
    # It becomes part of a path and of a pom, where Maven would take ranges too.
    if re.fullmatch(r"\d+\.\d+\.\d+", version) is None:
        raise UnavailableError(f"not a version of Kafka: {version!r} (as in {NEWEST})")
    return int(version.partition(".")[0])
