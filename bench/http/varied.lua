-- wrk script: no request has the head of the one before, nor of one that is still under way. They
-- are made beforehand: a generator that is slower than the server would measure itself.
local different = 4096
local requests, last = {}, 0

init = function()
  for number = 1, different do
    wrk.headers["X-Request-Id"] = string.format("%06d", number)
    requests[number] = wrk.format("GET", string.format("/?number=%06d", number))
  end
end

request = function()
  last = last % different + 1
  return requests[last]
end
