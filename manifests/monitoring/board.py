"""The Grafana board: `make generate` makes board.json from what is said below."""

from __future__ import annotations

from pathlib import Path

from grafana import Panel, Query, Row, render

_TOWN = 'namespace=~"$namespace",town=~"$town"'
_RATE = "$__rate_interval"


def quantile(share: float, metric: str, by: str, selector: str = "") -> str:
    """A share of the observations took no longer than this."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{_braced(selector)}[{_RATE}])))"


def rate(metric: str, by: str, selector: str = "") -> str:
    """How often a second."""
    return f"sum by ({by}) (rate({metric}{_braced(selector)}[{_RATE}]))"


def requests(program: str, selector: str = "") -> str:
    """Requests to the API server a second, by verb and resource."""
    return rate(f"polecat_{program}_api_requests_total", "verb, resource", selector)


def _braced(selector: str) -> str:
    return f"{{{selector}}}" if selector else ""


ROWS = (
    Row(
        "At a glance",
        4,
        (
            Panel("Operators that act", "short", (Query("sum(polecat_operator_leader)", ""),), single=True),
            Panel(
                "Beads that wait",
                "short",
                (Query('sum(max by (reason) (polecat_operator_beads{phase="waiting"}))', ""),),
                single=True,
            ),
            Panel("Agents at work", "short", (Query(f"sum(polecat_town_polecats{{{_TOWN}}})", ""),), single=True),
            Panel("Slots", "short", (Query(f"sum(polecat_town_slots{{{_TOWN}}})", ""),), single=True),
            Panel(
                "Longest wait",
                "s",
                (Query("max(polecat_operator_oldest_waiting_bead_seconds)", ""),),
                single=True,
                description="Of the beads whose turn is next in their rig.",
            ),
            Panel(
                "Open breakers",
                "short",
                (Query("sum(max by (scope) (polecat_operator_open_breakers))", ""),),
                single=True,
            ),
        ),
    ),
    Row(
        "Beads",
        8,
        (
            Panel(
                "Open beads by reason",
                "short",
                (Query('max by (reason) (polecat_operator_beads{phase!="terminal"})', "{{reason}}"),),
                stacked=True,
            ),
            Panel(
                "Attempts that ended",
                "cpm",
                (Query(f"60 * {rate('polecat_operator_attempts_total', 'reason')} > 0", "{{reason}}"),),
                stacked=True,
                description="A minute, by reason; those with the outcome infrastructure are interruptions.",
            ),
            Panel(
                "From apply to claim",
                "s",
                (
                    Query(quantile(0.5, "polecat_operator_claim_seconds", ""), "half"),
                    Query(quantile(0.95, "polecat_operator_claim_seconds", ""), "95 %"),
                ),
            ),
            Panel("Polecats by state", "short", (Query("max by (state) (polecat_operator_polecats)", "{{state}}"),)),
            Panel(
                "Rigs and towns that are not ready",
                "short",
                (
                    Query('max by (reason) (polecat_operator_rigs{ready="False"}) > 0', "rigs: {{reason}}"),
                    Query('max by (reason) (polecat_operator_towns{ready="False"}) > 0', "towns: {{reason}}"),
                ),
            ),
            Panel(
                "Breakers that opened",
                "short",
                (Query("sum by (scope) (increase(polecat_operator_breaker_openings_total[1h]))", "{{scope}}"),),
                description="Within the last hour.",
            ),
        ),
    ),
    Row(
        "Town pods",
        8,
        (
            Panel(
                "Agents by step",
                "short",
                (Query(f"sum by (step) (polecat_town_agents{{{_TOWN}}})", "{{step}}"),),
                stacked=True,
            ),
            Panel(
                "Slots in use",
                "percentunit",
                (Query(f"polecat_town_polecats{{{_TOWN}}} / polecat_town_slots{{{_TOWN}}}", "{{pod}}"),),
            ),
            Panel(
                "Start of an agent",
                "s",
                (
                    Query(quantile(0.5, "polecat_town_start_seconds", "", _TOWN), "half"),
                    Query(quantile(0.95, "polecat_town_start_seconds", "", _TOWN), "95 %"),
                ),
                description="From the claim to the first prompt.",
            ),
            Panel(
                "Memory",
                "bytes",
                (
                    Query(f"polecat_town_memory_bytes{{{_TOWN}}}", "{{pod}}"),
                    Query(f"polecat_town_agents_memory_bytes{{{_TOWN}}}", "{{pod}}: agents"),
                    Query(f"polecat_town_memory_limit_bytes{{{_TOWN}}}", "{{pod}}: limit"),
                ),
            ),
            Panel(
                "CPU",
                "short",
                (
                    Query(f"polecat_town_agents_cpu_cores{{{_TOWN}}}", "{{pod}}: agents"),
                    Query(
                        f'rate(process_cpu_seconds_total{{job="polecat-town",{_TOWN}}}[{_RATE}])', "{{pod}}: supervisor"
                    ),
                ),
                description="In cores.",
            ),
            Panel(
                "Room on the volume",
                "percentunit",
                (
                    Query(
                        f"polecat_town_volume_free_bytes{{{_TOWN}}} / polecat_town_volume_size_bytes{{{_TOWN}}}",
                        "{{pod}}",
                    ),
                ),
            ),
            Panel(
                "Heartbeats, Lease and event loop",
                "s",
                (
                    Query(f"polecat_town_report_age_seconds{{{_TOWN}}}", "{{pod}}: oldest report"),
                    Query(f"polecat_town_lease_age_seconds{{{_TOWN}}}", "{{pod}}: Lease"),
                    Query(quantile(0.95, "polecat_town_loop_lag_seconds", "pod", _TOWN), "{{pod}}: lag, 95 %"),
                ),
            ),
            Panel(
                "Why pods take no work",
                "short",
                (Query(f'polecat_town_state{{state!="Ok",{_TOWN}}} == 1', "{{pod}}: {{state}}"),),
            ),
            Panel(
                "Agents' connections to the web",
                "cpm",
                (Query(f"60 * {rate('polecat_town_egress_connections_total', 'outcome', _TOWN)}", "{{outcome}}"),),
                description="A minute, through the pod's proxy.",
            ),
            Panel(
                "Agents stopped for their memory",
                "short",
                (
                    Query(
                        f"sum by (limit) (increase(polecat_town_memory_stops_total{{{_TOWN}}}[1h]))", "limit: {{limit}}"
                    ),
                ),
                description="Within the last hour, by whose limit was near.",
            ),
            Panel(
                "Requests to models",
                "reqps",
                (Query(rate("polecat_town_model_requests_total", "outcome", _TOWN), "{{outcome}}"),),
            ),
        ),
    ),
    Row(
        "Git",
        8,
        (
            Panel(
                "Time of work with Git, 95 %",
                "s",
                (Query(quantile(0.95, "polecat_town_git_seconds", "operation", _TOWN), "{{operation}}"),),
            ),
            Panel(
                "Work with Git that failed",
                "cpm",
                (Query(f"60 * {rate('polecat_town_git_failures_total', 'operation', _TOWN)}", "{{operation}}"),),
                description="A minute.",
            ),
            Panel(
                "Pushes and saves",
                "cpm",
                (
                    Query(f"60 * {rate('polecat_town_pushes_total', 'outcome', _TOWN)}", "push: {{outcome}}"),
                    Query(f"60 * {rate('polecat_town_saves_total', 'where', _TOWN)}", "save: {{where}}"),
                ),
                description="A minute. What is saved in the store only is lost with the volume.",
            ),
        ),
    ),
    Row(
        "Streams and dashboard",
        8,
        (
            Panel(
                "Journals",
                "Bps",
                (Query(rate("polecat_town_stream_bytes_total", "pod", _TOWN), "{{pod}}"),),
            ),
            Panel(
                "Readers of streams",
                "short",
                (
                    Query(f"polecat_town_stream_readers{{{_TOWN}}}", "{{pod}}"),
                    Query("polecat_dashboard_viewers", "viewers of the dashboard"),
                ),
            ),
            Panel(
                "Lost, dropped, taken out",
                "cpm",
                (
                    Query(
                        f"60 * {rate('polecat_town_lost_stream_events_total', 'pod', _TOWN)}", "{{pod}}: events lost"
                    ),
                    Query(
                        f"60 * {rate('polecat_town_dropped_stream_readers_total', 'pod', _TOWN)}",
                        "{{pod}}: readers sent away",
                    ),
                    Query(f"60 * {rate('polecat_town_redactions_total', 'pod', _TOWN)}", "{{pod}}: secrets taken out"),
                ),
                description="A minute.",
            ),
        ),
    ),
    Row(
        "Operator",
        8,
        (
            Panel(
                "Work that waits",
                "short",
                (Query("max by (lane) (polecat_operator_queue_length)", "{{lane}}"),),
            ),
            Panel(
                "Longest wait to be looked at",
                "s",
                (Query("max by (lane) (polecat_operator_queue_oldest_seconds)", "{{lane}}"),),
            ),
            Panel(
                "Time of one piece of work, 95 %",
                "s",
                (Query(quantile(0.95, "polecat_operator_reconcile_seconds", "kind"), "{{kind}}"),),
            ),
            Panel(
                "Failures and conflicts",
                "cpm",
                (
                    Query(f"60 * {rate('polecat_operator_failures_total', 'kind')}", "failed: {{kind}}"),
                    Query(f"60 * {rate('polecat_operator_conflicts_total', 'resource')}", "conflict: {{resource}}"),
                ),
                description="A minute.",
            ),
            Panel(
                "Actions",
                "cpm",
                (Query(f"60 * {rate('polecat_operator_actions_total', 'action')}", "{{action}}"),),
                description="A minute.",
            ),
            Panel(
                "Lease",
                "s",
                (Query("polecat_operator_lease_age_seconds", "{{pod}}"),),
                description="Since it was last renewed; 0 for who stands by.",
            ),
        ),
    ),
    Row(
        "API server",
        8,
        (
            Panel(
                "Requests of operators", "reqps", (Query(requests("operator"), "{{verb}} {{resource}}"),), stacked=True
            ),
            Panel(
                "Requests of towns", "reqps", (Query(requests("town", _TOWN), "{{verb}} {{resource}}"),), stacked=True
            ),
            Panel(
                "Requests that did not succeed",
                "reqps",
                (
                    Query(rate("polecat_operator_api_requests_total", "code", 'code!~"2.."'), "operator: {{code}}"),
                    Query(rate("polecat_town_api_requests_total", "code", f'code!~"2..",{_TOWN}'), "town: {{code}}"),
                    Query(rate("polecat_dashboard_api_requests_total", "code", 'code!~"2.."'), "dashboard: {{code}}"),
                ),
                description="404 and 409 are answers like others; `none` is no answer.",
            ),
            Panel(
                "Time until an answer, 95 %",
                "s",
                (
                    Query(quantile(0.95, "polecat_operator_api_request_seconds", "verb"), "operator: {{verb}}"),
                    Query(quantile(0.95, "polecat_town_api_request_seconds", "verb", _TOWN), "town: {{verb}}"),
                ),
            ),
            Panel(
                "Since a watch was agreed to",
                "s",
                (
                    Query("time() - max by (pod) (polecat_operator_watch_start_timestamp_seconds)", "{{pod}}"),
                    Query(f"time() - max by (pod) (polecat_town_watch_start_timestamp_seconds{{{_TOWN}}})", "{{pod}}"),
                ),
            ),
            Panel(
                "Memory of programs",
                "bytes",
                (Query('process_resident_memory_bytes{job=~"polecat-.*"}', "{{pod}}"),),
            ),
        ),
    ),
)

if __name__ == "__main__":
    (Path(__file__).parent / "board.json").write_text(render(ROWS))
