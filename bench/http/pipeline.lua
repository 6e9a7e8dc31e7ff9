-- wrk script: sends ARGUMENT requests at once and waits for as many replies.
local requests

init = function(arguments)
  requests = string.rep(wrk.format("GET", "/"), tonumber(arguments[1]))
end

request = function()
  return requests
end
