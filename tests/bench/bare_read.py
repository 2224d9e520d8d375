"""The bare loop that a start is measured against: read all monitors with their states, keep nothing.

python bare_read.py FILE: prints how many rows there were and how long the loop alone took, in milliseconds.
"""

import sqlite3
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    db = sqlite3.connect(sys.argv[1])
    count = 0
    for _ in db.execute("SELECT * FROM monitors m JOIN monitor_states s ON s.monitor_id = m.id"):
        count += 1
    print(count, round((time.perf_counter() - began) * 1000, 1))
