-- Photos of DMs.
--- @include "config"
--- @include "clock"

-- Keeps a photo for as long as its job may wait, as far as that is known; the job's end deletes it.
local function keep_photo(id, jpeg, from, now)
  local ms = math.max(from, now) - now + CONF.keep
  redis.call('SET', 'hg:jobphoto:' .. id, jpeg, 'PX', digits(ms))
end
