-- wrk: a steady, bounded flow of pings, each noted with its own instant. For one connection a thread, so that
-- an answer is known to belong to the request before it. BENCH_PAUSE_MS is the mean pause of a connection.

dofile(os.getenv("BENCH_PINGS"))

local ffi = require("ffi")
ffi.cdef [[ typedef struct { long s; long us; } bench_time; int gettimeofday(bench_time *, void *); ]]
local reading = ffi.new("bench_time")
local next_request, began = request, 0
local pause = tonumber(os.getenv("BENCH_PAUSE_MS"))
local known = {}
starts, took, refused = {}, {}, 0

local function now()
  ffi.C.gettimeofday(reading, nil)
  return tonumber(reading.s) * 1e6 + tonumber(reading.us)
end

local set_up = setup
function setup(thread)
  set_up(thread)
  known[#known + 1] = thread
end

local begin = init
function init(args)
  begin(args)
  math.randomseed(number + 1)
end

function delay()
  return pause / 2 + math.random(pause)
end

function request()
  local one = next_request()
  began = now()
  return one
end

function response(status)
  starts[#starts + 1] = began
  took[#took + 1] = now() - began
  if status ~= 202 then refused = refused + 1 end
end

function done()
  local failed = 0
  local parts = {}
  for _, thread in ipairs(known) do
    local at, us = thread:get("starts"), thread:get("took")
    failed = failed + thread:get("refused")
    for i = 1, #us do parts[#parts + 1] = string.format("[%.0f,%.0f]", at[i], us[i]) end
  end
  io.write(string.format('{"refused":%d,"pings":[%s]}\n', failed, table.concat(parts, ",")))
end
