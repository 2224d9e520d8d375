"""The bare loop that a replay is measured against: decode every line, and ask cronsim for the same occurrences.

python bare_replay.py TRACE: takes one step of the monitor's own cronsim for every ping, keeps and prints nothing.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

if __name__ == "__main__":
    decode = msgspec.json.Decoder().decode
    walks = {}
    with Path(sys.argv[1]).open("rb") as lines:
        for line in lines:
            event = decode(line)
            if event["event"] == "ping":
                next(walks[event["monitor"]])
            else:
                schedule = event["schedule"]
                zone = UTC if schedule["timezone"] == "UTC" else ZoneInfo(schedule["timezone"])
                walks[event["monitor"]] = CronSim(schedule["cron"], datetime(2026, 1, 1, tzinfo=UTC).astimezone(zone))
