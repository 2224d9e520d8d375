-- wrk: POST one ping after another, over all targets in turn. BENCH_TARGETS names a file of "path key" lines,
-- BENCH_BODY one with the body. The last line that is printed is JSON: what was sent and how long it took.

local requests, at = {}, 0
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init()
  local body = assert(io.open(os.getenv("BENCH_BODY"))):read("*a")
  for line in io.lines(os.getenv("BENCH_TARGETS")) do
    local path, key = line:match("(%S+) (%S+)")
    local headers = { ["x-luota-key"] = key, ["content-type"] = "application/json" }
    requests[#requests + 1] = wrk.format("POST", path, headers, body)
  end
  -- Each thread begins elsewhere, so that no two are at the same monitor.
  at = math.floor(#requests * number / tonumber(os.getenv("BENCH_THREADS")))
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"us":%d,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
