-- Sends the requests of a file, in order: `wrk ... -s wrk.lua URL -- REQUESTS BODY cycle|once`.
--
-- A line of REQUESTS is "METHOD TARGET"; BODY is a file, or "-" for requests without one, and its last
-- bytes are replaced by the number of the request, so that no two bodies are equal. With `once` each
-- request is sent once, and the run ends early when there are no more. Threads take turns: thread K of N
-- sends the requests K, K+N, K+2N... The result is one line of JSON on standard error.

local ffi = require("ffi")
ffi.cdef("int kill(int pid, int signal); int getpid(void);")

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
  thread:set("step", threads)
end

local heads, body, repeated, following = {}, nil, true, 0

function init(arguments)
  local file = arguments[2]
  if file ~= "-" then
    local handle = assert(io.open(file, "rb"))
    body = handle:read("*a")
    handle:close()
  end
  repeated = arguments[3] == "cycle"
  -- wrk asks the first thread for one request that it only looks at.
  following = number == 0 and -1 or 0
  local length = body and "\r\nContent-Length: " .. #body or ""
  local host = "\r\nHost: " .. wrk.host .. ":" .. wrk.port .. length .. "\r\n\r\n"
  local skip = tonumber(os.getenv("WRK_THREADS") or "1")
  local line_number = 0
  for line in io.lines(arguments[1]) do
    if line_number % skip == number then
      heads[#heads + 1] = line .. " HTTP/1.1" .. host
    end
    line_number = line_number + 1
  end
end

function request()
  following = following + 1
  if following > #heads then
    if not repeated then
      -- SIGINT ends wrk in order, with its report; what this connection sends once more does not count much.
      ffi.C.kill(ffi.C.getpid(), 2)
      wrk.thread:stop()
    end
    following = repeated and 1 or #heads
  end
  local head = heads[math.max(following, 1)]
  if body then
    return head .. string.sub(body, 1, -13) .. string.format("%012d", following)
  end
  return head
end

function done(summary, latency, requests)
  local errors = summary.errors
  local text = string.format(
    '{"requests": %d, "microseconds": %d, "bytes": %d, "refused": %d, "broken": %d, "max": %.1f',
    summary.requests, summary.duration, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency.max)
  for _, at in pairs({ 50, 95, 99, 99.9 }) do
    text = text .. string.format(', "%g": %.1f', at, latency:percentile(at))
  end
  io.stderr:write(text .. "}\n")
end
