"""Snippets for CI systems: the token comes from their store of secrets, the attempt is part of the run's id.

A name in YAML is the slug with something behind it, or in quotes: `on`, `2024` and `default` mean something else.
"""

import json

from luota.core.model import Mode
from luota.web.snippets.shell import block, ping, run_script
from luota.web.snippets.wiring import JOB, OUTPUT, Snippet, Wiring, cron, when

_RUNNER = "luota-run.sh"
_REACH = "Its runners must be able to reach Luota."


def github(wiring: Wiring) -> Snippet:
    """Return a workflow. A re-run keeps GITHUB_RUN_ID and counts GITHUB_RUN_ATTEMPT up."""
    origin = {"host": "github-actions", "sha": "$GITHUB_SHA"}
    if wiring.mode is Mode.RUN:
        steps = f"      - run: sh {_RUNNER} {JOB}\n"
        more = [(_RUNNER, run_script("$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT-$GITHUB_JOB", **origin))]
    else:
        steps = f"      - run: {JOB}\n      - run: |\n{block(ping(wiring.mode, OUTPUT, **origin), '          ')}\n"
        more = []
    workflow = (
        f'name: "{wiring.slug}"\non:\n  schedule:\n    - cron: "{cron(wiring.schedule)}"\n  workflow_dispatch:\n'
        "jobs:\n  job:\n    runs-on: ubuntu-latest\n    env:\n"
        f"{_values(wiring, '      ')}      LUOTA_INGEST_TOKEN: ${{{{ secrets.LUOTA_INGEST_TOKEN }}}}\n"
        f"    steps:\n      - uses: actions/checkout@v4\n{steps}"
    )
    notes = f"Save the monitor's token as the repository secret LUOTA_INGEST_TOKEN. {_REACH} GitHub starts schedules \
late when it is busy: give the monitor some grace. {when(wiring.schedule, 'UTC')}"
    files = ((f".github/workflows/{wiring.slug}.yml", workflow), *more)
    return Snippet("github", "GitHub Actions", "yaml", files, notes)


def gitlab(wiring: Wiring) -> Snippet:
    """Return a job for pipeline schedules. A retried job gets another CI_JOB_ID."""
    origin = {"host": "gitlab-ci", "sha": "$CI_COMMIT_SHA"}
    if wiring.mode is Mode.RUN:
        script, more = f"    - sh {_RUNNER} {JOB}\n", [(_RUNNER, run_script("$CI_JOB_ID", **origin))]
    else:
        script, more = f"    - {JOB}\n    - |\n{block(ping(wiring.mode, OUTPUT, **origin), '      ')}\n", []
    pipeline = (
        f'{wiring.slug}-job:\n  rules:\n    - if: $CI_PIPELINE_SOURCE == "schedule"\n  variables:\n'
        # GitLab expands a $ in values.
        f"{_values(wiring, '    ').replace('$', '$$')}  script:\n{script}"
    )
    notes = f"Save the monitor's token as the masked CI/CD variable LUOTA_INGEST_TOKEN, and make a pipeline schedule \
with the cron expression and timezone of the monitor. The image needs curl. {_REACH}"
    return Snippet("gitlab", "GitLab CI", "yaml", ((".gitlab-ci.yml", pipeline), *more), notes)


def circleci(wiring: Wiring) -> Snippet:
    """Return a workflow for schedule triggers. A re-run job gets another CIRCLE_WORKFLOW_JOB_ID."""
    origin = {"host": "circleci", "sha": "$CIRCLE_SHA1"}
    if wiring.mode is Mode.RUN:
        steps = f"      - run: sh {_RUNNER} {JOB}\n"
        more = [(_RUNNER, run_script("$CIRCLE_WORKFLOW_JOB_ID-$CIRCLE_NODE_INDEX", **origin))]
    else:
        steps = f"      - run: {JOB}\n      - run: |\n{block(ping(wiring.mode, OUTPUT, **origin), '          ')}\n"
        more = []
    config = (
        f"version: 2.1\njobs:\n  {wiring.slug}-job:\n    docker:\n      - image: cimg/base:current\n    environment:\n"
        f"{_values(wiring, '      ')}    steps:\n      - checkout\n{steps}"
        f"workflows:\n  {wiring.slug}-workflow:\n    when:\n"
        "      equal: [scheduled_pipeline, << pipeline.trigger_source >>]\n"
        f"    jobs:\n      - {wiring.slug}-job\n"
    )
    notes = f"Save the monitor's token as the project's environment variable LUOTA_INGEST_TOKEN, and add a schedule \
trigger for the pipeline in the project's settings. {_REACH} {when(wiring.schedule, 'UTC')}"
    return Snippet("circleci", "CircleCI", "yaml", ((".circleci/config.yml", config), *more), notes)


def _values(wiring: Wiring, indent: str) -> str:
    return (
        f'{indent}LUOTA_API_BASE_URL: {json.dumps(wiring.base_url)}\n{indent}LUOTA_MONITOR_ID: "{wiring.monitor_id}"\n'
    )
