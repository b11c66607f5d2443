#!lua flags=allow-oom
-- Opens or closes an account for a person.
-- ARGV   1 account  2 'pause', 'resume', 'answer' (end the hold if it is one of those in 3), or
--        'go_on' with any of these  3 a person's note (pause), or reasons between spaces (answer)
--        4 the most jobs to let go in one call  5 who asks  6 a kind, or '' for all
-- Reply  how many jobs were let go
-- Keeps  a resumed account has neither hold nor cooldown, and what these kept stands in line in
--        order; a hold that comes while a resume goes on is not ended by it.
local name, action, kind = ARGV[1], ARGV[2], ARGV[6]
local key, now = 'hg:acct:' .. name, clock()
redis.call('SADD', 'hg:accts', name)

if action == 'pause' then
  if kind == '' then
    put_on_hold(name, 'paused', ARGV[3], ARGV[5], now)
  elseif redis.call('HSETNX', key, 'pause:' .. kind, digits(now)) == 1 then
    audit(now, 'hold', 'paused:' .. kind, ARGV[5], name)
  end
  grant_if_free(name, now)
  return 0
end

-- What ends: everything, or what concerns one kind of action.
local function ends(field)
  if kind ~= '' then
    return field == 'pause:' .. kind or field == 'cool:' .. kind or field == 'cool_why:' .. kind
  end
  return string.find(field, '^hold') or string.find(field, '^cool') or string.find(field, '^pause')
end

local function open_doors()
  local held = redis.call('HGET', key, 'hold')
  if kind == '' then redis.call('DEL', 'hg:logins:' .. name) end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if ends(field) then redis.call('HDEL', key, field) end
  end
  audit(now, 'resume', kind ~= '' and 'paused:' .. kind or held or '', ARGV[5], name)
  if held and kind == '' then tell_of(name, 'resumed', held, now) end
end

-- Ends only what the answer is for; what a person has paused besides stays so.
local function answer()
  local held, paused, remark = unpack(redis.call('HMGET', key, 'hold', 'paused', 'paused_note'))
  if not held or not string.find(ARGV[3], ' ' .. held .. ' ', 1, true) then return end
  redis.call('DEL', 'hg:logins:' .. name)
  redis.call('HDEL', key, 'hold', 'hold_note', 'hold_since')
  audit(now, 'resume', held, ARGV[5], name)
  if paused then
    redis.call('HSET', key, 'hold', 'paused', 'hold_since', paused, 'hold_note', remark or '')
  else
    tell_of(name, 'resumed', held, now)
  end
end

if action == 'resume' then open_doors() end
if action == 'answer' then answer() end
local account, let_go, most = account_of(name), 0, tonumber(ARGV[4])
for each in pairs(CONF.actors) do
  local list = key .. ':held:' .. each
  local open = let_go < most and not stopped(account, each)
  local kept = open and redis.call('ZRANGE', list, 0, most - let_go - 1) or {}
  for _, id in ipairs(kept) do
    redis.call('ZREM', list, id)
    local job = load_job(id)
    if job and job.status == 'held' then
      -- First all of them stand in line: their order is not that of the lists they were held in.
      unlist(job)
      move(job, 'queued', now, ARGV[5], 'account resumed')
      stand(job, now, 'line', 'turn')
    end
  end
  let_go = let_go + #kept
end
-- There may be more: whoever asks, asks again, or the minute's look at every account does.
if let_go == most then redis.call('HSET', key, 'resuming', '1') else redis.call('HDEL', key, 'resuming') end
grant_if_free(name, now)
return let_go
