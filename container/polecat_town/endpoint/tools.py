"""The tools that an agent has beside its own: `done`, `checkpoint`, `escalate`, `status`, over MCP.

One server for all agents; who calls is known by the JWT of the request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request

from polecat_town.endpoint.tokens import AgentIdentity

IDENTITY = "polecat_identity"
"""Key in the request's scope, set by the endpoint's guard."""
PATH = "/mcp"
_INSTRUCTIONS = (
    "Commit your work on the branch that you are on, then call `done`. It publishes your commits and ends the task. "
    "Do not push: you have no credentials, and need none."
)


class ToolTarget(Protocol):
    """The life of the polecat that calls; each answer is text for the agent."""

    async def tool_done(self, summary: str, no_changes: bool) -> str:
        """Publishes the work, or says why not."""

    async def tool_checkpoint(self, note: str) -> str:
        """Takes the commits over now."""

    async def tool_escalate(self, question: str) -> str:
        """Ends the attempt with a question to a person."""

    async def tool_status(self, message: str) -> str:
        """Shows people what the agent is doing."""


def build_tools(find: Callable[[AgentIdentity], ToolTarget | None]) -> Starlette:
    """The MCP application; `find` gives the caller's life, None if it has ended meanwhile."""
    server: MCPServer[None] = MCPServer("polecat", instructions=_INSTRUCTIONS, log_level="WARNING")

    def caller(context: Context[None, Request]) -> ToolTarget:
        request = context.request_context.request
        target = find(request.scope[IDENTITY]) if request is not None else None
        if target is None:
            raise ValueError("this task is over; stop working")
        return target

    @server.tool()
    async def done(
        summary: Annotated[str, Field(description="What was done, in a few sentences.", max_length=20_000)],
        context: Context[None, Request],
        no_changes: Annotated[
            bool, Field(description="Set it when the task turned out to need no change at all.")
        ] = False,
    ) -> str:
        """Call when the work is complete and committed. Runs the checks, publishes the commits, ends the task.

        If it is refused, the answer says why: mend it, commit, and call again.
        """
        return await caller(context).tool_done(summary, no_changes)

    @server.tool()
    async def checkpoint(
        note: Annotated[str, Field(description="What is done so far.", max_length=4096)],
        context: Context[None, Request],
    ) -> str:
        """Keeps the commits made so far safe, so that the work can go on from here whatever happens."""
        return await caller(context).tool_checkpoint(note)

    @server.tool()
    async def escalate(
        question: Annotated[str, Field(description="What a person must decide or provide.", max_length=4096)],
        context: Context[None, Request],
    ) -> str:
        """Ends the task with a question to a person. Only when the work can't be done without the answer."""
        return await caller(context).tool_escalate(question)

    @server.tool()
    async def status(
        message: Annotated[str, Field(description="What you are doing now.", max_length=1000)],
        context: Context[None, Request],
    ) -> str:
        """Tells people who watch what you are doing."""
        return await caller(context).tool_status(message)

    return server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        json_response=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
