-- Sends the requests of a file in turn (method, path and body of each, divided by tabs) and prints the sums as JSON.
-- All requests are made before the first is sent, so that the generator costs next to nothing.
local requests = {}
local last = 0

function init(args)
  for line in io.lines(args[1]) do
    local method, path, body = line:match('^([^\t]*)\t([^\t]*)\t(.*)$')
    local headers = {}
    if body == '' then body = nil else headers['Content-Type'] = 'application/json' end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nSUMMARY {"seconds":%.6f,"answers":%d,"refused":%d,"broken":%d}\n',
    summary.duration / 1e6,
    summary.requests,
    errors.status,
    errors.connect + errors.read + errors.write + errors.timeout
  ))
end
