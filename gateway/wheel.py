"""Hatch's hook: the wheel carries the gateway's build, as `aitwin/gateway`. Does not build it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Gateway(BuildHookInterface):
    """Adds gateway/build to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatch before it collects the files."""
        if version == "editable":
            return  # `twin serve` finds the build in the clone
        build = Path(self.root) / "gateway" / "build"
        # The build writes it last: without it there is none, or half of one.
        if (build / "main.js").is_file():
            build_data["force_include"][str(build)] = "aitwin/gateway"
        else:
            self.app.display_warning(
                "gateway/build is not there: this wheel has no page; run `make gateway` first"
            )
