"""What agents are told."""

from __future__ import annotations

from polecat_api.names import display_name
from polecat_town.life.state import LifeState


def first_prompt(state: LifeState, title: str, prompt: str) -> str:
    """The work, and the rules of the house."""
    identity = state.identity
    parts = [
        f"# {title}",
        prompt.strip(),
        "---",
        f"You are {display_name(identity.name)}. You work alone in a Git worktree of your own, on the branch "
        f"`{identity.branch}`, which starts from `{identity.base_branch}`. Nobody can answer questions.",
        "- Commit your work on this branch, in small commits with good messages. Do not push, and do not change to "
        "another branch.\n"
        "- When all is done and committed, call the tool `polecat_done` with a summary. Only that ends the task. "
        "Checks run then; if they fail, you are told: mend it, commit, and call it again.\n"
        "- If nothing has to be changed, call `polecat_done` with `no_changes`.\n"
        "- If only a person can decide, call `polecat_escalate` with the question.",
    ]
    if state.start_commit and state.start_commit != state.base_commit:
        parts.append(
            "An earlier attempt at this task has left commits on the branch. Look at them first "
            f"(`git log {_short_base(state)}..HEAD`), and go on from there."
        )
    return "\n\n".join(parts)


def _short_base(state: LifeState) -> str:
    """The base commit, short, for commands in a prompt."""
    return (state.base_commit or "")[:12]


def resume_prompt(state: LifeState) -> str:
    """After the agent's process was started anew."""
    text = (
        "You were interrupted, and your process was started again; commands that ran then were ended. "
        "Look at the state of the worktree, and go on with the task."
    )
    return f"{text}\n\n{state.refusal}" if state.refusal else text


def nudge_prompt(number: int, allowed: int, *, idle: bool) -> str:
    """To an agent that stopped, or is quiet, without having called `done`."""
    why = "You have stopped" if idle else "You have been quiet for a long time"
    last = " This is the last time that you are asked." if number >= allowed else ""
    return (
        f"{why} without calling the tool `polecat_done`. If the work is complete, commit it and call `polecat_done`; "
        f"otherwise go on with it. If only a person can help, call `polecat_escalate`.{last}"
    )


def rescue_message(state: LifeState) -> str:
    """Message of the commit that saves what the agent had not committed."""
    reason = state.end.reason.value if state.end else "Interrupted"
    return f"Unfinished work of {display_name(state.identity.name)}\n\nSaved when the attempt ended: {reason}."
