-- Time, and numbers as text.

local HOUR, DAY = 3600000, 86400000

-- Unix ms by the server's clock.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Lua prints large numbers as 1.7e+12; Redis and JSON want digits. `%d` takes a third of the time
-- of `%.0f`, and is too narrow on a 32-bit server. (There is no `string` while a library is being
-- loaded, so each run finds out.)
local function digits(n)
  run.whole = run.whole or (string.format('%d', 2 ^ 52) == '4503599627370496' and '%d' or '%.0f')
  return string.format(run.whole, n)
end

-- The digits of the run's own time, which it writes many times.
local function now_digits(now)
  if run.now ~= now then run.now, run.now_digits = now, digits(now) end
  return run.now_digits
end

-- Unix ms as RFC 3339 UTC (days to civil date: Howard Hinnant's algorithm).
local function rfc3339(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local leaps = math.floor(doe / 1460) - math.floor(doe / 36524) + math.floor(doe / 146096)
  local yoe = math.floor((doe - leaps) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, ms % 1000)
end
