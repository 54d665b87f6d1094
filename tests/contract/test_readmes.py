"""What a README promises to list, it lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from trunkline_common.settings import CommonSettings, GrpcSettings
from trunkline_ingest.delivery import DeliverySettings
from trunkline_ingest.settings import IngestSettings
from trunkline_insights.settings import Settings as InsightsSettings
from trunkline_router.settings import Settings as RouterSettings
from trunkline_sla.settings import Settings as SlaSettings
from trunkline_timeline.settings import Settings as TimelineSettings

COMMON = Path("libs/common/README.md").read_text()
SETTINGS: dict[str, list[type[CommonSettings]]] = {
    "libs/common": [CommonSettings, GrpcSettings],
    "services/ingest": [IngestSettings, DeliverySettings],
    "services/insights": [InsightsSettings],
    "services/router": [RouterSettings],
    "services/sla": [SlaSettings],
    "services/timeline": [TimelineSettings],
}
PACKAGES = ["proto", *SETTINGS]


def aliases(cls: type[CommonSettings]) -> set[str]:
    """The variables a process reads."""
    return {str(field.alias) for field in cls.model_fields.values()}


@pytest.mark.parametrize("package", SETTINGS)
def test_every_setting_is_in_the_readme(package: str) -> None:
    """In the package's own or, where it points there, in trunkline-common's."""
    readme = Path(package, "README.md").read_text()
    documented = readme + (COMMON if "libs/common/README.md" in readme else "")
    assert {name for cls in SETTINGS[package] for name in aliases(cls) if f"`{name}`" not in documented} == set()


def test_every_module_of_the_core_is_in_its_readme() -> None:
    """A reader finds each idea by name."""
    modules = {path.stem for path in Path("libs/common/src/trunkline_common").glob("*.py")} - {"__init__"}
    assert {name for name in modules if f"`{name}`" not in COMMON} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_links_between_readmes_lead_somewhere(package: str) -> None:
    """Relative ones."""
    folder = Path(package)
    text = (folder / "README.md").read_text()
    targets = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert [t for t in targets if "://" not in t and not (folder / t.partition("#")[0]).exists()] == []
