"""Snippets for CI systems: the token comes from their store of secrets, the attempt is part of the run's id.

A name in YAML is the slug with something behind it, or in quotes: `on`, `2024` and `default` mean something else.
"""

import json

from luota.core.model import Mode
from luota.core.schedule import Cron
from luota.web.snippets.shell import block, ping, run_script
from luota.web.snippets.times import MINUTE, caution, cron, numeric, when
from luota.web.snippets.wiring import JOB, OUTPUT, Snippet, Wiring

_RUNNER = "luota-run.sh"
_GITHUB_LEAST, _GITLAB_LEAST = 5 * MINUTE, 10 * MINUTE
"""How often they start a job at most, GitLab as it is installed."""
_REACH = "Its runners must be able to reach Luota."


def github(wiring: Wiring) -> Snippet:
    """Return a workflow. A re-run keeps GITHUB_RUN_ID and counts GITHUB_RUN_ATTEMPT up.

    The legs of a matrix share GITHUB_JOB; without a matrix `strategy.job-index` is 0.
    """
    origin = {"host": "github-actions", "sha": "$GITHUB_SHA"}
    if wiring.mode is Mode.RUN:
        steps = f"      - run: sh {_RUNNER} {JOB}\n"
        leg = "      MATRIX_INDEX: ${{ strategy.job-index }}\n"
        run_id = "$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT-$GITHUB_JOB-$MATRIX_INDEX"
        more = [(_RUNNER, run_script(run_id, **origin))]
    else:
        leg = ""
        steps = f"      - run: {JOB}\n      - run: |\n{block(ping(wiring.mode, OUTPUT, **origin), '          ')}\n"
        more = []
    expression = numeric(cron(wiring.schedule, _GITHUB_LEAST))
    workflow = (
        f'name: "{wiring.slug}"\non:\n  schedule:\n    - cron: "{expression}"\n  workflow_dispatch:\n'
        "jobs:\n  job:\n    runs-on: ubuntu-latest\n    env:\n"
        f"{_values(wiring, '      ')}      LUOTA_INGEST_TOKEN: ${{{{ secrets.LUOTA_INGEST_TOKEN }}}}\n{leg}"
        f"    steps:\n      - uses: actions/checkout@v4\n{steps}"
    )
    notes = f"Save the monitor's token as the repository secret LUOTA_INGEST_TOKEN. {_REACH} GitHub starts schedules \
late when it is busy: give the monitor some grace. {when(wiring.schedule, 'UTC', _GITHUB_LEAST)}"
    files = ((f".github/workflows/{wiring.slug}.yml", workflow), *more)
    return Snippet("github", "GitHub Actions", "yaml", files, notes)


def gitlab(wiring: Wiring) -> Snippet:
    """Return a job for pipeline schedules. A retried job, and each leg of a parallel one, has another CI_JOB_ID."""
    origin = {"host": "gitlab-ci", "sha": "$CI_COMMIT_SHA"}
    if wiring.mode is Mode.RUN:
        script, more = f"    - sh {_RUNNER} {JOB}\n", [(_RUNNER, run_script("$CI_JOB_ID", **origin))]
    else:
        script, more = f"    - {JOB}\n    - |\n{block(ping(wiring.mode, OUTPUT, **origin), '      ')}\n", []
    pipeline = (
        f"# Pipeline schedule: {cron(wiring.schedule, _GITLAB_LEAST)}\n"
        f'{wiring.slug}-job:\n  rules:\n    - if: $CI_PIPELINE_SOURCE == "schedule"\n  variables:\n'
        # GitLab expands a $ in values.
        f"{_values(wiring, '    ').replace('$', '$$')}  script:\n{script}"
    )
    zone = "" if wiring.schedule else ", which is an example"
    if isinstance(wiring.schedule, Cron):
        zone = f" and the timezone {wiring.schedule.timezone}"
    notes = f"Save the monitor's token as the masked CI/CD variable LUOTA_INGEST_TOKEN, and make a pipeline schedule \
with the cron expression of the first line{zone}. The image needs curl. {_REACH}"
    notes += caution(wiring.schedule, _GITLAB_LEAST)
    return Snippet("gitlab", "GitLab CI", "yaml", ((".gitlab-ci.yml", pipeline), *more), notes)


def circleci(wiring: Wiring) -> Snippet:
    """Return a workflow for schedule triggers. A re-run job gets another CIRCLE_WORKFLOW_JOB_ID.

    So does each leg of a matrix; those of `parallelism` share it.
    """
    origin = {"host": "circleci", "sha": "$CIRCLE_SHA1"}
    if wiring.mode is Mode.RUN:
        steps = f"      - run: sh {_RUNNER} {JOB}\n"
        more = [(_RUNNER, run_script("$CIRCLE_WORKFLOW_JOB_ID-$CIRCLE_NODE_INDEX", **origin))]
    else:
        steps = f"      - run: {JOB}\n      - run: |\n{block(ping(wiring.mode, OUTPUT, **origin), '          ')}\n"
        more = []
    config = (
        f"# Schedule trigger: {cron(wiring.schedule)}\n"
        f"version: 2.1\njobs:\n  {wiring.slug}-job:\n    docker:\n      - image: cimg/base:current\n    environment:\n"
        f"{_values(wiring, '      ')}    steps:\n      - checkout\n{steps}"
        f"workflows:\n  {wiring.slug}-workflow:\n    when:\n"
        "      equal: [scheduled_pipeline, << pipeline.trigger_source >>]\n"
        f"    jobs:\n      - {wiring.slug}-job\n"
    )
    notes = f"Save the monitor's token as the project's environment variable LUOTA_INGEST_TOKEN, and add a schedule \
trigger for the pipeline in the project's settings, as the first line says. {_REACH} {when(wiring.schedule, 'UTC')}"
    return Snippet("circleci", "CircleCI", "yaml", ((".circleci/config.yml", config), *more), notes)


def _values(wiring: Wiring, indent: str) -> str:
    return (
        f'{indent}LUOTA_API_BASE_URL: {json.dumps(wiring.base_url)}\n{indent}LUOTA_MONITOR_ID: "{wiring.monitor_id}"\n'
    )
