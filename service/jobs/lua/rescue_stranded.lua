#!lua flags=allow-oom
-- Looks at some of the unended work for what is not as it must be, and mends it.
-- ARGV   1 the most to look at in one call  then the indexes to look through, in their order
-- Reply  {how many were looked at, 1 when the last index is through else 0,
--        {id, problem, id, problem ...}}; problem: unreachable | no record | another status
-- Keeps  only work that neither a claim, a due time, a wake-up, a line, a turn nor a held list
--        would ever wake is woken; what ends elsewhere is left alone. Each call goes on where the
--        last one stopped (hg:sweep), so that everything has its turn and none takes long.
local now, left = clock(), tonumber(ARGV[1])
local found, looked = {}, 0

local function load(id, deliveries)
  if not deliveries then return load_job(id) end
  local record = load_hash('hg:dlv:' .. id)
  if record then record.id = id end
  return record
end

local function wake(record)
  if record.kind then note(record, now, record.status, 'sweep', 'nothing led to it') end
  if record.status == 'queued' then
    ring(record.id, record.kind, now)
  elseif record.status == 'running' then
    redis.call('ZADD', 'hg:leases', record.lease, record.id)
  else
    -- What is meant for next week is not done today.
    local at = math.max(record.status == 'scheduled' and record.run_at or 0, record.wait_until or 0)
    redis.call('ZADD', 'hg:due', math.max(now, at), record.id)
  end
end

local function look(id, kind, status)
  local record = load(id, kind == 'hg:dlvs:status:')
  if not record then return 'no record' end
  if record.status ~= status then
    redis.call('ZADD', kind .. record.status, record.seq, id)
    return 'another status'
  end
  if is_led_to(record) then return nil end
  wake(record)
  return 'unreachable'
end

-- A page of one index; where it ended, or nil at its end.
local function look_through(index, after)
  local kind, status = string.match(index, '^(.*:)(.*)$')
  local page = redis.call('ZRANGEBYSCORE', index, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, left)
  for i = 1, #page, 2 do
    local problem = look(page[i], kind, status)
    if problem then
      found[#found + 1] = page[i]
      found[#found + 1] = problem
      if problem ~= 'unreachable' then redis.call('ZREM', index, page[i]) end
    end
  end
  looked = looked + #page / 2
  local full = #page / 2 == left
  left = left - #page / 2
  return full and page[#page] or nil
end

-- Where the last call stopped.
local function place()
  local index, after = string.match(redis.call('GET', 'hg:sweep') or '', '^(%S+) (%S+)$')
  for i = 2, #ARGV do
    if ARGV[i] == index then return i, after end
  end
  return 2, '0'
end

local i, after = place()
while i <= #ARGV do
  after = look_through(ARGV[i], after)
  if after then
    redis.call('SET', 'hg:sweep', ARGV[i] .. ' ' .. after)
    return {looked, 0, found}
  end
  i, after = i + 1, '0'
end
redis.call('DEL', 'hg:sweep')
return {looked, 1, found}
