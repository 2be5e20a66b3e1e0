"""What an agent's process is told: its configuration and environment. Built from nothing for each start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polecat_api.rig import Model
from polecat_town.domain.network import LOOPBACK

OPENAI_COMPATIBLE = "openai-compatible"
PROXY_PROVIDER = "polecat"
"""Name under which the agent knows the model that it reaches through the supervisor."""
MCP_SERVER = "polecat"
"""Name of our tools' server; the agent sees `polecat_done` and so on."""
AGENT = "code"
"""The CLI's own agent that does the work; only its own permissions decide which tools are offered."""
WITHHELD_TOOLS = (
    "question", "suggest", "plan_exit", "schedule_wakeup", "cancel_wakeup", "board_post", "board_read",
    "kilo_local_recall", "background_process",
)  # fmt: skip
"""Tools of the CLI that wait for a person, or go on when the turn is over; nobody is there."""


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """Everything that tells one agent from another."""

    model: Model
    """The rig's model settings."""
    model_name: str
    """The model that this polecat uses."""
    token: str = field(repr=False)
    """Its JWT."""
    tools_url: str
    """Our MCP endpoint."""
    proxy_url: str
    """Our model proxy, for models of the kind `openai-compatible`."""
    tool_timeout_seconds: float
    """How long a call of one of our tools may take."""
    api_key: str | None = field(default=None, repr=False)
    """The model's key, for providers that the CLI must talk to itself."""


def provider_id(model: Model) -> str:
    """The provider's name inside the CLI."""
    return PROXY_PROVIDER if model.provider == OPENAI_COMPATIBLE else model.provider


def build_config(setup: AgentSetup) -> dict[str, Any]:
    """The CLI's configuration (the value of KILO_CONFIG_CONTENT before it is made JSON)."""
    provider = provider_id(setup.model)
    small = setup.model.small or setup.model_name
    milliseconds = int(setup.tool_timeout_seconds * 1000)
    return {
        "provider": {provider: _provider(setup, small)},
        "model": f"{provider}/{setup.model_name}",
        "small_model": f"{provider}/{small}",
        "enabled_providers": [provider],
        "permission": "allow",
        "agent": {AGENT: {"permission": dict.fromkeys(WITHHELD_TOOLS, "deny")}},
        "snapshot": False,
        "lsp": False,
        "formatter": False,
        "autoupdate": False,
        "share": "disabled",
        "mcp": {
            MCP_SERVER: {
                "type": "remote",
                "url": setup.tools_url,
                "headers": {"Authorization": f"Bearer {setup.token}"},
                "oauth": False,
                "timeout": milliseconds,
            }
        },
    }


def _provider(setup: AgentSetup, small: str) -> dict[str, Any]:
    if setup.model.provider == OPENAI_COMPATIBLE:
        return {
            "npm": "@ai-sdk/openai-compatible",
            "name": PROXY_PROVIDER,
            # The agent's own token, not the model's key: the proxy adds that.
            "options": {"baseURL": setup.proxy_url, "apiKey": setup.token},
            "models": {name: {"name": name} for name in {setup.model_name, small}},
        }
    options: dict[str, Any] = {}
    if setup.api_key:
        options["apiKey"] = setup.api_key
    if setup.model.endpoint:
        options["baseURL"] = setup.model.endpoint
    return {"options": options}


def build_environment(base: Mapping[str, str], setup: AgentSetup, password: str) -> dict[str, str]:
    """The whole environment of an agent's server.

    `base` has its HOME, XDG directories, TMPDIR, PATH, locale, and how to reach the network.
    """
    others = base.get("NO_PROXY") or base.get("no_proxy")
    without_proxy = f"{LOOPBACK},{others}" if others and others != LOOPBACK else LOOPBACK
    return {
        **base,
        "NO_PROXY": without_proxy,
        "no_proxy": without_proxy,
        "KILO_SERVER_PASSWORD": password,
        "KILO_CONFIG_CONTENT": json.dumps(build_config(setup)),
        "KILO_DISABLE_MODELS_FETCH": "1",
        "KILO_DISABLE_AUTOUPDATE": "1",
        "KILO_TELEMETRY_LEVEL": "off",
    }
